//! Every door of every archive against every fault of a network, in one table: what is said, how long it takes, what is kept.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use asterism_archive::download::{DownloadOptions, Outcome, Wanted};
use asterism_archive::replay::{Manner, Replay, Reply, Route, Seen};
use asterism_archive::{Client, Error, Event, Request, Services};

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Form {
    /// JSON or VOTable whose rows go on as they come.
    Rows,
    /// A document that is read whole.
    Whole,
    /// Bytes for the disk.
    File,
}

type Told = asterism_archive::Result<()>;

/// A way into an archive.
struct Door {
    name: &'static str,
    form: Form,
    xml: bool,
    /// A good answer.
    good: fn() -> Vec<u8>,
    /// Asks; gives the rows that were handed on.
    ask: fn(&Client, &str, &dyn Fn() -> bool) -> (Told, usize),
}

fn search(client: &Client, request: &Request, cancelled: &dyn Fn() -> bool) -> (Told, usize) {
    let mut rows = 0;
    let result = client.search(request, cancelled, &mut |event| {
        if let Event::Rows(table) = event {
            rows += table.rows();
        }
    });
    (result.map(|_| ()), rows)
}

fn plain<T>(result: asterism_archive::Result<T>) -> (Told, usize) {
    (result.map(|_| ()), 0)
}

fn fits() -> Vec<u8> {
    let mut fits = format!("{:<80}", "SIMPLE  =                    T").into_bytes();
    fits.resize(2880 * 4, b' ');
    fits
}

fn ps1_list() -> Vec<u8> {
    let line =
        "1334 075 10.68 41.27 i 55000.5 stack /rings.v3.skycell/1334/075/rings.v3.skycell.1334.075.stk.i.unconv.fits stk.i 0\n";
    format!("projcell subcell ra dec filter mjd type filename shortname badflag\n{}", line.repeat(30)).into_bytes()
}

fn photons() -> Vec<u8> {
    fixture("vo/scs/scs-result.xml")
}

const PLACE: (f64, f64, f64) = (10.68, 41.27, 0.1);

