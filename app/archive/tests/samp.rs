//! SAMP: this program's hub and client among each other, and with astropy's where it is installed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterism_archive::samp::{Connection, Hub, Message, Value};

fn join(lock: &Path, name: &str) -> (Connection, Receiver<Message>) {
    let (sender, receiver) = sync_channel(64);
    let sender = Mutex::new(sender);
    let on = move |message: Message| {
        let _ = sender.lock().unwrap().send(message);
    };
    (Connection::open(lock, name, Arc::new(on)).unwrap(), receiver)
}

/// The next message that is not one of the hub's.
fn next(of: &Receiver<Message>) -> Message {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let message = of.recv_timeout(end.saturating_duration_since(Instant::now())).expect("a message within 20 s");
        if !message.mtype.starts_with("samp.hub.") {
            return message;
        }
    }
}

fn rows(table: &str, rows: &[u64]) -> Value {
    let list = rows.iter().map(|r| Value::from(r.to_string())).collect();
    Value::map([("table-id", Value::from(table)), ("row-list", Value::List(list))])
}

#[test]
fn what_one_program_sends_another_gets() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join(".samp");
    let refused = Connection::open(&lock, "A", Arc::new(|_| {}));
    assert!(refused.err().unwrap().contains("no SAMP hub runs"));
    let hub = Hub::start(&lock).unwrap();
    assert!(Hub::start(&lock).err().unwrap().contains("runs already"));
    let (a, _from_b) = join(&lock, "Asterism A");
    let (b, from_a) = join(&lock, "Asterism B");
    let peers = a.peers().unwrap();
    assert_eq!(peers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Asterism B"]);
    assert!(peers[0].takes("table.select.rowList") && !peers[0].takes("bibcode.load"));
    let told = a.send(None, "table.select.rowList", rows("t1", &[0, 17])).unwrap();
    assert_eq!(told, [b.id()]);
    let got = next(&from_a);
    assert_eq!(
        (got.mtype.as_str(), got.sender.as_str(), &got.params),
        ("table.select.rowList", "Asterism A", &rows("t1", &[0, 17]))
    );
    a.send(Some(b.id()), "coord.pointAt.sky", Value::map([("ra", "10.68"), ("dec", "41.27")])).unwrap();
    assert_eq!(next(&from_a).params.word("dec"), Some("41.27"));
    let refused = a.send(Some(b.id()), "bibcode.load", Value::map([("bibcode", "x")])).err().unwrap();
    assert!(refused.contains("does not take bibcode.load"), "{refused}");
    drop(b);
    assert!(a.peers().unwrap().is_empty());
    assert!(a.alive());
    drop(hub);
    assert!(!lock.exists(), "the hub takes its lock file away");
    assert!(!a.alive());
}

#[test]
fn a_lock_file_that_was_left_behind_is_no_hub() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join(".samp");
    std::fs::write(&lock, "samp.secret=x\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\n").unwrap();
    let why = Connection::open(&lock, "A", Arc::new(|_| {})).err().unwrap();
    assert!(why.contains("does not answer"), "{why}");
    let hub = Hub::start(&lock).unwrap();
    assert!(join(&lock, "A").0.peers().unwrap().is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(hub);
}

/// A Python with astropy: `$ASTROPY_PYTHON`, else `python3`.
fn python() -> Option<String> {
    let python = std::env::var("ASTROPY_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import astropy.samp"]).stderr(Stdio::null()).status();
    if found.is_ok_and(|s| s.success()) {
        return Some(python);
    }
    eprintln!("skipped: '{python}' has no astropy (set ASTROPY_PYTHON)");
    None
}

#[test]
fn astropys_client_speaks_with_this_hub() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join(".samp");
    let _hub = Hub::start(&lock).unwrap();
    let (a, from_python) = join(&lock, "Asterism");
    // It asks with a call that waits, notifies, and says what it got.
    let script = r#"
import time
from astropy.samp import SAMPIntegratedClient
c = SAMPIntegratedClient(name="astropy"); c.connect()
got = []
c.bind_receive_notification("table.highlight.row", lambda key, sender, mtype, params, extra: got.append(params))
other = [i for i in c.get_registered_clients() if i != "hub"][0]
assert c.get_metadata(other)["samp.name"] == "Asterism"
answer = c.call_and_wait(other, {"samp.mtype": "samp.app.ping", "samp.params": {}}, "10")
assert answer["samp.status"] == "samp.ok", answer
c.notify_all({"samp.mtype": "table.load.votable", "samp.params": {"url": "file:///x.vot", "table-id": "7", "name": "a & b"}})
end = time.time() + 20
while not got and time.time() < end: time.sleep(0.05)
assert got == [{"table-id": "7", "row": "3"}], got
c.disconnect()
print("done")
"#;
    let url = format!("std-lockurl:file://{}", lock.display());
    let child = Command::new(python).args(["-c", script]).env("SAMP_HUB", url).stdout(Stdio::piped()).spawn().unwrap();
    let got = next(&from_python);
    assert_eq!((got.mtype.as_str(), got.sender.as_str()), ("table.load.votable", "astropy"));
    assert_eq!(got.params.word("name"), Some("a & b"));
    let peers = a.peers().unwrap();
    assert!(peers[0].name == "astropy" && peers[0].takes("table.highlight.row"), "{peers:?}");
    a.send(None, "table.highlight.row", Value::map([("table-id", "7"), ("row", "3")])).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "done");
}

#[test]
fn this_client_speaks_with_astropys_hub() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join(".samp");
    let script = "import sys, time\nfrom astropy.samp import SAMPHubServer\n\
                  h = SAMPHubServer(lockfile=sys.argv[1], web_profile=False, addr='127.0.0.1'); h.start()\n\
                  sys.stdin.read(); h.stop()";
    let mut child =
        Command::new(python).args(["-c", script]).arg(&lock).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(&lock).is_ok_and(|t| t.contains("xmlrpc.url")) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(200));
    {
        let (a, _) = join(&lock, "A");
        let (b, from_a) = join(&lock, "B");
        assert_eq!(a.peers().unwrap().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["B"]);
        a.send(None, "image.load.fits", Value::map([("url", "file:///m31.fits"), ("image-id", "1"), ("name", "M 31")])).unwrap();
        assert_eq!(next(&from_a).params.word("name"), Some("M 31"));
        drop(b);
    }
    drop(child.stdin.take());
    let _ = child.wait();
}
