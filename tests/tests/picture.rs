//! The whole window as a picture, on whatever adapter there is (Mesa's software Vulkan in CI), dark and light at 1280 × 720: no
//! pane is blank, what is selected shows in its colour in every view, and no text is cut off at an edge.
//!
//! Parts of the picture are measured; a recorded picture would change with every font hinting and every driver.

use asterism::theme::Theme;
use asterism::window::App;
use asterism_session::{Session, Settings};
use egui::accesskit::Role;
use egui::{Color32, Key, Modifiers, Rect, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::NodeT;

use crate::drive::*;

/// A window that really draws; `None`, said aloud, where nothing can.
fn drawn(light: bool) -> Option<Window> {
    home();
    if let Err(e) = asterism_render::headless::device() {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "{e}");
        eprintln!("skipped: {e}");
        return None;
    }
    let settings = Settings { light_theme: light, ..Settings::default() };
    let mut w = Harness::builder()
        .with_size([1280.0, 720.0])
        .with_max_steps(2)
        .with_render_cursor(false)
        .wgpu()
        .build_eframe(move |cc| App::new(cc, Session::new(settings), vec!["sample:a478".into()]));
    until(&mut w, "the map", |w| w.state().session.doc().selection.any() && !w.state().session.busy());
    // What panes make in threads of their own.
    for _ in 0..40 {
        w.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Some(w)
}

type Picture = image::RgbaImage;

/// Pixels of a part of the picture.
pub(crate) fn pixels(picture: &Picture, part: Rect) -> impl Iterator<Item = [u8; 3]> + '_ {
    let (w, h) = (picture.width(), picture.height());
    let x = (part.left().max(0.0) as u32)..(part.right() as u32).min(w);
    let y = (part.top().max(0.0) as u32)..(part.bottom() as u32).min(h);
    y.flat_map(move |y| x.clone().map(move |x| (x, y))).map(|(x, y)| {
        let p = picture.get_pixel(x, y).0;
        [p[0], p[1], p[2]]
    })
}

pub(crate) fn near(p: [u8; 3], c: Color32, by: i32) -> bool {
    (0..3).all(|i| (i32::from(p[i]) - i32::from(c.to_array()[i])).abs() <= by)
}

/// Share of the pixels that are not the background, and how many colours there are.
fn ink(picture: &Picture, part: Rect, background: Color32) -> (f64, usize) {
    let all: Vec<[u8; 3]> = pixels(picture, part).collect();
    let marked = all.iter().filter(|p| !near(**p, background, 6)).count();
    (marked as f64 / all.len().max(1) as f64, all.iter().collect::<std::collections::HashSet<_>>().len())
}

pub(crate) fn rect_of(w: &Window, role: Role, name: &str) -> Option<Rect> {
    let node = w
        .root()
        .children_recursive()
        .find(|n| n.accesskit_node().role() == role && n.accesskit_node().label().is_some_and(|l| l.starts_with(name)))?;
    Some(node.rect())
}

/// The colour of the sample's subset: what is selected shows in it.
pub(crate) fn lit(picture: &Picture, part: Rect, colour: [u8; 3]) -> usize {
    let c = Color32::from_rgb(colour[0], colour[1], colour[2]);
    pixels(picture, part).filter(|p| near(*p, c, 40)).count()
}

