//! The download of many products: order, resuming, checks, names, limits, cancelling, the manifest.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use asterism_archive::download::{DownloadEvent, DownloadOptions, DownloadReport, Outcome, Wanted, wanted};
use asterism_archive::replay::{Manner, Replay, Reply, Route, Seen};
use asterism_archive::{Client, Services};

const GO_ON: &dyn Fn() -> bool = &|| false;

fn fits(blocks: usize) -> Vec<u8> {
    let mut fits = format!("{:<80}", "SIMPLE  =                    T").into_bytes();
    fits.extend((0..2880 * blocks - 80).map(|i| (i % 251) as u8));
    fits
}

fn client(replay: &Replay) -> Client {
    let services = Services { timeout_s: 5.0, retries: 2, pause_s: 0.01, saved: vec![], ..Services::at(&replay.base()) };
    Client::new(services).unwrap()
}

fn want(name: &str) -> Wanted {
    Wanted {
        uri: format!("mast:HST/product/{name}"),
        collection: "HST".into(),
        obs_id: "U9O40504M".into(),
        file: name.into(),
        ..Wanted::default()
    }
}

fn get(client: &Client, files: &[Wanted], folder: &Path) -> (DownloadReport, Vec<DownloadEvent>) {
    let mut events = Vec::new();
    let report = client.download(files, &DownloadOptions::new(folder), GO_ON, &mut |e| events.push(e)).unwrap();
    (report, events)
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A file with ranges as a good server gives them; the first connections break after so many bytes.
fn ranged(body: Vec<u8>, etag: &'static str, break_after: usize, breaks: usize) -> Route {
    Route::new("GET", "/api/v0.1/Download/file", move |seen: &Seen, n| {
        let manner = if n < breaks { Manner::Cut { after: break_after } } else { Manner::Whole };
        let wanted = seen.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let same = seen.header("if-range").is_none_or(|tag| tag == etag);
        Some(match wanted.filter(|_| same) {
            Some(from) if from >= body.len() => {
                Reply::bytes("").status(416).header("Content-Range", &format!("bytes */{}", body.len()))
            }
            Some(from) => Reply::bytes(&body[from..])
                .status(206)
                .header("Content-Range", &format!("bytes {from}-{}/{}", body.len() - 1, body.len()))
                .header("ETag", etag)
                .manner(manner),
            None => Reply::bytes(body.clone()).header("ETag", etag).manner(manner),
        })
    })
}

#[test]
fn files_lie_as_users_know_them_and_previews_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let replay = Replay::start(vec![Route::new("GET", "/", |seen: &Seen, _| {
        let jpeg = seen.query("uri").unwrap().ends_with(".jpg");
        Some(if jpeg { Reply::bytes([0xff, 0xd8, 0xff, 0xe0, 1]) } else { Reply::bytes(fits(2)) })
    })])
    .unwrap();
    let files = [want("a.fits"), want("b.fits"), Wanted { preview: true, ..want("c.jpg") }];
    let mut options = DownloadOptions::new(folder.path());
    options.at_once = 1;
    let mut events = Vec::new();
    let report = client(&replay).download(&files, &options, GO_ON, &mut |e| events.push(e)).unwrap();
    assert_eq!((report.complete(), report.failed(), report.bytes()), (3, 0, 2 * 5760 + 5));
    let order: Vec<String> = replay.seen().iter().map(|s| s.query("uri").unwrap()).collect();
    assert_eq!(order, ["mast:HST/product/c.jpg", "mast:HST/product/a.fits", "mast:HST/product/b.fits"]);
    let place = folder.path().join("mastDownload/HST/U9O40504M");
    assert_eq!(std::fs::read(place.join("a.fits")).unwrap(), fits(2));
    assert!(place.join("c.jpg").exists());
    // Nothing else stays.
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 3);
    assert!(events.iter().any(|e| matches!(e, DownloadEvent::Progress { index: 0, done: 5760, of: Some(5760) })));
    let manifest = std::fs::read_to_string(&report.manifest).unwrap();
    assert!(
        manifest.starts_with("Local Path,Status,Message,URL,Bytes\n") && manifest.matches("COMPLETE").count() == 3,
        "{manifest}"
    );
    // Once more: all is here.
    let before = replay.seen().len();
    let sized: Vec<Wanted> =
        files.iter().map(|f| Wanted { bytes: Some(if f.preview { 5 } else { 5760 }), ..f.clone() }).collect();
    let (report, _) = get(&client(&replay), &sized, folder.path());
    assert!(report.outcomes.iter().all(|o| matches!(o, Outcome::Here { .. })));
    assert_eq!(replay.seen().len(), before);
    // One that is shorter than it should be is fetched anew.
    std::fs::write(place.join("a.fits"), b"SIMPLE  =").unwrap();
    let (report, _) = get(&client(&replay), &sized, folder.path());
    assert!(matches!(report.outcomes[0], Outcome::Complete { bytes: 5760, .. }));
}

