//! Maps in space and the sky with its layers, as pictures on whatever adapter there is, in both themes; and a soak of the window:
//! pans, brushes and resizes without growth in memory or an error of the graphics device.

use std::path::Path;
use std::time::{Duration, Instant};

use asterism::theme::Theme;
use asterism::window::App;
use asterism_session::reduce::{Method, Params};
use asterism_session::{Command, Plot, Provenance, Session, Settings};
use egui::accesskit::Role;
use egui::{Color32, Key, Modifiers, Rect, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::NodeT;

use crate::drive::*;

/// A window that really draws; `None`, said aloud, where nothing can.
fn drawn(light: bool, open: &str) -> Option<Window> {
    home();
    if let Err(e) = asterism_render::headless::device() {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "{e}");
        eprintln!("skipped: {e}");
        return None;
    }
    let settings = Settings { light_theme: light, ..Settings::default() };
    let open = vec![open.into()];
    let mut w = Harness::builder()
        .with_size([1600.0, 1000.0])
        .with_max_steps(2)
        .with_render_cursor(false)
        .wgpu()
        .build_eframe(move |cc| App::new(cc, Session::new(settings), open));
    until(&mut w, "rows", |w| rows(w) > 0 && !w.state().session.busy());
    Some(w)
}

/// What panes make in threads of their own.
fn settle(w: &mut Window) {
    for _ in 0..40 {
        w.step();
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn has_canvas(w: &Window, name: &str) -> bool {
    let is = |n: &egui_kittest::Node<'_>| {
        n.accesskit_node().role() == Role::Canvas && n.accesskit_node().label().as_deref() == Some(name)
    };
    w.root().children_recursive().any(|n| is(&n))
}

fn canvas(w: &Window, name: &str) -> Rect {
    let is = |n: &egui_kittest::Node<'_>| {
        n.accesskit_node().role() == Role::Canvas && n.accesskit_node().label().as_deref() == Some(name)
    };
    w.root().children_recursive().find(is).unwrap_or_else(|| panic!("no canvas '{name}'")).rect()
}

/// Share of a part of the picture that is about this colour.
fn share(picture: &image::RgbaImage, part: Rect, colour: Color32, by: i32) -> f64 {
    let (mut all, mut hit) = (0, 0);
    for y in part.top() as u32..(part.bottom() as u32).min(picture.height()) {
        for x in part.left() as u32..(part.right() as u32).min(picture.width()) {
            let p = picture.get_pixel(x, y).0;
            all += 1;
            hit += usize::from((0..3).all(|i| (i32::from(p[i]) - i32::from(colour.to_array()[i])).abs() <= by));
        }
    }
    hit as f64 / f64::from(all.max(1))
}

fn keep(w: &mut Window, name: &str) -> image::RgbaImage {
    let picture = w.render().expect("a picture");
    if let Some(to) = std::env::var_os("ASTERISM_TEST_PICTURES") {
        picture.save(Path::new(&to).join(name)).expect("kept");
    }
    picture
}

fn theme_of(light: bool) -> (Theme, &'static str) {
    if light { (Theme::light(), "light") } else { (Theme::dark(), "dark") }
}

fn in_space(light: bool) {
    let Some(mut w) = drawn(light, "sample:a478") else { return };
    let (theme, word) = theme_of(light);
    key(&mut w, Modifiers::NONE, Key::Escape);
    let params = Params { method: Method::Pca, dims: 3, ..Params::default() };
    w.state_mut().session.apply(Command::StartMap { name: String::new(), params }).expect("a map");
    until(&mut w, "the map in space", |w| front(w).map().is_some_and(|m| m.coords.dims == 3) && !w.state().session.busy());
    settle(&mut w);
    let plot = canvas(&w, "Scatter plot in three dimensions");
    let before = keep(&mut w, &format!("space-{word}.png"));
    let ground = share(&before, plot, theme.pane, 6);
    assert!(ground > 0.3 && ground < 0.995, "{ground:.3} of the map is ground");
    // A drag turns it: the marks move and nothing is selected.
    drag(&mut w, &[plot.center(), plot.center() + vec2(120.0, 30.0)], Modifiers::NONE);
    settle(&mut w);
    let after = w.render().expect("a picture");
    let differ = before
        .enumerate_pixels()
        .filter(|(x, y, p)| plot.contains(egui::pos2(*x as f32, *y as f32)) && after.get_pixel(*x, *y) != *p);
    assert!(differ.count() > 500 && selected(&w).is_empty(), "it was turned");
    // A lasso takes what is seen in it, and says by which axes.
    drag(&mut w, &around(plot, [0.3, 0.6], [0.2, 0.8]), Modifiers::SHIFT);
    let steps = w.state().session.doc().selection.steps.clone();
    let Some(why @ Provenance::Shape { plot: Plot::MapAxes { axes, .. }, .. }) = steps.last().map(|(_, why)| &**why) else {
        panic!("{:?}", steps.last())
    };
    assert!(axes.iter().all(|a| a.len() == 3) && axes[0][2].abs() < 1e-9, "{axes:?}");
    let again = asterism_session::select::rows_of(front(&w), why).expect("it can be repeated");
    assert_eq!(again.xor(&selected(&w)).count(), 0);
    assert!(again.count() > 0 && again.count() < rows(&w));
}