fn doors() -> Vec<Door> {
    let (ra, dec, radius) = PLACE;
    let _ = (ra, dec, radius);
    let door = |name, form, xml, good, ask| Door { name, form, xml, good, ask };
    vec![
        door(
            "mast cone",
            Form::Rows,
            false,
            || fixture("mast/caom.json"),
            |c, _, stop| search(c, &Request::MastCone { ra_deg: 10.68, dec_deg: 41.27, radius_deg: 0.1, max_rows: None }, stop),
        ),
        door(
            "mast catalogue",
            Form::Rows,
            false,
            || fixture("mast/panstarrs.json"),
            |c, _, stop| {
                let catalog = "panstarrs".into();
                search(
                    c,
                    &Request::MastCatalog {
                        catalog,
                        ra_deg: 10.68,
                        dec_deg: 41.27,
                        radius_deg: 0.1,
                        filters: vec![],
                        max_rows: None,
                    },
                    stop,
                )
            },
        ),
        door(
            "mast count",
            Form::Whole,
            false,
            || fixture("mast/countsResp.json"),
            |c, _, stop| {
                plain(c.count(&Request::MastCone { ra_deg: 10.68, dec_deg: 41.27, radius_deg: 0.1, max_rows: None }, stop))
            },
        ),
        door(
            "mast products",
            Form::Whole,
            false,
            || fixture("mast/products.json"),
            |c, _, stop| plain(c.products(&[1, 2], stop)),
        ),
        door("resolver", Form::Whole, false, || fixture("mast/resolver.json"), |c, _, stop| plain(c.resolve("M101", stop))),
        door(
            "mission",
            Form::Rows,
            false,
            || fixture("mast/mission_results.json"),
            |c, _, stop| {
                let request = Request::Mission {
                    mission: "hst".into(),
                    position: Some(PLACE),
                    filters: vec![],
                    columns: vec![],
                    max_rows: Some(10),
                };
                search(c, &request, stop)
            },
        ),
        door(
            "mission count",
            Form::Whole,
            false,
            || fixture("mast/mission_count_only.json"),
            |c, _, stop| {
                let request = Request::Mission {
                    mission: "hst".into(),
                    position: Some(PLACE),
                    filters: vec![],
                    columns: vec![],
                    max_rows: None,
                };
                plain(c.count(&request, stop))
            },
        ),
        door(
            "mission products",
            Form::Whole,
            false,
            || fixture("mast/mission_products.json"),
            |c, _, stop| plain(c.mission_products("hst", &["Z14Z0104T".into()], stop)),
        ),
        door(
            "mission columns",
            Form::Whole,
            false,
            || fixture("mast/mission_columns.json"),
            |c, _, stop| plain(c.mission_columns("hst", stop)),
        ),
        door(
            "TESScut",
            Form::Whole,
            false,
            || fixture("mast/tess_sector.json"),
            |c, _, stop| plain(c.tess_sectors(107.27, -70.0, 0.1, stop)),
        ),
        door("PS1 images", Form::Whole, false, ps1_list, |c, _, stop| plain(c.ps1_images(10.68, 41.27, "grizy", stop))),
        door("TAP", Form::Rows, true, photons, |c, base, stop| search(c, &tap(base, false), stop)),
        door("TAP job", Form::Whole, true, photons, |c, base, stop| search(c, &tap(base, true), stop)),
        door(
            "TAP tables",
            Form::Whole,
            true,
            || fixture("vo/vosi/tables.xml"),
            |c, base, stop| plain(c.tap_tables(&format!("{base}/tap"), stop)),
        ),
        door(
            "TAP jobs",
            Form::Whole,
            true,
            || fixture("vo/uws/tapplus-jobs_list.xml"),
            |c, base, stop| plain(c.tap_jobs(&format!("{base}/tap"), None, stop)),
        ),
        door("cone", Form::Rows, true, photons, |c, base, stop| {
            let base = format!("{base}/scs?");
            search(c, &Request::Cone { base, ra_deg: 10.68, dec_deg: 41.27, radius_deg: 0.1, max_rows: None }, stop)
        }),
        door("SIA", Form::Rows, true, photons, |c, base, stop| {
            let base = format!("{base}/sia");
            search(c, &Request::Sia { base, ra_deg: 10.68, dec_deg: 41.27, radius_deg: 0.1, max_rows: None }, stop)
        }),
        door("SIA 2", Form::Rows, true, photons, |c, base, stop| {
            let base = format!("{base}/sia2");
            search(c, &Request::Sia2 { base, position: Some(PLACE), parameters: vec![], max_rows: None }, stop)
        }),
        door("SSA", Form::Rows, true, photons, |c, base, stop| {
            let base = format!("{base}/ssa");
            search(c, &Request::Ssa { base, ra_deg: 10.68, dec_deg: 41.27, radius_deg: 0.1, max_rows: None }, stop)
        }),
        door(
            "links",
            Form::Whole,
            true,
            || fixture("vo/datalink/datalink.xml"),
            |c, base, stop| plain(c.datalink(&format!("{base}/links?ID=x"), stop)),
        ),
        door("links as rows", Form::Rows, true, photons, |c, base, stop| {
            search(c, &Request::DataLink { url: format!("{base}/links"), ids: vec!["ivo://x?1".into()] }, stop)
        }),
        door("registry", Form::Rows, true, photons, |c, _, stop| {
            search(c, &Request::Registry { words: "quasar".into(), service: None, max_rows: None }, stop)
        }),
        door("product", Form::File, false, fits, |c, _, stop| plain(c.fetch("mast:HST/product/a.fits", stop, &mut |_, _| {}))),
        door("download", Form::File, false, fits, |c, _, stop| {
            let folder = tempfile::tempdir().unwrap();
            let wanted = Wanted { uri: "mast:HST/product/a.fits".into(), ..Wanted::default() };
            let report = c.download(&[wanted], &DownloadOptions::new(folder.path()), stop, &mut |_| {}).unwrap();
            let service = "download".to_owned();
            match &report.outcomes[0] {
                Outcome::Failed { reason, .. } => (Err(Error::Service { service, message: reason.clone() }), 0),
                Outcome::Cancelled { .. } => (Err(Error::Cancelled), 0),
                _ => (Ok(()), 0),
            }
        }),
    ]
}

fn tap(base: &str, asynchronous: bool) -> Request {
    Request::Tap { base: format!("{base}/tap"), adql: "SELECT 1".into(), asynchronous, max_rows: None, uploads: vec![] }
}

/// One answer to whatever is asked.
fn always(reply: Reply) -> Vec<Route> {
    let other = reply.clone();
    vec![Route::post("/", reply), Route::get("/", other)]
}