fn check(light: bool) {
    let Some(mut w) = drawn(light) else { return };
    let theme = if light { Theme::light() } else { Theme::dark() };
    let picture = w.render().expect("a picture");
    assert_eq!((picture.width(), picture.height()), (1280, 720));
    if let Some(to) = std::env::var_os("ASTERISM_TEST_PICTURES") {
        let name = if light { "light.png" } else { "dark.png" };
        picture.save(std::path::Path::new(&to).join(name)).expect("kept");
    }
    let map = rect_of(&w, Role::Canvas, "Scatter plot").expect("the map");
    let image = rect_of(&w, Role::Image, "Image ").expect("the image of the field");
    let table = rect_of(&w, Role::Table, "Table of 1,600 rows").expect("the table");
    let rail = Rect::from_min_max(egui::pos2(0.0, 72.0), egui::pos2(map.left() - 80.0, 690.0));
    // Between the image and the table, beside the map, lie the spectra.
    let spectra =
        Rect::from_min_max(egui::pos2(image.left() + 60.0, image.bottom() + 40.0), egui::pos2(1270.0, table.top() - 50.0));
    for (name, part, background) in [
        ("map", map, theme.pane),
        ("image", image, theme.pane),
        ("table", table, theme.pane),
        ("spectra", spectra, theme.pane),
        ("rail", rail, theme.frame),
    ] {
        assert!(part.width() > 100.0 && part.height() > 60.0, "{name} has no room: {part:?}");
        let (share, colours) = ink(&picture, part, background);
        assert!(share > 0.02 && colours > 20, "the {name} is blank: {share:.4} of it is marked, in {colours} colours");
        // And it is this theme's: most of a plot is background.
        if !matches!(name, "image" | "table") {
            let ground = pixels(&picture, part).filter(|p| near(*p, background, 8)).count() as f64;
            let of = f64::from(part.width() * part.height());
            assert!(ground / of > 0.3, "the {name} is not in this theme");
        }
    }
    // The filament is lit on the map, on the image and among the spectra; cleared, its subset keeps the colour on the map alone
    // as a subset, and what was selected is context again.
    let colour = front(&w).subsets[0].colour;
    for (name, part, least) in [("map", map, 60), ("image", image, 60), ("spectra", spectra, 40)] {
        let n = lit(&picture, part, colour);
        assert!(n > least, "{n} pixels of the selection's colour on the {name}");
    }
    // A selection outside every subset has the theme's own colour or one that differs from the subset's.
    key(&mut w, Modifiers::COMMAND, Key::I);
    for _ in 0..20 {
        w.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let inverted = w.render().expect("a picture");
    let changed = |part: Rect| {
        pixels(&picture, part).zip(pixels(&inverted, part)).filter(|(a, b)| a != b).count() as f32
            / (part.width() * part.height())
    };
    for (name, part) in [("map", map), ("image", image), ("spectra", spectra)] {
        assert!(changed(part) > 0.01, "inverting the selection changes {:.4} of the {name}", changed(part));
    }
    edges(&w);
}

/// Words and buttons lie inside the window, those of the rail inside the rail.
fn edges(w: &Window) {
    let all = Rect::from_min_size(egui::Pos2::ZERO, vec2(1280.0, 720.0));
    let rail_right = w
        .root()
        .children_recursive()
        .find(|n| n.accesskit_node().role() == Role::Splitter)
        .map(|n| n.rect().center().x)
        .expect("the rail's edge");
    let mut beyond = Vec::new();
    for node in w.root().children_recursive() {
        let inner = node.accesskit_node();
        if inner.bounding_box().is_none()
            || !matches!(
                inner.role(),
                Role::Button | Role::Label | Role::ComboBox | Role::TextInput | Role::CheckBox | Role::SpinButton
            )
        {
            continue;
        }
        let rect = node.rect();
        if rect.bottom() < all.top() || rect.top() > all.bottom() {
            // Above or below the fold.
            continue;
        }
        let name = inner.label().or_else(|| inner.value()).unwrap_or_default();
        let right =
            if rect.center().x < rail_right && rect.top() > 72.0 && rect.bottom() < 690.0 { rail_right } else { all.right() };
        if rect.right() > right + 1.0 || rect.left() < -1.0 {
            beyond.push(format!("{:?} '{name}' {rect:?}", inner.role()));
        }
    }
    assert!(beyond.is_empty(), "cut off at an edge:\n{}", beyond.join("\n"));
}

#[test]
fn the_window_is_whole_in_the_dark_theme() {
    check(false);
}

#[test]
fn the_window_is_whole_in_the_light_theme() {
    check(true);
}

#[test]
fn every_field_and_button_has_a_name() {
    let mut w = window(&["sample:hdf"]);
    until(&mut w, "the map", |w| w.state().session.doc().selection.any() && !w.state().session.busy());
    for step in ["Search", "Features", "Map", "Subsets", "Refine", "Take"] {
        unfold(&mut w, step);
    }
    press(&mut w, "Clusters");
    key(&mut w, Modifiers::COMMAND, Key::Comma);
    for service in ["Observations", "TAP service…", "Cone search…", "File…"] {
        choose(&mut w, "Service", service);
        w.check_accessibility();
        // A hint alone is no name: it goes when something is typed.
        let nameless: Vec<String> = w
            .root()
            .children_recursive()
            .filter(|n| matches!(n.accesskit_node().role(), Role::TextInput | Role::MultilineTextInput))
            .filter(|n| n.accesskit_node().label().is_none_or(|l| l.trim().is_empty()))
            .map(|n| format!("{:?} {:?}", n.accesskit_node().data().placeholder(), n.rect()))
            .collect();
        assert!(nameless.is_empty(), "{service}: {nameless:?}");
    }
}