#[test]
fn a_map_in_space_is_turned_and_brushed_dark() {
    in_space(false);
}

#[test]
fn a_map_in_space_is_turned_and_brushed_light() {
    in_space(true);
}

/// A survey of twelve plain tiles, a coverage, and rows with footprints.
fn sky_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let text = "obs_title = Plain sky\nobs_copyright = nobody\nhips_order = 0\nhips_order_min = 0\nhips_frame = equatorial\nhips_tile_format = png\n";
    std::fs::write(at.join("properties"), text).expect("written");
    std::fs::create_dir_all(at.join("Norder0/Dir0")).expect("a folder");
    for n in 0..12 {
        let tile = image::RgbaImage::from_pixel(64, 64, image::Rgba([200, 60, 60, 255]));
        tile.save(at.join(format!("Norder0/Dir0/Npix{n}.png"))).expect("written");
    }
    std::fs::write(at.join("coverage.txt"), "5/0-400").expect("written");
    let mut csv = String::from("name,ra,dec,s_region\n");
    for i in 0..40 {
        let (ra, dec) = (f64::from(i * 37 % 360), f64::from(i * 53 % 160) - 80.0);
        csv.push_str(&format!("r{i},{ra},{dec},CIRCLE ICRS {ra} {dec} 6\n"));
    }
    std::fs::write(at.join("rows.csv"), csv).expect("written");
    folder
}

fn on_the_sky(light: bool) {
    let folder = sky_folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let Some(mut w) = drawn(light, &at("rows.csv")) else { return };
    let (_, word) = theme_of(light);
    until(&mut w, "the sky", |w| has_canvas(w, "Sky"));
    settle(&mut w);
    let sky = canvas(&w, "Sky");
    let without = w.render().expect("a picture");
    let red = Color32::from_rgb(160, 48, 48);
    assert!(share(&without, sky, red, 12) < 0.01);
    press(&mut w, "layers");
    fill(&mut w, "Survey: address or folder of a HiPS", &at(""));
    fill(&mut w, "Coverage: address or file of a MOC", &at("coverage.txt"));
    key(&mut w, Modifiers::NONE, Key::Escape);
    settle(&mut w);
    settle(&mut w);
    let with = keep(&mut w, &format!("sky-{word}.png"));
    let covered = share(&with, sky, red, 12);
    assert!(covered > 0.3, "the survey covers {covered:.3} of the view");
    // A click inside a footprint, away from its mark, selects its row.
    let fit = (f64::from(sky.width() - 20.0) / 5.8).min(f64::from(sky.height() - 20.0) / 3.0);
    let flat = asterism_session::sky::Flat::new(asterism_session::sky::Projection::Mollweide, [180.0, 0.0]);
    let row = 5usize; // at 185°, 25°
    let [x, y] = flat.plane(185f64.to_radians(), (25.0f64 + 3.5).to_radians());
    let place = sky.center() + vec2((x * fit) as f32, (-y * fit) as f32);
    w.event(egui::Event::PointerMoved(place));
    w.step();
    for pressed in [true, false] {
        w.event(egui::Event::PointerButton {
            pos: place,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        });
        w.step();
    }
    w.step();
    assert_eq!(selected(&w).iter().collect::<Vec<_>>(), [row], "the row whose footprint was clicked");
}

#[test]
fn the_sky_has_a_survey_a_coverage_and_footprints_dark() {
    on_the_sky(false);
}

#[test]
fn the_sky_has_a_survey_a_coverage_and_footprints_light() {
    on_the_sky(true);
}

/// Resident memory of this process, bytes; 0 where it cannot be read.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|p| p.parse::<u64>().ok()).map_or(0, |p| p * 4096)
}