/// Settings under which a test does not take long, and a folder of products of their own.
fn settings(base: &str, folder: &Path) -> Services {
    Services {
        timeout_s: 0.5,
        retries: 1,
        pause_s: 0.01,
        poll_s: 0.02,
        saved: vec![],
        cache: Some(folder.into()),
        answer_gb: 0.003,
        ..Services::at(base)
    }
}

/// Asks a door of a server that answers so; gives what was said, the rows, the time and the requests.
fn ask(door: &Door, replay: &Replay, more: impl Fn(&mut Services)) -> (Told, usize, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let mut services = settings(&replay.base(), folder.path());
    more(&mut services);
    let client = Client::new(services).unwrap();
    let start = Instant::now();
    let (told, rows) = (door.ask)(&client, &replay.base(), &|| false);
    (told, rows, start.elapsed())
}

/// The words of an error, which name the service and end soon.
fn words(door: &Door, fault: &str, told: Told, took: Duration) -> String {
    let Err(error) = told else { panic!("{} took '{fault}' for an answer", door.name) };
    let text = error.to_string();
    let named = ["MAST", "127.0.0.1", "localhost", "resolver"].iter().any(|n| text.contains(n));
    assert!(named && text.chars().count() < 700, "{}, {fault}: {text}", door.name);
    assert!(took < Duration::from_secs(5), "{}, {fault}: {took:?}", door.name);
    text
}

#[test]
fn good_answers_pass_every_door() {
    // The control: without a fault the same table gives answers.
    for door in doors().iter().filter(|d| !matches!(d.name, "TAP job")) {
        let replay = Replay::start(always(Reply::bytes((door.good)()))).unwrap();
        let (told, rows, _) = ask(door, &replay, |_| {});
        assert!(told.is_ok(), "{}: {told:?}", door.name);
        assert!(rows > 0 || door.form != Form::Rows, "{}", door.name);
    }
}

#[test]
fn nobody_listens() {
    for door in doors() {
        let replay = Replay::start(vec![]).unwrap();
        let base = replay.base();
        drop(replay);
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new(settings(&base, folder.path())).unwrap();
        let start = Instant::now();
        let (told, _) = (door.ask)(&client, &base, &|| false);
        let text = words(&door, "refused", told, start.elapsed());
        assert!(text.contains("could not be reached") && text.contains("Nothing listens there"), "{}: {text}", door.name);
    }
}

#[test]
fn silence_ends() {
    for door in doors() {
        let replay = Replay::start(always(Reply::bytes("").manner(Manner::Silent))).unwrap();
        let (told, _, took) = ask(&door, &replay, |_| {});
        let text = words(&door, "silence", told, took);
        assert!(text.contains("sent nothing for"), "{}: {text}", door.name);
    }
}

#[test]
fn a_trickle_ends() {
    for door in doors().iter().filter(|d| d.name != "TAP job") {
        // Twenty bytes a second, where fifty are the least.
        let slow = Manner::Slow { chunk: 1, delay: Duration::from_millis(50) };
        let replay = Replay::start(always(Reply::bytes((door.good)()).manner(slow))).unwrap();
        let (told, _, took) = ask(door, &replay, |_| {});
        let text = words(door, "trickle", told, took);
        assert!(text.contains("too slowly"), "{}: {text}", door.name);
    }
}

#[test]
fn a_cut_keeps_the_rows_that_came() {
    for door in doors().iter().filter(|d| d.name != "TAP job") {
        let good = (door.good)();
        let after = good.len() * 7 / 10;
        let cut = Reply::bytes(good.clone()).manner(Manner::Cut { after });
        let too_long = Reply::bytes(good.clone()).claiming(good.len() as u64 + 5000);
        for (fault, reply) in [("cut", cut), ("length above the truth", too_long)] {
            let replay = Replay::start(always(reply)).unwrap();
            let (told, rows, took) = ask(door, &replay, |_| {});
            let text = words(door, fault, told, took);
            assert!(text.contains("cut off") || text.contains("broke"), "{}, {fault}: {text}", door.name);
            if door.form == Form::Rows {
                assert!(rows > 0 && text.contains(&format!("the {rows} rows")), "{}, {fault}: {rows} rows, {text}", door.name);
            }
        }
        // A length below the truth is only seen in what it cuts; of a file there is nothing to be seen.
        let replay = Replay::start(always(Reply::bytes(good.clone()).claiming(after as u64))).unwrap();
        let (told, rows, took) = ask(door, &replay, |_| {});
        if door.form != Form::File {
            words(door, "length below the truth", told, took);
        }
        assert!(rows > 0 || door.form != Form::Rows, "{}", door.name);
    }
}