#[test]
fn a_break_is_gone_on_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let body = fits(100);
    // Two breaks within one download: the client goes on by itself.
    let replay = Replay::start(vec![ranged(body.clone(), "\"v1\"", 100_000, 2)]).unwrap();
    let (report, events) = get(&client(&replay), &[want("a.fits")], folder.path());
    assert_eq!(report.complete(), 1, "{:?}", report.outcomes);
    assert_eq!(std::fs::read(folder.path().join("mastDownload/HST/U9O40504M/a.fits")).unwrap(), body);
    let ranges: Vec<_> = replay.seen().iter().map(|s| s.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=200000-".into())]);
    assert!(replay.seen()[1].header("if-range") == Some("\"v1\""));
    let starts: Vec<u64> =
        events.iter().filter_map(|e| if let DownloadEvent::Started { from, .. } = e { Some(*from) } else { None }).collect();
    assert_eq!(starts, [0, 100_000, 200_000]);
}

#[test]
fn a_later_run_goes_on_unless_the_file_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mastDownload/HST/U9O40504M");
    let body = fits(100);
    let broken = Replay::start(vec![ranged(body.clone(), "\"v1\"", 50_000, usize::MAX)]).unwrap();
    let port = broken.base();
    let short = Services { retries: 0, pause_s: 0.01, saved: vec![], ..Services::at(&port) };
    let (report, _) = get(&Client::new(short).unwrap(), &[want("a.fits")], folder.path());
    let Outcome::Failed { reason, kept: 50_000 } = &report.outcomes[0] else { panic!("{:?}", report.outcomes) };
    assert!(reason.contains("go on from there"), "{reason}");
    assert!(place.join("a.fits.part").exists() && !place.join("a.fits").exists());
    // The same address, of a server with another version of the file: from the beginning.
    let note = std::fs::read_to_string(place.join("a.fits.part.json")).unwrap();
    let changed = Replay::start(vec![ranged(fits(60), "\"v2\"", 0, 0)]).unwrap();
    std::fs::write(place.join("a.fits.part.json"), note.replace(&port, &changed.base())).unwrap();
    let (report, _) = get(&client(&changed), &[want("a.fits")], folder.path());
    assert_eq!(report.complete(), 1);
    assert_eq!(changed.seen()[0].header("range"), Some("bytes=50000-"));
    assert_eq!(std::fs::read(place.join("a.fits")).unwrap(), fits(60));
    // A part that holds everything already: nothing more is taken.
    std::fs::remove_file(place.join("a.fits")).unwrap();
    std::fs::write(place.join("a.fits.part"), &body).unwrap();
    let whole = Replay::start(vec![ranged(body.clone(), "\"v1\"", 0, 0)]).unwrap();
    let note = note.replace(&port, &whole.base());
    std::fs::write(place.join("a.fits.part.json"), note).unwrap();
    let (report, _) = get(&client(&whole), &[want("a.fits")], folder.path());
    assert!(
        matches!(&report.outcomes[0], Outcome::Complete { bytes, .. } if *bytes == body.len() as u64),
        "{:?}",
        report.outcomes
    );
}

