//! Rows are in sight soon after the byte that holds them: a server on loopback sends them one by one and remembers when.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterism_archive::{Client, Event, Request, Services};

const ROWS: usize = 60;
const STEP: Duration = Duration::from_millis(25);

fn go(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name("server".into()).spawn(work).unwrap();
}

/// Answers the first question with `head`, the rows one by one, and `tail`; all others with 404. Gives its address and the times.
fn trickle<B: AsRef<[u8]> + Send + Sync + 'static, R: AsRef<[u8]>>(
    head: B,
    row: impl Fn(usize) -> R + Send + Sync + 'static,
    tail: B,
) -> (String, Arc<Mutex<Vec<Instant>>>) {
    let all = Arc::new((head, row, tail));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let times = Arc::new(Mutex::new(Vec::new()));
    let sent = times.clone();
    go(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length, mut first) = (String::new(), 0, String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if first.is_empty() {
                    first.clone_from(&line);
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if first.contains("olumn") || !sent.lock().unwrap().is_empty() {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                continue;
            }
            let (sent, all) = (sent.clone(), all.clone());
            go(move || {
                let (head, row, tail) = &*all;
                stream.set_nodelay(true).unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_ref());
                for i in 0..ROWS {
                    std::thread::sleep(STEP);
                    let _ = stream.write_all(row(i).as_ref());
                    sent.lock().unwrap().push(Instant::now());
                }
                // The end comes much later.
                std::thread::sleep(Duration::from_millis(400));
                let _ = stream.write_all(tail.as_ref());
            });
        }
    });
    (base, times)
}

/// How long after it was sent each row was in sight, in order of length; and the rows in the end.
fn delays(request: impl Fn(&str) -> Request, server: (String, Arc<Mutex<Vec<Instant>>>)) -> (Vec<Duration>, usize) {
    let (base, times) = server;
    let client = Client::new(Services { retries: 0, timeout_s: 20.0, saved: vec![], ..Services::at(&base) }).unwrap();
    let (mut here, mut seen): (usize, Vec<(Instant, usize)>) = (0, Vec::new());
    let answer = client
        .search(&request(&base), &|| false, &mut |event| match event {
            Event::Rows(table) => {
                here += table.rows();
                seen.push((Instant::now(), here));
            }
            Event::Early(table) => seen.push((Instant::now(), here + table.rows())),
            _ => {}
        })
        .unwrap();
    assert_eq!(answer.rows, here, "rows that are only in sight are not counted");
    let sent = times.lock().unwrap();
    let mut delays: Vec<Duration> = (0..ROWS)
        .map(|row| seen.iter().find(|(_, count)| *count > row).unwrap().0.saturating_duration_since(sent[row]))
        .collect();
    delays.sort_unstable();
    (delays, here)
}

fn in_time(what: &str, (delays, rows): (Vec<Duration>, usize)) {
    println!("{what}: half of the rows within {:?}, all within {:?}", delays[ROWS / 2], delays[ROWS - 1]);
    assert_eq!(rows, ROWS);
    // The last row waits 400 ms for the end of the page where nothing is shown before it; half a busy machine's second is left open.
    assert!(delays[ROWS / 2] < Duration::from_millis(200), "{what}: {delays:?}");
    assert!(delays[ROWS - 1] < Duration::from_millis(390), "{what}: {delays:?}");
}