/// Something that unpacks to thirty megabytes from some kilobytes.
fn bomb(xml: bool) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let head: &[u8] = if xml {
        b"<?xml version='1.0'?><VOTABLE><RESOURCE><TABLE><FIELD name='a' datatype='int'/><DATA><TABLEDATA>"
    } else {
        b"{\"data\":["
    };
    packer.write_all(head).unwrap();
    for _ in 0..30 {
        packer.write_all(&vec![b' '; 1_000_000]).unwrap();
    }
    packer.finish().unwrap()
}

#[test]
fn a_bomb_of_gzip_is_stopped_at_the_limit() {
    for door in doors().iter().filter(|d| d.name != "TAP job") {
        let packed = bomb(door.xml);
        assert!(packed.len() < 60_000, "{}", packed.len());
        let replay = Replay::start(always(Reply::bytes(packed.clone()).header("Content-Encoding", "gzip"))).unwrap();
        let (told, _, took) = ask(door, &replay, |_| {});
        if door.form == Form::File {
            // Files are kept as they are stored: nothing is unpacked that could grow.
            assert!(told.is_ok(), "{}: {told:?}", door.name);
            continue;
        }
        let text = words(door, "bomb", told, took);
        assert!(text.contains("sent more than") && text.contains("the limit for one answer"), "{}: {text}", door.name);
    }
    // A packed file whose headers do not say so.
    let replay = Replay::start(always(Reply::bytes(bomb(true)))).unwrap();
    let (told, _, _) = ask(doors().iter().find(|d| d.name == "TAP").unwrap(), &replay, |_| {});
    assert!(matches!(told, Err(Error::TooLarge { bytes: 3_000_000, .. })), "{told:?}");
}

#[test]
fn entities_of_xml_are_neither_fetched_nor_blown_up() {
    let laughs = |doctype: &str, head: &str, tail: &str| {
        let mut text = format!("<?xml version='1.0'?><!DOCTYPE {doctype} [<!ENTITY l0 'ha'>");
        for i in 1..12 {
            text.push_str(&format!("<!ENTITY l{i} '{}'>", format!("&l{};", i - 1).repeat(10)));
        }
        text.push_str("<!ENTITY file SYSTEM 'file:///etc/passwd'><!ENTITY web SYSTEM '/secret.dtd'>]>");
        text + head + "&l11;&file;&web;" + tail
    };
    let table = laughs(
        "VOTABLE",
        "<VOTABLE><RESOURCE type='results'><TABLE><FIELD name='ID' datatype='char' arraysize='*'/><DATA><TABLEDATA><TR><TD>",
        "</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>",
    );
    let jobs = laughs("jobs", "<jobs><jobref id='1' href='http://x/1'><phase>", "</phase></jobref></jobs>");
    let tables = laughs("tableset", "<tableset><schema><table><name>", "</name></table></schema></tableset>");
    for door in doors().iter().filter(|d| d.xml && d.name != "TAP job") {
        let body = match door.name {
            "TAP jobs" => &jobs,
            "TAP tables" => &tables,
            _ => &table,
        };
        let replay = Replay::start(always(Reply::bytes(body.as_bytes()))).unwrap();
        let (told, _, took) = ask(door, &replay, |_| {});
        let said = told.map_or_else(|e| e.to_string(), |()| String::new());
        assert!(said.len() < 1000 && !said.contains("hahaha") && !said.contains("root:"), "{}: {said}", door.name);
        assert!(took < Duration::from_secs(3), "{}: {took:?}", door.name);
        assert!(replay.seen().iter().all(|s| !s.target.contains("secret")), "{}", door.name);
    }
    // What does stand in the cell: the names of the entities, or nothing.
    let replay = Replay::start(always(Reply::bytes(table))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(settings(&replay.base(), folder.path())).unwrap();
    client
        .search(&tap(&replay.base(), false), &|| false, &mut |event| {
            if let Event::Rows(table) = event {
                let cell = table.strings("ID").unwrap()[0].clone().unwrap_or_default();
                assert!(cell.len() < 100 && !cell.contains("haha"), "{cell}");
            }
        })
        .unwrap();
}

#[test]
fn redirects_lead_to_no_other_scheme_and_not_in_circles() {
    for door in doors() {
        for to in ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"] {
            let replay = Replay::start(always(Reply::redirect(302, to))).unwrap();
            let (told, _, took) = ask(&door, &replay, |_| {});
            let text = words(&door, to, told, took);
            assert!(text.contains("cannot be followed"), "{}: {text}", door.name);
        }
        // From one to the other and back.
        let there = |seen: &Seen, _: usize| {
            let to = if seen.path().starts_with("/a") { "/b" } else { "/a" };
            Some(Reply::redirect(302, to))
        };
        let replay = Replay::start(vec![Route::new("GET", "/", there), Route::new("POST", "/", there)]).unwrap();
        let (told, _, took) = ask(&door, &replay, |_| {});
        let text = words(&door, "circle", told, took);
        assert!(text.contains("without end"), "{}: {text}", door.name);
        assert!(replay.seen().len() <= 60, "{}: {}", door.name, replay.seen().len());
    }
}

