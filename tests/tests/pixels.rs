//! Many curves and images as they are drawn, off screen and in both themes: what is measured are colours in parts of the picture.

use std::path::{Path, PathBuf};

use asterism::theme::Theme;
use asterism_session::{Session, Settings};
use egui::accesskit::Role;
use egui::{Color32, Modifiers, Rect, pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::NodeT;

use crate::drive::*;
use crate::picture::{near, pixels, rect_of};

/// A window of 1600 × 1000 that really draws; `None`, said aloud, where nothing can.
fn drawn(light: bool, open: &Path) -> Option<Window> {
    home();
    if let Err(e) = asterism_render::headless::device() {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "{e}");
        eprintln!("skipped: {e}");
        return None;
    }
    let (settings, open) = (Settings { light_theme: light, ..Settings::default() }, vec![open.to_owned()]);
    let mut w = Harness::builder()
        .with_size([1600.0, 1000.0])
        .with_max_steps(2)
        .with_render_cursor(false)
        .wgpu()
        .build_eframe(move |cc| asterism::window::App::new(cc, Session::new(settings), open));
    until(&mut w, "rows", |w| rows(w) > 0 && !w.state().session.busy());
    Some(w)
}

/// Frames for what panes make in threads of their own.
fn settle(w: &mut Window) {
    for _ in 0..60 {
        w.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn picture(w: &mut Window, name: &str) -> image::RgbaImage {
    let picture = w.render().expect("a picture");
    if let Some(to) = std::env::var_os("ASTERISM_TEST_PICTURES") {
        picture.save(Path::new(&to).join(format!("{name}.png"))).expect("kept");
    }
    picture
}

/// Pixels of a part that are grey but not the background, and those that are coloured.
fn tints(picture: &image::RgbaImage, part: Rect) -> [usize; 2] {
    let mut n = [0; 2];
    for p in pixels(picture, part) {
        let (low, high) = (p.iter().min().copied().unwrap_or(0), p.iter().max().copied().unwrap_or(0));
        if high - low > 40 {
            n[1] += 1;
        } else if high > 60 {
            n[0] += 1;
        }
    }
    n
}

/// Name of the button that a view's head is folded into.
fn options(w: &Window, of: &str) -> String {
    let starts = format!("Options of {of}");
    let label = |n: egui_kittest::Node<'_>| n.accesskit_node().label().filter(|l| l.starts_with(&starts));
    w.root().children_recursive().find_map(label).unwrap_or_else(|| panic!("no button '{starts}…'"))
}

/// Something in the head of a view, which may be folded into a button.
fn in_head(w: &mut Window, of: &str, name: &str) {
    if find(w, name).is_none() {
        let button = options(w, of);
        press(w, &button);
    }
    press(w, name);
}

fn density(light: bool) {
    let Some(mut w) = drawn(light, Path::new("sample:a478")) else { return };
    until(&mut w, "the map", |w| w.state().session.doc().selection.any() && !w.state().session.busy());
    settle(&mut w);
    let theme = if light { Theme::light() } else { Theme::dark() };
    let [r, g, b] = front(&w).subsets[0].colour;
    let colour = Color32::from_rgb(r, g, b);
    let plot = rect_of(&w, Role::Canvas, "Spectra").expect("the spectra").shrink(4.0);
    let stack = picture(&mut w, "stack");
    in_head(&mut w, "Spectra", "stack");
    press(&mut w, "density: line density and median");
    key(&mut w, Modifiers::NONE, egui::Key::F10);
    settle(&mut w);
    let name = if light { "density-light" } else { "density-dark" };
    let shown = picture(&mut w, name);
    let ground = |p: &image::RgbaImage| pixels(p, plot).filter(|p| near(*p, theme.pane, 8)).count();
    // The spread of 187 lines covers more than a band of 16 to 84 %, in shades of the subset's colour.
    assert!(ground(&shown) < ground(&stack), "{} of {} pixels are empty", ground(&shown), ground(&stack));
    let tinted = |p: &image::RgbaImage| {
        let like = |p: [u8; 3]| {
            let toward = |i: usize| {
                (
                    i32::from(colour.to_array()[i]) - i32::from(theme.pane.to_array()[i]),
                    i32::from(p[i]) - i32::from(theme.pane.to_array()[i]),
                )
            };
            let ((full, now), (full_b, now_b)) = (toward(0), toward(2));
            // Shades of a colour lie on the way to it from the background.
            if light { full_b < -60 && now_b < -40 && now_b < now - 30 } else { full > 60 && now > 40 && now > now_b + 30 }
        };
        pixels(p, plot).filter(|p| like(*p)).count()
    };
    let (few, many) = (tinted(&stack), tinted(&shown));
    assert!(many > few + 300, "{many} pixels in shades of the subset's colour, {few} of the stack");
    // A lasso that is still being drawn is followed: over the rest of the map the colours go where its rows are.
    let map = rect_of(&w, Role::Canvas, "Scatter plot").expect("the map");
    key(&mut w, Modifiers::NONE, egui::Key::L);
    begin_drag(&mut w, &around(map, [0.1, 0.45], [0.2, 0.8]), Modifiers::NONE);
    settle(&mut w);
    let selected = selected(&w);
    let drawing = picture(&mut w, "density-drawing");
    let changed = pixels(&shown, plot).zip(pixels(&drawing, plot)).filter(|(a, b)| a != b).count();
    assert_eq!(selected.count(), front(&w).subsets[0].rows.count(), "nothing is selected yet");
    assert!(changed > 2000, "{changed} pixels of the spectra follow the lasso");
}

#[test]
fn the_density_of_spectra_has_the_groups_colour_and_follows_a_lasso_dark() {
    density(false);
}

#[test]
fn the_density_of_spectra_has_the_groups_colour_and_follows_a_lasso_light() {
    density(true);
}

/// A FITS file of images of `width` × `height` 16-bit values.
fn fits(to: &Path, images: &[(&str, &dyn Fn(usize, usize) -> i16)], size: [usize; 2]) {
    fits_with(to, images, size, &[]);
}

/// The same with more cards in each header.
fn fits_with(to: &Path, images: &[(&str, &dyn Fn(usize, usize) -> i16)], [width, height]: [usize; 2], more: &[&str]) {
    let mut out = Vec::new();
    let block = |out: &mut Vec<u8>, fill: u8| out.resize(out.len().next_multiple_of(2880), fill);
    for (i, (name, value)) in images.iter().enumerate() {
        let first = if i == 0 { "SIMPLE  =                    T".to_owned() } else { "XTENSION= 'IMAGE   '".to_owned() };
        let mut cards = vec![first, "BITPIX  =                   16".into(), "NAXIS   =                    2".into()];
        cards.extend([format!("NAXIS1  = {width:>20}"), format!("NAXIS2  = {height:>20}")]);
        if i > 0 {
            cards.extend(["PCOUNT  =                    0".into(), "GCOUNT  =                    1".into()]);
        }
        cards.push(format!("EXTNAME = '{name:8}'"));
        cards.extend(more.iter().map(|c| (*c).to_owned()).chain(["END".into()]));
        out.extend(cards.iter().flat_map(|c| format!("{c:80}").into_bytes()));
        block(&mut out, b' ');
        out.extend((0..height).flat_map(|y| (0..width).flat_map(move |x| value(x, y).to_be_bytes())));
        block(&mut out, 0);
    }
    std::fs::write(to, out).expect("written");
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bands.fits");
    (dir, path)
}

fn bands(light: bool) {
    let (_dir, path) = folder();
    // Red above, blue below, green at the right; the same bright square in all.
    let square = |x: usize, y: usize| if x.abs_diff(150) < 25 && y.abs_diff(100) < 25 { 900 } else { 0 };
    let red = move |x: usize, y: usize| square(x, y) + if y > 140 { 500 } else { (x % 7) as i16 };
    let green = move |x: usize, y: usize| square(x, y) + if x > 230 { 500 } else { (x % 7) as i16 };
    let blue = move |x: usize, y: usize| square(x, y) + if y < 60 { 500 } else { (x % 7) as i16 };
    fits(&path, &[("RED", &red), ("GREEN", &green), ("BLUE", &blue)], [300, 200]);
    let Some(mut w) = drawn(light, &path) else { return };
    settle(&mut w);
    let part = rect_of(&w, Role::Image, "Image ").expect("the image").shrink(30.0);
    let grey = picture(&mut w, "one-band");
    let of = f64::from(part.area());
    let [_, tinted] = tints(&grey, part);
    assert!((tinted as f64) < 0.03 * of, "one band is grey: {tinted} of {of:.0} pixels are not");
    in_head(&mut w, "Image", "bands");
    press(&mut w, "Three bands as one picture");
    key(&mut w, Modifiers::NONE, egui::Key::F10);
    settle(&mut w);
    let colour = picture(&mut w, if light { "bands-light" } else { "bands-dark" });
    let [_, tinted] = tints(&colour, part);
    assert!((tinted as f64) > 0.15 * of, "{tinted} of {of:.0} pixels have a hue");
    // Red is at the top, as FITS has it: its first row is the lowest.
    let at = |x: f32, y: f32| {
        let p = part.lerp_inside(egui::vec2(x, y));
        pixels(&colour, Rect::from_center_size(p, egui::vec2(9.0, 9.0))).next().expect("a pixel")
    };
    let (top, bottom) = (at(0.2, 0.06), at(0.2, 0.94));
    assert!(top[0] > top[2].saturating_add(40) && bottom[2] > bottom[0].saturating_add(40), "{top:?} above, {bottom:?} below");
}

#[test]
fn three_bands_are_one_picture_with_their_hues_dark() {
    bands(false);
}

#[test]
fn three_bands_are_one_picture_with_their_hues_light() {
    bands(true);
}

#[test]
fn images_take_turns_in_one_place() {
    let (_dir, path) = folder();
    let dark = |x: usize, _: usize| (x % 5) as i16;
    let half = |x: usize, _: usize| if x > 150 { 800 } else { (x % 5) as i16 };
    fits(&path, &[("A", &dark), ("B", &half)], [300, 200]);
    let Some(mut w) = drawn(false, &path) else { return };
    settle(&mut w);
    let turns = |w: &mut Window| {
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..150 {
            w.step();
            names.extend(["Image A", "Image B"].into_iter().filter(|name| rect_of(w, Role::Image, name).is_some()));
        }
        names.len()
    };
    assert_eq!(turns(&mut w), 1, "one image stays until it is asked for");
    in_head(&mut w, "Image", "blink");
    assert_eq!(turns(&mut w), 2, "both images had their turn");
    // By the key over the image as well.
    let image = rect_of(&w, Role::Image, "Image ").expect("the image");
    key(&mut w, Modifiers::NONE, egui::Key::F10);
    w.event(egui::Event::PointerMoved(image.center()));
    w.step();
    key(&mut w, Modifiers::NONE, egui::Key::K);
    assert_eq!(turns(&mut w), 1, "they stop");
}

#[test]
fn a_large_image_is_drawn_in_parts_and_magnified_to_its_pixels() {
    let (_dir, path) = folder();
    // Above 4,096 × 4,096: rings, a few pixels each, around the middle.
    let (width, height) = (4600usize, 3900usize);
    let rings = move |x: usize, y: usize| {
        let (dx, dy) = (x as f64 - 2300.0, y as f64 - 1950.0);
        if ((dx * dx + dy * dy).sqrt() / 160.0) as i64 % 2 == 0 { 1000 } else { (x % 9) as i16 }
    };
    fits(&path, &[("RINGS", &rings)], [width, height]);
    let Some(mut w) = drawn(false, &path) else { return };
    let dataset = front(&w).clone();
    let asterism_session::Layer::Fits(image) = &dataset.images[0].pixels else { panic!("a FITS image") };
    assert!(image.rows.is_some() && image.pixels.is_empty(), "it is read by rows");
    settle(&mut w);
    let part = rect_of(&w, Role::Image, "Image ").expect("the image").shrink(40.0);
    let bright = |p: &image::RgbaImage| pixels(p, part).filter(|p| p[0] > 200 && p[2] > 200).count() as f32 / part.area();
    let whole = picture(&mut w, "large");
    assert!((0.25..0.75).contains(&bright(&whole)), "half of the rings are bright: {}", bright(&whole));
    // Magnified at its middle, it is the innermost ring alone, all bright.
    w.event(egui::Event::PointerMoved(part.center()));
    for _ in 0..40 {
        w.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, 60.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: Modifiers::NONE,
        });
        w.step();
    }
    settle(&mut w);
    let near_by = picture(&mut w, "large-near");
    assert!(bright(&near_by) > 0.9, "{}", bright(&near_by));
    // On paper as well, with no window.
    let views = asterism::picture::views_named(&dataset, &["image".into()]).expect("a view");
    let page = asterism::picture::Page::new([800, 600], Theme::dark());
    let folder = tempfile::tempdir().expect("a folder");
    let on_paper = |ending: &str| {
        let to = folder.path().join(format!("large.{ending}"));
        asterism::picture::save(w.state().session.doc(), &views, &page, &to).expect("a drawing");
        std::fs::read(to).expect("written")
    };
    let paper = image::load_from_memory(&on_paper("png")).expect("decodes").to_rgba8();
    let share = pixels(&paper, Rect::from_min_max(pos2(150.0, 120.0), pos2(650.0, 520.0)))
        .filter(|p| p[0] > 200 && p[2] > 200)
        .count() as f32
        / (500.0 * 400.0);
    assert!((0.25..0.75).contains(&share), "{share}");
    assert!(on_paper("svg").len() < 12_000_000, "a picture of 800 × 600 does not hold 18,000,000 pixels");
    let page = on_paper("pdf");
    assert!(page.starts_with(b"%PDF-1.7") && page.ends_with(b"%%EOF\n") && page.len() < 12_000_000);
}