#[test]
fn rows_of_a_page_of_mast_are_in_sight_while_it_arrives() {
    let row = |i: usize| format!("{}{{\"obsid\":{i},\"s_ra\":{i}.5,\"obs_id\":\"o{i}\"}}", if i > 0 { "," } else { "" });
    let tail = r#"],"fields":[{"name":"obsid","type":"string"},{"name":"s_ra","type":"float"}],"paging":{"pagesFiltered":1,"rowsFiltered":60}}"#;
    let server = trickle(r#"{"status":"COMPLETE","msg":"","data":["#, row, tail);
    let cone = |_: &str| Request::MastCone { ra_deg: 1.0, dec_deg: 2.0, radius_deg: 0.01, max_rows: None };
    in_time("MAST", delays(cone, server));
}

#[test]
fn rows_of_a_mission_are_in_sight_while_they_arrive() {
    let row = |i: usize| format!("{}{{\"sci_data_set_name\":\"d{i}\",\"sci_ra\":{i}}}", if i > 0 { "," } else { "" });
    let server = trickle(r#"{"messages":[],"totalResults":60,"results":["#, row, "]}");
    let ask = |_: &str| Request::Mission {
        mission: "hst".into(),
        position: Some((1.0, 2.0, 0.01)),
        filters: vec![],
        columns: vec![],
        max_rows: None,
    };
    in_time("mission", delays(ask, server));
}

#[test]
fn rows_of_pan_starrs_are_in_sight_while_they_arrive() {
    let row = |i: usize| format!("{}[{i},{i}.25,-999.0]", if i > 0 { "," } else { "" });
    let head = r#"{"info":[{"name":"objID","type":"long"},{"name":"raMean","type":"double"},{"name":"gMeanPSFMag","type":"double"}],"data":["#;
    let server = trickle(head, row, "]}");
    let ask = |_: &str| Request::MastCatalog {
        catalog: "panstarrs".into(),
        ra_deg: 1.0,
        dec_deg: 2.0,
        radius_deg: 0.01,
        filters: vec![],
        max_rows: None,
    };
    in_time("Pan-STARRS", delays(ask, server));
}

/// A VOTable before its rows.
const HEAD: &str = concat!(
    r#"<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/><TABLE>"#,
    r#"<FIELD name="a" datatype="double"/><FIELD name="b" datatype="int"/><DATA><TABLEDATA>"#
);
/// And behind them.
const TAIL: &str = "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";

fn select(base: &str) -> Request {
    Request::Tap {
        base: format!("{base}/tap"),
        adql: "SELECT a, b FROM t".into(),
        asynchronous: false,
        max_rows: None,
        uploads: vec![],
    }
}

#[test]
fn rows_of_a_votable_are_in_sight_while_they_arrive() {
    let row = |i: usize| format!("<TR><TD>{i}.5</TD><TD>{i}</TD></TR>\n");
    let server = trickle(HEAD, row, TAIL);
    in_time("TAP", delays(select, server));
}

/// The same, packed by a server that does not say so: every row as a piece of the stream that can be unpacked when it is here.
#[test]
fn rows_of_a_packed_votable_are_in_sight_while_they_arrive() {
    let row = |i: usize| format!("<TR><TD>{i}.5</TD><TD>{i}</TD></TR>\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let texts = std::iter::once(HEAD.to_owned()).chain((0..ROWS).map(row));
    for text in texts {
        packed.write_all(text.as_bytes()).unwrap();
        packed.flush().unwrap();
        pieces.push(std::mem::take(packed.get_mut()));
    }
    packed.write_all(TAIL.as_bytes()).unwrap();
    let tail = packed.finish().unwrap();
    let head = pieces.remove(0);
    in_time("TAP, packed", delays(select, trickle(head, move |i| pieces[i].clone(), tail)));
}

/// Rows that are not plain, each cut off in its middle by what is not here yet.
#[test]
fn rows_with_attributes_are_in_sight_while_the_next_one_arrives() {
    let head = format!("{HEAD}<TR ID=\"r\"><TD x=\"y\">");
    let row = |i: usize| format!("{i}.5</TD><TD>{i}</TD></TR>\n<TR ID=\"r{i}\"><TD x=\"y\">");
    let server = trickle(head, row, format!("7</TD><TD>8</TD></TR>{TAIL}"));
    let (times, rows) = delays(select, server);
    // The last one comes with the end.
    assert_eq!(rows, ROWS + 1);
    in_time("TAP, rows with attributes", (times, ROWS));
}
