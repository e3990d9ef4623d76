//! Partitioned catalogues on loopback: rows by cone, columns and predicate, and how many bytes that takes.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use asterism_archive::replay::{Replay, Reply, Route};
use asterism_archive::{Client, Error, Event, Request, Services};
use asterism_data::hats::{Cell, Cone};
use asterism_data::parquet_parts::TAIL_BYTES;
use asterism_data::{ColumnMeta, RowSet, Table, write::write_stream};

const ROWS: usize = 60_000;

/// A catalogue of two cells of order 1 around (45°, 0°), each in groups of rows that are sorted by their HEALPix number, with a
/// column of text that is most of its bytes.
fn made(folder: &Path) -> (Vec<f64>, Vec<f64>, u64) {
    let mut list = "Norder,Npix\n".to_owned();
    let mut rows: Vec<(u64, f64, f64)> = (0..ROWS)
        .map(|i| {
            let (a, b) = ((i as f64 * 0.754_877_666).fract(), (i as f64 * 0.569_840_290).fract());
            let (ra, dec) = (30.0 + 30.0 * a, -15.0 + 30.0 * b);
            (Cell::of(ra, dec, 29).unwrap().pixel, ra, dec)
        })
        .collect();
    rows.sort_by_key(|r| r.0);
    let mut table = Table::default();
    let meta = || ColumnMeta::default();
    table.with_f64_column("ra", rows.iter().map(|r| r.1).collect(), meta()).unwrap();
    table.with_f64_column("dec", rows.iter().map(|r| r.2).collect(), meta()).unwrap();
    table.with_f32_column("mag", (0..ROWS).map(|i| (i % 1000) as f32 / 50.0).collect(), meta()).unwrap();
    let text =
        |i: usize| (0..6).map(|k| format!("{:016x}", (i as u64 + 7 * k).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>();
    table.with_string_column("notes", (0..ROWS).map(text).collect(), meta()).unwrap();
    table.with_i64_column("_healpix_29", rows.iter().map(|r| r.0 as i64).collect(), meta()).unwrap();
    let mut cells: Vec<u64> = rows.iter().map(|r| r.0 >> 56).collect();
    cells.dedup();
    let mut bytes = 0;
    for pixel in cells {
        let inside: Vec<usize> = (0..ROWS).filter(|i| rows[*i].0 >> 56 == pixel).collect();
        let path = folder.join(format!("dataset/Norder=1/Dir=0/Npix={pixel}.parquet"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_stream(&path, &mut |put| {
            for group in inside.chunks(2000) {
                put(table.take(&RowSet::from_rows(ROWS, group.iter().copied()))?)?;
            }
            Ok(())
        })
        .unwrap();
        bytes += std::fs::metadata(&path).unwrap().len();
        list.push_str(&format!("1,{pixel}\n"));
    }
    std::fs::write(folder.join("partition_info.csv"), list).unwrap();
    std::fs::write(folder.join("hats.properties"), "obs_collection=made\ndataproduct_type=object\nhats_nrows=60000\n").unwrap();
    (rows.iter().map(|r| r.1).collect(), rows.iter().map(|r| r.2).collect(), bytes)
}

/// A server of a folder: with ranges as RFC 9110 has them, or without. Counts the bytes of bodies.
fn serve(folder: PathBuf, ranges: bool, sent: Arc<AtomicUsize>, changes: bool) -> Replay {
    let route = Route::new("GET", "/", move |seen, before| {
        let path = seen.path().trim_start_matches("/sky/");
        let Ok(mut body) = std::fs::read(folder.join(path)) else { return Some(Reply::bytes("nothing here").status(404)) };
        let total = body.len();
        let asked = seen.header("range").and_then(|r| r.strip_prefix("bytes=")).filter(|_| ranges).map(str::to_owned);
        let mut reply = None;
        if let Some((first, last)) = asked.as_deref().and_then(|r| r.split_once('-')) {
            let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
                (Ok(a), Ok(b)) => (a, b.min(total - 1)),
                (Ok(a), Err(_)) => (a, total - 1),
                (_, Ok(n)) => (total.saturating_sub(n), total - 1),
                _ => return Some(Reply::bytes("").status(416)),
            };
            // A file that grew between two requests.
            let total = if changes && before > 4 { total + 1 } else { total };
            body = body[first..=last].to_vec();
            reply =
                Some(Reply::bytes(body.clone()).status(206).header("Content-Range", &format!("bytes {first}-{last}/{total}")));
        }
        sent.fetch_add(body.len(), Ordering::Relaxed);
        Some(reply.unwrap_or_else(|| Reply::bytes(body)))
    });
    Replay::start(vec![route]).unwrap()
}

fn ask(
    replay: &Replay,
    request: impl FnOnce(String) -> Request,
) -> (asterism_archive::Result<asterism_archive::Answer>, Table, usize) {
    let client = Client::new(Services { retries: 0, timeout_s: 10.0, ..Services::default() }).unwrap();
    let (mut table, mut pieces) = (Table::default(), 0);
    let answer = client.search(&request(format!("{}/sky", replay.base())), &|| false, &mut |event| {
        if let Event::Rows(rows) = event {
            pieces += 1;
            table.append(&rows).unwrap();
        }
    });
    (answer, table, pieces)
}

fn hats(base: String, cone: Option<Cone>, columns: &[&str], filter: Option<&str>, max_rows: Option<usize>) -> Request {
    let position = cone.map(|c| (c.ra_deg, c.dec_deg, c.radius_deg));
    Request::Hats {
        base,
        position,
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        filter: filter.map(str::to_owned),
        max_rows,
    }
}

#[test]
fn a_cone_takes_only_the_bytes_it_needs() {
    let scratch = tempfile::tempdir().unwrap();
    let (ra, dec, whole) = made(scratch.path());
    let sent = Arc::new(AtomicUsize::new(0));
    let replay = serve(scratch.path().into(), true, sent.clone(), false);
    let cone = Cone { ra_deg: 45.0, dec_deg: 3.0, radius_deg: 2.0 };
    let within: Vec<usize> = (0..ROWS).filter(|i| cone.contains(ra[*i], dec[*i])).collect();
    assert!(within.len() > 500);
    let (answer, table, _) = ask(&replay, |b| hats(b, Some(cone), &["mag", "ra"], None, None));
    let answer = answer.unwrap();
    assert_eq!((answer.rows, table.rows(), answer.truncated), (within.len(), within.len(), false));
    assert_eq!(table.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["mag", "ra"]);
    let mut got = table.f64s("ra").unwrap();
    let mut want: Vec<f64> = within.iter().map(|i| ra[*i]).collect();
    got.sort_by(f64::total_cmp);
    want.sort_by(f64::total_cmp);
    assert_eq!(got, want);
    let bytes = sent.swap(0, Ordering::Relaxed) as u64;
    // The ends of the cells' files, and of the groups that the cone meets two columns and the positions.
    assert!(bytes < 4 * TAIL_BYTES + whole / 100, "{bytes} of {whole} bytes");
    assert!(answer.text.contains("files"), "{}", answer.text);
    // All columns of the same rows: most of it is text, and still only groups that are met.
    let (answer, table, _) = ask(&replay, |b| hats(b, Some(cone), &[], None, None));
    assert_eq!((answer.unwrap().rows, table.columns().len()), (within.len(), 5));
    let bytes = sent.swap(0, Ordering::Relaxed) as u64;
    assert!(bytes < whole / 4, "{bytes} of {whole} bytes");
    // A predicate on a column that is not wanted.
    let (answer, table, _) = ask(&replay, |b| hats(b, Some(cone), &["ra"], Some("mag < 2 AND dec > 3"), None));
    let want = within.iter().filter(|i| (**i % 1000) as f64 / 50.0 < 2.0 && dec[**i] > 3.0).count();
    assert!(want > 10);
    assert_eq!((answer.unwrap().rows, table.columns().len()), (want, 1));
    // A number of rows ends it early.
    sent.store(0, Ordering::Relaxed);
    let (answer, table, _) = ask(&replay, |b| hats(b, None, &["ra"], None, Some(100)));
    assert_eq!((answer.unwrap().truncated, table.rows()), (true, 100));
    assert!((sent.load(Ordering::Relaxed) as u64) < TAIL_BYTES + whole / 20);
    // Nothing there: a table of these columns and no rows.
    let nowhere = Cone { ra_deg: 200.0, dec_deg: 60.0, radius_deg: 0.1 };
    let (answer, table, _) = ask(&replay, |b| hats(b, Some(nowhere), &["mag"], None, None));
    assert_eq!((answer.unwrap().rows, table.rows(), table.columns().len()), (0, 0, 1));
}

#[test]
fn a_server_without_ranges_gives_whole_files_within_a_limit() {
    let scratch = tempfile::tempdir().unwrap();
    let (ra, dec, _) = made(scratch.path());
    let sent = Arc::new(AtomicUsize::new(0));
    let replay = serve(scratch.path().into(), false, sent, false);
    let cone = Cone { ra_deg: 45.0, dec_deg: 3.0, radius_deg: 1.0 };
    let (answer, table, _) = ask(&replay, |b| hats(b, Some(cone), &["ra"], None, None));
    let answer = answer.unwrap();
    assert_eq!(table.rows(), (0..ROWS).filter(|i| cone.contains(ra[*i], dec[*i])).count());
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    assert!(answer.warnings[0].contains("whole files"));
    let client = Client::new(Services { answer_gb: 0.000_1, retries: 0, ..Services::default() }).unwrap();
    let request = hats(format!("{}/sky", replay.base()), Some(cone), &["ra"], None, None);
    let error = client.search(&request, &|| false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn what_goes_wrong_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    made(scratch.path());
    let sent = Arc::new(AtomicUsize::new(0));
    let cone = Cone { ra_deg: 45.0, dec_deg: 3.0, radius_deg: 2.0 };
    let replay = serve(scratch.path().into(), true, sent.clone(), true);
    let text = ask(&replay, |b| hats(b, Some(cone), &["notes"], None, None)).0.unwrap_err().to_string();
    assert!(text.contains("changed while it was read"), "{text}");
    let replay = serve(scratch.path().into(), true, sent.clone(), false);
    let text = ask(&replay, |b| hats(b, Some(cone), &["colour"], None, None)).0.unwrap_err().to_string();
    assert!(text.contains("colour"), "{text}");
    let text = ask(&replay, |b| hats(b, Some(cone), &["ra"], Some("mag <"), None)).0.unwrap_err().to_string();
    assert!(text.contains("expression"), "{text}");
    let text = ask(&replay, |b| hats(format!("{b}/elsewhere"), Some(cone), &[], None, None)).0.unwrap_err().to_string();
    assert!(text.contains("no HATS catalogue"), "{text}");
    let bad = Cone { dec_deg: 95.0, ..cone };
    assert!(ask(&replay, |b| hats(b, Some(bad), &[], None, None)).0.is_err());
    // A cell's file that is a page of words, and one that breaks off.
    let file = std::fs::read_dir(scratch.path().join("dataset/Norder=1/Dir=0")).unwrap().flatten().next().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    for broken in [b"<html>busy</html>".to_vec(), bytes[..bytes.len() / 2].to_vec()] {
        for other in std::fs::read_dir(file.parent().unwrap()).unwrap().flatten() {
            std::fs::write(other.path(), &broken).unwrap();
        }
        let text = ask(&replay, |b| hats(b, Some(cone), &[], None, None)).0.unwrap_err().to_string();
        assert!(text.contains("no Parquet file"), "{text}");
    }
    // Ended by the person.
    let client = Client::new(Services::default()).unwrap();
    let request = hats(format!("{}/sky", replay.base()), Some(cone), &[], None, None);
    assert!(matches!(client.search(&request, &|| true, &mut |_| {}), Err(Error::Cancelled)));
}