#[test]
fn what_is_no_product_is_refused_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let replay = Replay::start(vec![Route::new("GET", "/", |seen: &Seen, _| {
        let uri = seen.query("uri").unwrap();
        Some(match uri.rsplit('/').next().unwrap() {
            "page.fits" => Reply::bytes("<html><head><title>Sign in</title></head></html>"),
            "json.fits" => Reply::bytes(r#"{"status":"ERROR","msg":"No such file"}"#),
            "xml.fits" => {
                Reply::bytes("<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
            }
            "short.fits" => Reply::bytes(fits(3)).unsized_body(),
            "mine.fits" => Reply::bytes("exclusive access").status(401),
            "empty.fits" => Reply::bytes(""),
            "not.jpg" => Reply::bytes(fits(1)),
            "not.tar.gz" => Reply::bytes("plain"),
            _ => Reply::bytes(fits(1)),
        })
    })])
    .unwrap();
    let names = ["page.fits", "json.fits", "xml.fits", "short.fits", "mine.fits", "empty.fits", "not.jpg", "not.tar.gz"];
    let mut files: Vec<Wanted> = names.map(want).into();
    files[3].bytes = Some(2880 * 5);
    files.push(Wanted { uri: "ftp://x/y.fits".into(), ..want("y.fits") });
    files.push(want("good.fits"));
    files.push(Wanted { bytes: Some(17), ..want("other-size.fits") });
    let (report, _) = get(&client(&replay), &files, folder.path());
    let words = [
        "Sign in",
        "MAST says: No such file",
        "would begin as FITS",
        "broke in the middle",
        "token of your account",
        "an empty answer",
        "would begin as JPEG",
        "would begin as gzip",
        "only http and https",
    ];
    for (outcome, words) in report.outcomes.iter().zip(words) {
        assert!(reason(outcome).contains(words), "{words}: {outcome:?}");
    }
    assert_eq!((report.complete(), report.failed()), (2, 9));
    assert!(matches!(&report.outcomes[10], Outcome::Complete { note, .. } if note.contains("says 17 bytes")));
    let manifest = std::fs::read_to_string(&report.manifest).unwrap();
    assert_eq!(manifest.matches(",ERROR,").count(), 9);
    assert!(manifest.contains("Sign in"));
    // Of what was refused at its first bytes nothing is kept.
    let place = folder.path().join("mastDownload/HST/U9O40504M");
    assert!(!place.join("page.fits.part").exists() && !place.join("page.fits").exists());
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("a/b");
    std::fs::create_dir_all(&folder).unwrap();
    let replay = Replay::start(vec![Route::get("/", Reply::bytes(fits(1)))]).unwrap();
    let long = "x".repeat(400) + ".fits";
    let files: Vec<Wanted> =
        ["../../../evil.fits", "/tmp/evil.fits", "C:\\evil.fits", "..", "nul.fits", &long, "same.fits", "SAME.fits"]
            .iter()
            .enumerate()
            .map(|(i, name)| Wanted {
                uri: format!("mast:X/{i}.fits"),
                collection: if i % 2 == 0 { "..".into() } else { "../..".into() },
                obs_id: "../../../..".into(),
                file: (*name).into(),
                ..Wanted::default()
            })
            .map(|w| if w.file.eq_ignore_ascii_case("same.fits") { Wanted { collection: "HST".into(), ..w } } else { w })
            .collect();
    let (report, _) = get(&client(&replay), &files, &folder);
    let root = folder.join("mastDownload").canonicalize().unwrap();
    let mut places = Vec::new();
    for outcome in &report.outcomes {
        let Outcome::Complete { path, .. } = outcome else { panic!("{outcome:?}") };
        let real = path.canonicalize().unwrap();
        assert!(real.starts_with(&root), "{}", real.display());
        assert!(path.file_name().unwrap().len() <= 160);
        places.push(real.to_string_lossy().to_lowercase());
    }
    places.sort();
    places.dedup();
    assert_eq!(places.len(), files.len(), "two files never meet, also where A is a");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    // A link below that leads out is not followed.
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("LINK")).unwrap();
        let (report, _) = get(&client(&replay), &[Wanted { collection: "LINK".into(), ..want("z.fits") }], &folder);
        assert!(reason(&report.outcomes[0]).contains("leads out of the folder"));
        assert!(!outside.path().join("U9O40504M/z.fits").exists());
    }
}

