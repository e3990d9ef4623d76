//! The token in a real keyring: `gnome-keyring-daemon` on a message bus of its own, so that nobody's own keyring is touched.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

use asterism_archive::{Token, keyring};

const INSIDE: &str = "ASTERISM_TEST_KEYRING";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn there(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|f| f.join(program).is_file()))
}

/// What runs inside the bus.
fn inside() {
    assert!(keyring::load().unwrap().is_none(), "nothing is kept at first");
    keyring::save(&Token::new("an-older-one").unwrap()).unwrap();
    keyring::save(&Token::new(SECRET).unwrap()).unwrap();
    assert!(keyring::load().unwrap() == Some(Token::new(SECRET).unwrap()), "the newer one is kept");
    keyring::forget().unwrap();
    assert!(keyring::load().unwrap().is_none(), "it is forgotten");
    keyring::forget().unwrap();
}

#[test]
fn a_token_is_kept_read_and_forgotten_by_a_real_keyring() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !there("gnome-keyring-daemon") || !there("dbus-run-session") {
        eprintln!("skipped: gnome-keyring-daemon and dbus-run-session are not installed");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    let script = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$0\" --exact \
                  a_token_is_kept_read_and_forgotten_by_a_real_keyring --nocapture";
    let run = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(test)
        .env(INSIDE, "1")
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("XDG_RUNTIME_DIR", home.path())
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    assert!(said.contains("1 passed"), "the inner test ran: {said}");
    // The keyring's file on disk is encrypted, and nothing that was said holds the token.
    assert!(!said.contains(SECRET));
}

#[test]
fn no_bus_is_told_plainly() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let test = std::env::current_exe().unwrap();
    if std::env::var_os("ASTERISM_TEST_NO_BUS").is_some() {
        let error = keyring::load().unwrap_err().to_string();
        assert!(error.contains("keyring of this desktop") && error.contains("MAST_API_TOKEN"), "{error}");
        let error = keyring::save(&Token::new(SECRET).unwrap()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET));
        return;
    }
    let run = Command::new(test)
        .args(["--exact", "no_bus_is_told_plainly"])
        .env("ASTERISM_TEST_NO_BUS", "1")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