/// Boxes of a tenth of a degree on a grid of 60 × 50 over 3° × 2.5° at the equator; the observations lie in their middles.
fn observations(to: &Path) {
    let mut csv = String::from("obs_id,ra,dec,s_region\n");
    for i in 0..3_000 {
        let (ra, dec) = (20.0 + 0.05 * f64::from(i % 60), -1.25 + 0.05 * f64::from(i / 60));
        csv.push_str(&format!("o{i},{ra:.2},{dec:.2},BOX ICRS {ra:.2} {dec:.2} 0.1 0.1\n"));
    }
    std::fs::write(to, csv).expect("written");
}

/// Share of a part that has the colour of the selection.
fn selected_share(w: &mut Window, name: &str, part: Rect) -> f64 {
    let [r, g, b, _] = Theme::dark().selected.to_array();
    let drawn = picture(w, name);
    let is =
        |p: &[u8; 3]| (0..3).all(|i| i32::from(p[i]).abs_diff(i32::from([r, g, b][i])) < 60) && p[0] > p[2].saturating_add(40);
    pixels(&drawn, part).filter(is).count() as f64 / f64::from(part.area())
}

#[test]
fn thousands_of_footprints_lie_on_the_sky_and_on_an_image_and_are_brushed_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let (table, field) = (dir.path().join("observations.csv"), dir.path().join("field.fits"));
    observations(&table);
    // A field of 1° around a corner of four boxes.
    let wcs = ["CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'", "CRVAL1  = 21.025", "CRVAL2  = 0.025", "CRPIX1  = 100.5"];
    let wcs = [&wcs[..], &["CRPIX2  = 100.5", "CDELT1  = -0.005", "CDELT2  = 0.005"]].concat();
    fits_with(&field, &[("FIELD", &|x, _| if x < 4 { 900 } else { (x % 3) as i16 })], [200, 200], &wcs);
    let Some(mut w) = drawn(false, &table) else { return };
    settle(&mut w);
    let sky = rect_of(&w, Role::Canvas, "Sky").expect("the sky");
    let before = selected_share(&mut w, "footprints-none", sky);
    assert!(before < 0.002, "{before}");
    // All 3,000 are in view; half of them are selected by their column, and lie in their colour in the eastern half, which is left.
    press(&mut w, "Table");
    let east = asterism_data::RowSet::from_fn(3_000, |r| r % 60 >= 30);
    let why = asterism_session::Provenance::Rows { note: "east".into(), rows: east.clone() };
    w.state_mut().session.apply(asterism_session::Command::Select { rows: east, why, mode: None }).expect("selected");
    settle(&mut w);
    let [left, right] = [[0.1, 0.45], [0.55, 0.9]]
        .map(|x| Rect::from_min_max(sky.lerp_inside(egui::vec2(x[0], 0.3)), sky.lerp_inside(egui::vec2(x[1], 0.7))));
    let (there, elsewhere) = (selected_share(&mut w, "footprints-sky", left), selected_share(&mut w, "footprints-sky", right));
    assert!(there > 0.15 && elsewhere < 0.01, "{there} of the eastern half, {elsewhere} of the western");

    // On an image of the field they lie where its WCS has them, and a click inside one selects its row.
    let command =
        asterism_session::Command::OpenProduct { address: field.display().to_string(), name: "field".into(), by_job: false };
    w.state_mut().session.apply(command).expect("opened");
    until(&mut w, "the image", |w| !front(w).images.is_empty() && !w.state().session.busy());
    key(&mut w, Modifiers::NONE, egui::Key::Escape);
    settle(&mut w);
    let image = rect_of(&w, Role::Image, "Image ").expect("the image");
    let plane = |w: &Window| front(w).images[0].clone();
    let asterism_session::Layer::Fits(pixels_of) = &plane(&w).pixels else { panic!("a FITS image") };
    let wcs = pixels_of.wcs.clone().expect("a WCS");
    // The image fills its pane, its middle in the middle.
    let scale = f64::from((image.width() / 200.0).max(image.height() / 200.0));
    let place = |ra: f64, dec: f64| {
        let (x, y) = wcs.pixel_from_sky(ra, dec).expect("on the image");
        image.center() + egui::vec2(((x - 99.5) * scale) as f32, (-(y - 99.5) * scale) as f32)
    };
    // Nearer to its middle than any other box's corner, beside its mark.
    let row = 25 * 60 + 21;
    let at = place(20.0 + 0.05 * 21.0 + 0.004, 0.004);
    for event in [true, false] {
        w.event(egui::Event::PointerMoved(at + egui::vec2(12.0, 0.0)));
        w.step();
        w.event(egui::Event::PointerButton {
            pos: at + egui::vec2(12.0, 0.0),
            button: egui::PointerButton::Primary,
            pressed: event,
            modifiers: Modifiers::NONE,
        });
        w.step();
    }
    settle(&mut w);
    let got: Vec<usize> = selected(&w).iter().collect();
    assert_eq!(got.len(), 1, "{got:?}");
    let (x, y) = (got[0] % 60, got[0] / 60);
    assert!(x.abs_diff(row % 60) <= 1 && y.abs_diff(row / 60) <= 1, "row {} for {row}", got[0]);
    w.event(egui::Event::PointerMoved(egui::pos2(30.0, 900.0)));
    settle(&mut w);
    let around = Rect::from_center_size(
        place(20.0 + 0.05 * x as f64, -1.25 + 0.05 * y as f64),
        egui::Vec2::splat(0.11 / 0.005 * scale as f32),
    );
    let (lit, all) = (selected_share(&mut w, "footprints-image", around), selected_share(&mut w, "footprints-image", image));
    assert!(lit > 0.05 && all < lit / 20.0, "{lit} around the row, {all} of the image");
}