#[test]
fn no_server_is_asked_for_more_than_its_share_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let serve = || {
        let (now, most) = (now.clone(), most.clone());
        Replay::start(vec![Route::new("GET", "/", move |_, _| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(60));
            now.fetch_sub(1, Ordering::SeqCst);
            Some(Reply::bytes(fits(1)))
        })])
        .unwrap()
    };
    let replay = serve();
    let files: Vec<Wanted> = (0..12).map(|i| want(&format!("{i}.fits"))).collect();
    let options = DownloadOptions { at_once: 8, per_host: 2, ..DownloadOptions::new(folder.path()) };
    let start = Instant::now();
    let report = client(&replay).download(&files, &options, GO_ON, &mut |_| {}).unwrap();
    assert_eq!((report.complete(), most.load(Ordering::SeqCst)), (12, 2));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_ended_download_keeps_its_parts_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let body = fits(200);
    let gate = Arc::new(AtomicBool::new(true));
    let slow = gate.clone();
    let whole = body.clone();
    let replay = Replay::start(vec![Route::new("GET", "/", move |seen: &Seen, _| {
        let from = seen.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let manner = if slow.load(Ordering::Relaxed) {
            Manner::Slow { chunk: 20_000, delay: Duration::from_millis(50) }
        } else {
            Manner::Whole
        };
        let reply = match from {
            Some(from) => Reply::bytes(&whole[from..])
                .status(206)
                .header("Content-Range", &format!("bytes {from}-{}/{}", whole.len() - 1, whole.len())),
            None => Reply::bytes(whole.clone()),
        };
        Some(reply.header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT").manner(manner))
    })])
    .unwrap();
    let client = client(&replay);
    let files = [want("a.fits"), want("b.fits")];
    let start = Instant::now();
    let stop = || start.elapsed() > Duration::from_millis(400);
    let report = client.download(&files, &DownloadOptions::new(folder.path()), &stop, &mut |_| {}).unwrap();
    let took = start.elapsed() - Duration::from_millis(400);
    eprintln!("ended after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let kept: Vec<u64> =
        report.outcomes.iter().map(|o| if let Outcome::Cancelled { kept } = o { *kept } else { panic!("{o:?}") }).collect();
    assert!(kept.iter().all(|k| *k > 0 && *k < body.len() as u64), "{kept:?}");
    assert!(std::fs::read_to_string(&report.manifest).unwrap().contains("SKIPPED"));
    gate.store(false, Ordering::Relaxed);
    let (report, events) = get(&client, &files, folder.path());
    assert_eq!(report.complete(), 2);
    let starts: Vec<u64> =
        events.iter().filter_map(|e| if let DownloadEvent::Started { from, .. } = e { Some(*from) } else { None }).collect();
    assert!(starts.iter().all(|s| *s > 0), "{starts:?}");
    for name in ["a.fits", "b.fits"] {
        assert_eq!(std::fs::read(folder.path().join("mastDownload/HST/U9O40504M").join(name)).unwrap(), body);
    }
}

#[test]
fn the_list_of_products_says_what_is_wanted() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let replay = Replay::mast(fixtures.join("mast")).unwrap();
    let products = client(&replay).products(&[2_003_738_726], GO_ON).unwrap();
    let files = wanted(&products).unwrap();
    assert_eq!(files.len(), 22);
    assert_eq!(
        files[0],
        Wanted {
            uri: "mast:HST/product/u9o40504m_c3m.fits".into(),
            collection: "HST".into(),
            obs_id: "U9O40504M".into(),
            file: "u9o40504m_c3m.fits".into(),
            bytes: Some(207_360),
            preview: false,
        }
    );
    let picture = |f: &&Wanted| f.file.ends_with(".jpg");
    assert_eq!(files.iter().filter(|f| f.preview).count(), files.iter().filter(picture).count());
    let none = asterism_data::Table::default();
    assert!(wanted(&none).unwrap_err().to_string().contains("no column of addresses"));
    let _: PathBuf = DownloadOptions::new("x").folder;
}