/// Some seconds by default; `ASTERISM_SOAK=300` for five minutes. An error of the device would panic in the frame that made it.
/// It runs in a process of its own, whose memory no other test shares.
/// A folder whose settings make Vulkan's validation layers say on the output what they find, and that they look on.
///
/// wgpu's own messages are not used for it: it asks for them together with the source of each shader, whose language layers of 2023 take for
/// an error.
fn layers_speak() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\nkhronos_validation.log_filename = stdout\n\
                    khronos_validation.report_flags = error,info\n";
    std::fs::write(folder.path().join("vk_layer_settings.txt"), settings).expect("written");
    folder
}

/// The layers found nothing wrong; says aloud where none looked on.
fn judged(said: &str) {
    let errors: Vec<&str> = said.lines().filter(|l| l.contains("Validation Error")).collect();
    assert!(errors.is_empty(), "{} errors of the graphics device: {:#?}", errors.len(), &errors[..errors.len().min(20)]);
    if said.contains("khronos-validation-createinstance-status-message") {
        eprintln!("Vulkan's validation layers looked on and found nothing");
    } else {
        assert!(std::env::var("ASTERISM_VALIDATION").as_deref() != Ok("required"), "the validation layers are not installed");
        eprintln!("not judged by Vulkan's validation layers: install them (Debian: vulkan-validationlayers)");
    }
}

#[test]
fn a_long_use_of_the_window_holds() {
    const ALONE: &str = "ASTERISM_SOAK_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().expect("the tests themselves");
        let layers = layers_speak();
        let out = std::process::Command::new(this)
            .args(["space::a_long_use_of_the_window_holds", "--exact", "--nocapture"])
            .env(ALONE, "1")
            // Vulkan's own validation layers look on, where they are installed.
            .envs([("WGPU_VALIDATION", "1"), ("WGPU_DEBUG", "0")])
            .env("VK_LAYER_SETTINGS_PATH", layers.path())
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        println!("{said}");
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
        judged(&said);
        return;
    }
    // As the program does.
    asterism::few_heaps();
    let seconds = std::env::var("ASTERISM_SOAK").ok().and_then(|s| s.parse().ok()).unwrap_or(8);
    let Some(mut w) = drawn(false, "sample:a478") else { return };
    until(&mut w, "the map", |w| front(w).map().is_some() && !w.state().session.busy());
    // Another table, to go to and fro between the two.
    w.state_mut().session.apply(Command::OpenSample { name: "spex".into() }).expect("a sample");
    until(&mut w, "its map", |w| front(w).map().is_some() && !w.state().session.busy());
    let (start, whole) = (Instant::now(), Duration::from_secs(seconds));
    let (mut turn, mut first): (u32, Option<(u32, u64)>) = (0, None);
    // Six turns at least to fill what is kept between frames, and six to be judged.
    while start.elapsed() < whole || turn < first.map_or(12, |(from, _)| from + 6) {
        if turn % 4 == 0 {
            let index = turn as usize / 4 % 2;
            w.state_mut().session.apply(Command::Activate { index }).expect("a table");
            (0..3).for_each(|_| w.step());
        }
        let size = [vec2(1600.0, 1000.0), vec2(1280.0, 720.0), vec2(1400.0, 900.0)][turn as usize % 3];
        w.set_size(size);
        w.step();
        let plot = canvas(&w, "Scatter plot");
        drag(&mut w, &[plot.center(), plot.center() + vec2(40.0, 25.0)], Modifiers::NONE);
        let x = 0.1 + 0.1 * (turn % 5) as f32;
        drag(&mut w, &around(plot, [x, x + 0.3], [0.2, 0.7]), Modifiers::SHIFT);
        w.render().expect("a picture");
        key(&mut w, Modifiers::NONE, Key::Escape);
        key(&mut w, Modifiers::COMMAND, Key::Z);
        w.render().expect("a picture");
        turn += 1;
        // Of outlines that are added to each other for ever each would stay: a person lets a selection go now and then.
        if turn % 16 == 0 {
            key(&mut w, Modifiers::NONE, Key::Escape);
        }
        if turn % 64 == 0 {
            eprintln!("turn {turn}: {} MB", memory() / 1_000_000);
        }
        if first.is_none() && turn >= 6 && start.elapsed() > whole / 3 {
            first = Some((turn, memory()));
        }
    }
    let (from, before) = first.unwrap_or((turn, memory()));
    let grown = memory().saturating_sub(before);
    eprintln!("{turn} turns; memory grew by {} MB in the last {}", grown / 1_000_000, turn - from);
    assert!(grown < 120_000_000, "memory grew by {} MB over {} turns", grown / 1_000_000, turn - from);
}
