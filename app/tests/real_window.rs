//! One real window under Xvfb, driven with real mouse and key events; its picture is looked at.
//!
//! Needs Xvfb, xdotool and ImageMagick's `import`, which `make test` installs; without them the
//! test says aloud that it is skipped, unless `ASTERISM_XVFB=required`.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn there(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn on(display: &str, words: &[&str]) -> String {
    let out = Command::new(words[0]).args(&words[1..]).env("DISPLAY", display).output().expect("a tool starts");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn shot(display: &str, to: &Path) -> image::RgbImage {
    on(display, &["import", "-window", "root", to.to_str().expect("a path")]);
    image::open(to).expect("a screenshot").to_rgb8()
}

/// Pixels within a part of the picture (fractions of its size) for which `is` holds.
fn count(picture: &image::RgbImage, part: [f64; 4], is: impl Fn([u8; 3]) -> bool) -> usize {
    let (w, h) = (f64::from(picture.width()), f64::from(picture.height()));
    let (x0, y0, x1, y1) = ((part[0] * w) as u32, (part[1] * h) as u32, (part[2] * w) as u32, (part[3] * h) as u32);
    (x0..x1).flat_map(|x| (y0..y1).map(move |y| (x, y))).filter(|(x, y)| is(picture.get_pixel(*x, *y).0)).count()
}

/// The lassoed subset's orange.
fn orange(picture: &image::RgbImage, part: [f64; 4]) -> usize {
    count(picture, part, |p| p[0] > 150 && (90..200).contains(&p[1]) && p[2] < 80)
}

/// The sky blue of a selection outside any subset.
fn blue(picture: &image::RgbImage, part: [f64; 4]) -> usize {
    count(picture, part, |p| p[0] < 130 && p[1] > 120 && p[2] > 160)
}

#[test]
fn a_person_sees_the_filament_and_can_clear_it_and_take_that_back() {
    if !(there("Xvfb") && there("xdotool") && there("import")) {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "Xvfb, xdotool or import is missing");
        eprintln!("skipped: Xvfb, xdotool and ImageMagick are not all here");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut xvfb = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1600x1000x24", "-nolisten", "tcp", "-noreset"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb starts");
    let mut number = String::new();
    let mut out = xvfb.stdout.take().expect("its output");
    let mut byte = [0];
    while out.read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
        number.push(byte[0] as char);
    }
    let _xvfb = Ended(xvfb);
    let display = format!(":{}", number.trim());
    let run = folder.path().join("run");
    std::fs::create_dir_all(&run).expect("a folder");
    let started = |home: &Path, words: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_asterism"))
            .args(words)
            .env("DISPLAY", &display)
            .env("ASTERISM_HOME", home)
            .env("XDG_RUNTIME_DIR", &run)
            .env_remove("WAYLAND_DISPLAY")
            .stderr(Stdio::null())
            .spawn();
        Ended(program.expect("the program starts"))
    };
    let mut program = started(folder.path(), &[]);
    // The map is made, and the filament lassoed: its orange shows on the map and on the image.
    let (map, right) = ([0.2, 0.1, 0.62, 0.7], [0.66, 0.08, 1.0, 0.66]);
    let png = folder.path().join("shot.png");
    let start = Instant::now();
    let mut picture = loop {
        std::thread::sleep(Duration::from_millis(700));
        assert!(program.0.try_wait().expect("a status").is_none(), "the program ended");
        let picture = shot(&display, &png);
        if orange(&picture, map) > 150 && orange(&picture, right) > 150 {
            break picture;
        }
        if start.elapsed() >= Duration::from_secs(150) {
            let kept = std::env::temp_dir().join("asterism-real-window.png");
            let _ = picture.save(&kept);
            panic!("no filament after 150 s: {}", kept.display());
        }
    };
    assert!(picture.pixels().collect::<std::collections::HashSet<_>>().len() > 100, "the window is empty");
    let window = on(&display, &["xdotool", "search", "--name", "Asterism"]);
    assert!(!window.is_empty(), "no window is named Asterism");
    // No window manager here gives the keyboard to anyone.
    let window = window.lines().next().expect("a line").to_owned();
    on(&display, &["xdotool", "windowfocus", "--sync", &window, "sleep", "0.5"]);
    let wait_until = |what: &str, good: &dyn Fn(&image::RgbImage) -> bool| {
        let start = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let picture = shot(&display, &png);
            if good(&picture) {
                return picture;
            }
            assert!(start.elapsed() < Duration::from_secs(40), "{what}");
        }
    };
    // A lasso with Shift adds the whole map; Undo takes it back.
    let before = orange(&picture, map);
    assert!(blue(&picture, map) < 50, "rows outside the filament are selected already");
    on(&display, &["xdotool", "mousemove", "395", "180", "keydown", "shift", "mousedown", "1"]);
    for (x, y) in [(395, 400), (395, 620), (700, 630), (1020, 630), (1030, 400), (1030, 120), (700, 118), (400, 170)] {
        on(&display, &["xdotool", "mousemove", &x.to_string(), &y.to_string(), "sleep", "0.15"]);
    }
    on(&display, &["xdotool", "mouseup", "1", "keyup", "shift"]);
    picture = wait_until("Shift+drag added nothing", &|p| blue(p, map) > 2000 && orange(p, map) * 10 > before * 9);
    let lassoed = blue(&picture, map);
    on(&display, &["xdotool", "key", "ctrl+z"]);
    wait_until("Ctrl+Z did not take the lasso back", &|p| blue(p, map) < lassoed / 20 && orange(p, map) * 10 > before * 9);

    // The start page, where it is asked for: its first button stands where the map was, and no map does.
    drop(program);
    let home = folder.path().join("fresh");
    let _program = started(&home, &["--start-page"]);
    let button = [0.3, 0.5, 0.6, 0.7];
    let filled = |p: &image::RgbImage| count(p, button, |p| p[0] < 70 && (80..130).contains(&p[1]) && (140..200).contains(&p[2]));
    let picture = wait_until("no start page", &|p| filled(p) > 1500);
    assert!(orange(&picture, map) < 20, "the start page is covered by a map");
}