#[test]
fn a_web_page_is_no_answer() {
    let page = "<!DOCTYPE html><html><head><title>Scheduled maintenance</title></head><body><p>Back on Monday</p></body></html>";
    for door in doors() {
        let replay = Replay::start(always(Reply::bytes(page).header("Content-Type", "text/html"))).unwrap();
        let (told, rows, took) = ask(&door, &replay, |_| {});
        let text = words(&door, "page", told, took);
        assert!(text.contains("Scheduled maintenance") && rows == 0, "{}: {text}", door.name);
    }
}

#[test]
fn busy_services_are_asked_again_a_few_times_and_no_more() {
    let dates = ["0", "Sun, 06 Nov 1994 08:49:37 GMT"];
    for door in doors() {
        for status in [429, 503] {
            for after in dates {
                let reply = Reply::bytes("too many requests").status(status).header("Retry-After", after);
                let replay = Replay::start(always(reply)).unwrap();
                let (told, _, took) = ask(&door, &replay, |_| {});
                let text = words(&door, "busy", told, took);
                assert!(text.contains(&status.to_string()) && text.contains("too many requests"), "{}: {text}", door.name);
                // Once and once more, for each thing that is asked for (the resolver and the tables have a second way).
                let most = if matches!(door.name, "resolver" | "TAP tables") { 4 } else { 2 };
                assert_eq!(replay.seen().len(), most, "{}", door.name);
            }
        }
    }
    // A date to come, by the service's own clock: one second is waited for, an hour is told.
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let busy = |after: &str| Reply::bytes("later").status(503).header("Date", date).header("Retry-After", after);
    let soon = busy("Sun, 06 Nov 1994 08:49:38 GMT");
    let routes = vec![Route::sequence("POST", "/tap/sync", vec![soon, Reply::bytes(photons())])];
    let replay = Replay::start(routes).unwrap();
    let door = doors().into_iter().find(|d| d.name == "TAP").unwrap();
    let (told, rows, took) = ask(&door, &replay, |_| {});
    assert!(told.is_ok() && rows == 1273 && took >= Duration::from_secs(1), "{told:?} {took:?}");
    let replay = Replay::start(always(busy("Sun, 06 Nov 1994 09:49:37 GMT"))).unwrap();
    let (told, _, took) = ask(&door, &replay, |_| {});
    assert!(words(&door, "hour", told, took).contains("left alone for 60 min"));
    assert_eq!(replay.seen().len(), 1);
}

#[test]
fn a_certificate_that_does_not_fit_ends_it_before_anything_is_sent() {
    let pem = |name: &str| std::fs::read(tls(name)).unwrap();
    for door in doors() {
        // Nobody vouches for the one; the other is vouched for under another name.
        for (name, trust) in [("alone", None), ("server", None), ("elsewhere", Some(tls("authority.pem")))] {
            let body = Reply::bytes((door.good)());
            let replay = Replay::start_tls(always(body), &pem(&format!("{name}.pem")), &pem(&format!("{name}.key"))).unwrap();
            let (told, rows, took) = ask(&door, &replay, |s| s.certificates.clone_from(&trust));
            let text = words(&door, name, told, took);
            assert!(text.contains("certificate") && rows == 0, "{}, {name}: {text}", door.name);
            assert!(replay.seen().is_empty(), "{}, {name}", door.name);
        }
    }
    // With the authority in the settings it is a service like others.
    let door = doors().into_iter().find(|d| d.name == "TAP").unwrap();
    let replay = Replay::start_tls(always(Reply::bytes(photons())), &pem("server.pem"), &pem("server.key")).unwrap();
    let (told, rows, _) = ask(&door, &replay, |s| s.certificates = Some(tls("authority.pem")));
    assert!(told.is_ok() && rows == 1273, "{told:?}");
    // From there back to http: not followed.
    let open = Replay::start(always(Reply::bytes(photons()))).unwrap();
    let to = format!("{}/tap/sync", open.base());
    let replay = Replay::start_tls(always(Reply::redirect(307, &to)), &pem("server.pem"), &pem("server.key")).unwrap();
    let (told, _, took) = ask(&door, &replay, |s| s.certificates = Some(tls("authority.pem")));
    assert!(words(&door, "downgrade", told, took).contains("from https to"));
    assert!(open.seen().is_empty());
    // A file that holds no certificate is said at once.
    let wrong = Services { certificates: Some(tls("server.key")), ..Services::default() };
    assert!(Client::new(wrong).unwrap_err().to_string().contains("no certificate"));
}

#[test]
fn numbers_in_the_place_of_text_are_read() {
    let door = |name: &str| doors().into_iter().find(|d| d.name == name).unwrap();
    let with = |file: &str, from: &str, to: &str| {
        let text = String::from_utf8(fixture(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        text.replace(from, to)
    };
    let cases = [
        ("mast cone", with("mast/caom.json", "\"HST\"", "17"), 19),
        ("mast cone", with("mast/caom.json", "\"pagesFiltered\":1", "\"pagesFiltered\":\"1\""), 19),
        ("mission", with("mast/mission_results.json", "\"totalResults\": 193", "\"totalResults\": \"193\""), 10),
        ("resolver", with("mast/resolver.json", "\"SIMBAD\"", "4"), 0),
        ("mission columns", with("mast/mission_columns.json", "\"qual_type\": \"string\"", "\"field_name\": 3"), 0),
        ("mission products", with("mast/mission_products.json", "\"SHF\"", "12"), 0),
        ("TESScut", with("mast/tess_sector.json", "\"1\"", "1"), 0),
    ];
    for (name, body, least) in cases {
        let replay = Replay::start(always(Reply::bytes(body))).unwrap();
        let (told, rows, _) = ask(&door(name), &replay, |_| {});
        assert!(told.is_ok() && rows >= least, "{name}: {rows} rows, {told:?}");
    }
}

#[test]
fn every_wait_ends_at_once_when_it_is_cancelled() {
    let mut longest = (Duration::ZERO, "");
    for door in doors() {
        let slow = Manner::Slow { chunk: 400, delay: Duration::from_millis(300) };
        for reply in [Reply::bytes("").manner(Manner::Silent), Reply::bytes((door.good)()).manner(slow)] {
            if door.name == "TAP job" && reply.manner != Manner::Silent {
                continue;
            }
            // Small answers are over before they can be cancelled.
            if reply.body.len() < 1000 && reply.manner != Manner::Silent {
                continue;
            }
            let replay = Replay::start(always(reply)).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let client = Client::new(Services { timeout_s: 20.0, ..settings(&replay.base(), folder.path()) }).unwrap();
            let stop = AtomicBool::new(false);
            let took = std::thread::scope(|scope| {
                let asking = scope.spawn(|| {
                    let (told, _) = (door.ask)(&client, &replay.base(), &|| stop.load(Ordering::Relaxed));
                    (told, Instant::now())
                });
                std::thread::sleep(Duration::from_millis(150));
                let asked = Instant::now();
                stop.store(true, Ordering::Relaxed);
                let (told, at) = asking.join().unwrap();
                assert!(matches!(told, Err(Error::Cancelled)), "{}: {told:?}", door.name);
                at.duration_since(asked)
            });
            longest = longest.max((took, door.name));
            // A busy machine may be late; the measured time is printed.
            assert!(took < Duration::from_secs(1), "{}: {took:?}", door.name);
        }
    }
    eprintln!("the longest end took {:?} ({})", longest.0, longest.1);
}
