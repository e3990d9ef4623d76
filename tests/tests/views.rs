//! Every view of the window alone, on software Vulkan or whatever adapter there is, at 1280 × 720 in both themes, and every view on
//! paper: nothing is blank or cut off, the ground is the theme's, words can be read, light differs from dark, and a picture is there as
//! PNG, SVG and PDF. Kept as files where `ASTERISM_TEST_PICTURES` names a folder.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use asterism::cx::{Cx, Shared};
use asterism::panes::Pane;
use asterism::picture::{self, Page, View};
use asterism::theme::{self, Theme};
use asterism_render::colour::contrast;
use asterism_session::reduce::{Method, Params};
use asterism_session::{Ask, Command, Session, Settings};
use egui::{Color32, Rect, vec2};
use egui_kittest::Harness;
use image::RgbaImage;

use crate::drive::home;

/// Size of a view.
const SIZE: [f32; 2] = [1280.0, 720.0];

fn theme_of(light: bool) -> (Theme, &'static str) {
    if light { (Theme::light(), "light") } else { (Theme::dark(), "dark") }
}

/// The first sample with a map of three components made of its columns and a part of it selected.
fn sample() -> Session {
    home();
    let mut session = Session::new(Settings::default());
    session.apply(Command::OpenSample { name: "a478".into() }).expect("the sample");
    session.wait(&mut |_| {}).expect("opened");
    let params = Params { method: Method::Pca, dims: 3, ..Params::default() };
    session.apply(Command::StartMap { name: "cube".into(), params }).expect("a map");
    session.wait(&mut |_| {}).expect("mapped");
    assert!(session.doc().dataset().is_some_and(|d| d.map().is_some_and(|m| m.coords.dims == 3)));
    assert!(session.doc().selection.any(), "the sample opens with a part of it lit");
    session
}

/// A light curve of K2.
fn curve() -> Session {
    home();
    let mut session = Session::new(Settings::default());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lightcurves/ktwo211117077-c04_llc.fits");
    let ask = Ask::file(path);
    session.apply(Command::Search { name: String::new(), ask }).expect("asked");
    session.wait(&mut |_| {}).expect("read");
    session
}

/// One view fills the window.
struct Alone {
    session: Session,
    pane: Pane,
    theme: Theme,
    shared: Shared,
    render: Option<eframe::egui_wgpu::RenderState>,
}

impl eframe::App for Alone {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.session.poll();
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, self.theme.pane);
        let mut commands = Vec::new();
        let mut cx = Cx {
            session: &self.session,
            theme: &self.theme,
            shared: &mut self.shared,
            commands: &mut commands,
            render: self.render.as_ref(),
        };
        let mut child = ui.new_child(egui::UiBuilder::new().max_rect(rect));
        self.pane.ui(&mut child, &mut cx);
    }
}

fn alone(light: bool, session: Session) -> Option<Harness<'static, Alone>> {
    if let Err(e) = asterism_render::headless::device() {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "{e}");
        eprintln!("skipped: {e}");
        return None;
    }
    let harness = Harness::builder().with_size(vec2(SIZE[0], SIZE[1])).with_max_steps(2).with_render_cursor(false).wgpu();
    // The harness chooses egui's dark theme afterwards: our look must not mind.
    Some(harness.build_eframe(move |cc| {
        let theme = theme_of(light).0;
        theme::install_fonts(&cc.egui_ctx);
        theme::apply(&cc.egui_ctx, &theme);
        Alone {
            session,
            pane: Pane::Scatter(Box::default()),
            theme,
            shared: Shared::default(),
            render: cc.wgpu_render_state.clone(),
        }
    }))
}

fn near(p: [u8; 3], c: Color32, by: i32) -> bool {
    (0..3).all(|i| (i32::from(p[i]) - i32::from(c.to_array()[i])).abs() <= by)
}

/// Share of a picture that is the ground, and how many colours it has.
fn ground(picture: &RgbaImage, ground: Color32) -> (f64, usize) {
    let mut colours: HashMap<[u8; 3], usize> = HashMap::new();
    for p in picture.pixels() {
        *colours.entry([p.0[0], p.0[1], p.0[2]]).or_default() += 1;
    }
    let same: usize = colours.iter().filter(|(c, _)| near(**c, ground, 4)).map(|(_, n)| n).sum();
    (same as f64 / (picture.width() * picture.height()) as f64, colours.len())
}

fn differ(a: &RgbaImage, b: &RgbaImage) -> f64 {
    let n = a.pixels().zip(b.pixels()).filter(|(a, b)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 8)).count();
    n as f64 / (a.width() * a.height()) as f64
}

fn keep(picture: &RgbaImage, name: &str) {
    if let Some(to) = std::env::var_os("ASTERISM_TEST_PICTURES") {
        picture.save(Path::new(&to).join(name)).expect("kept");
    }
}

/// Words lie inside the window, whole.
fn words_are_whole(w: &Harness<'_, Alone>, view: &str) {
    let all = Rect::from_min_size(egui::Pos2::ZERO, vec2(SIZE[0], SIZE[1])).expand(1.0);
    let mut beyond = Vec::new();
    let mut words = 0;
    for shape in &w.output().shapes {
        let mut stack = vec![&shape.shape];
        while let Some(s) = stack.pop() {
            match s {
                egui::Shape::Vec(more) => stack.extend(more),
                egui::Shape::Text(t) if !t.galley.text().trim().is_empty() => {
                    let rect = t.visual_bounding_rect();
                    words += 1;
                    // What lies wholly outside is not there; what scrolls is cut at the edge that it scrolls behind.
                    let cut_left = rect.left() < all.left() && rect.right() > all.left();
                    let cut_right = rect.right() > all.right() && rect.left() < all.right();
                    if cut_left || (cut_right && shape.clip_rect.right() >= all.right()) {
                        beyond.push(format!("'{}' {rect:?}", t.galley.text()));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(words > 0, "{view} says nothing");
    // A table is wider than a window, and is moved.
    assert!(beyond.is_empty() || view == "Table", "{view}: cut off at an edge:\n{}", beyond.join("\n"));
}

/// Each view with the least share of its picture that is not ground, and the most.
fn views() -> Vec<(&'static str, Pane, [f64; 2])> {
    let made: HashMap<&str, fn() -> Pane> = Pane::kinds().iter().copied().collect();
    let pane = |name: &str| made.get(name).unwrap_or_else(|| panic!("no view '{name}'"))();
    let all = [
        ("Map", [0.002, 0.3]),
        ("Scatter of columns", [0.002, 0.6]),
        ("Image", [0.3, 1.0]),
        ("Spectra", [0.02, 0.8]),
        ("Table", [0.02, 0.5]),
        ("Gallery", [0.1, 0.98]),
        ("Histograms", [0.02, 0.7]),
        ("Sky", [0.004, 0.5]),
        ("Components of the map", [0.004, 0.5]),
        ("What explains the map", [0.002, 0.6]),
        ("Maps side by side", [0.002, 0.6]),
        ("Subsets", [0.001, 0.5]),
    ];
    all.into_iter().map(|(name, share)| (name, pane(name), share)).collect()
}

fn check(light: bool, session: Session, views: Vec<(&'static str, Pane, [f64; 2])>) -> HashMap<&'static str, RgbaImage> {
    let (theme, word) = theme_of(light);
    let Some(mut w) = alone(light, session) else { return HashMap::new() };
    let mut drawn = HashMap::new();
    for (name, pane, [least, most]) in views {
        w.state_mut().pane = pane;
        for _ in 0..60 {
            w.step();
            std::thread::sleep(Duration::from_millis(8));
        }
        let picture = w.render().expect("a picture");
        keep(&picture, &format!("view-{}-{word}.png", name.replace(' ', "-").to_lowercase()));
        assert_eq!((picture.width(), picture.height()), (SIZE[0] as u32, SIZE[1] as u32));
        let (share, colours) = ground(&picture, theme.pane);
        assert!((least..=most).contains(&(1.0 - share)), "{name}, {word}: {:.4} of it is marked", 1.0 - share);
        assert!(colours >= 12, "{name}, {word}: {colours} colours");
        words_are_whole(&w, name);
        drawn.insert(name, picture);
    }
    drawn
}

#[test]
fn every_view_is_drawn_in_both_themes() {
    let (dark, light) = (check(false, sample(), views()), check(true, sample(), views()));
    for (name, picture) in &dark {
        let by = differ(picture, &light[name]);
        // Pictures fill these views and are the same in both; what is laid over and around them is not.
        let least = match *name {
            "Image" => 0.004,
            "Gallery" => 0.02,
            _ => 0.5,
        };
        assert!(by > least, "{name}: light and dark differ in {by:.3}");
    }
    let curves = || vec![("Light curves", Pane::LightCurve(Box::default()), [0.01, 0.7])];
    let (dark, light) = (check(false, curve(), curves()), check(true, curve(), curves()));
    assert!(dark.iter().all(|(name, p)| differ(p, &light[name]) > 0.5));
}

#[test]
fn text_can_be_read_in_both_themes() {
    let rgb = |c: Color32| [c.r(), c.g(), c.b()];
    for t in [Theme::dark(), Theme::light()] {
        for (what, colour) in [("text", t.text), ("second", t.second), ("error", t.error), ("warning", t.warning)] {
            for (on, ground) in [("pane", t.pane), ("frame", t.frame), ("field", t.field)] {
                let by = contrast(rgb(colour), rgb(ground));
                assert!(by >= 4.5, "{what} on {on}, dark {}: {by:.2}:1", t.dark);
            }
        }
        assert!(contrast(rgb(t.third), rgb(t.pane)) >= 4.5, "third on pane, dark {}", t.dark);
        assert!(contrast(rgb(t.on_accent), rgb(t.accent_fill)) >= 4.5 && contrast(rgb(t.on_soft), rgb(t.soft)) >= 4.5);
    }
}

#[test]
fn a_field_has_its_theme_whatever_egui_thinks() {
    for light in [false, true] {
        let Some(mut w) = alone(light, sample()) else { return };
        w.state_mut().pane = Pane::Table(Box::default());
        for _ in 0..6 {
            w.step();
        }
        let picture = w.render().expect("a picture");
        let field = theme_of(light).0.field;
        let of_the_other = theme_of(!light).0.field;
        // The line that is typed into lies above the table.
        let at = &picture;
        let part = |c: Color32| {
            (100..300).flat_map(|x| (4..30).map(move |y| (x, y))).filter(move |(x, y)| {
                let p = at.get_pixel(*x, *y).0;
                near([p[0], p[1], p[2]], c, 3)
            })
        };
        assert!(part(field).count() > 1500 && part(of_the_other).count() < 200, "light {light}: {}", part(field).count());
    }
}

/// Views in words, with the least and the most of a picture that is not ground.
const WORDS: [(&str, [f64; 2]); 16] = [
    ("scatter:cube?turn=30,20", [0.001, 0.3]),
    ("scatter:cube?axes=2,3&contours=yes&grid=yes", [0.003, 0.4]),
    ("scatter:ra,dec?cells=count&colours=magma", [0.02, 0.9]),
    ("scatter:ra,dec?colour=dec&size=dec&radius=3", [0.003, 0.8]),
    ("sky?projection=field", [0.002, 0.5]),
    ("sky?projection=globe&frame=galactic", [0.002, 0.5]),
    ("sky?projection=mollweide&frame=ecliptic", [0.002, 0.5]),
    ("sky?projection=hammer", [0.002, 0.5]),
    ("sky?projection=aitoff", [0.002, 0.5]),
    ("spectra?show=density", [0.02, 0.9]),
    ("spectra?show=bands&row=3&z=0.09", [0.02, 0.9]),
    ("image?stretch=log&cuts=zscale&colours=viridis&others=yes", [0.2, 1.0]),
    ("histograms?log=yes", [0.01, 0.7]),
    ("gallery", [0.1, 1.0]),
    ("components", [0.003, 0.5]),
    ("table", [0.01, 0.6]),
];

#[test]
fn every_view_is_drawn_on_paper() {
    let session = sample();
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = session.doc().dataset().expect("the sample").clone();
    for (words, [least, most]) in WORDS {
        let views = picture::views_named(&dataset, &[words.to_owned()]).unwrap_or_else(|e| panic!("{words}: {e}"));
        assert!(matches!(views[0], View::Pane(_)), "{words}");
        let mut both = Vec::new();
        for light in [false, true] {
            let (theme, word) = theme_of(light);
            let page = Page { strict: true, ..Page::new([800, 500], theme.clone()) };
            let to = folder.path().join("view.png");
            assert_eq!(picture::save(session.doc(), &views, &page, &to).unwrap_or_else(|e| panic!("{words}: {e}")), None);
            let drawn = image::open(&to).expect("a picture").to_rgba8();
            let plain = words.replace(['?', '&', '=', ':', ',', '.'], "-");
            keep(&drawn, &format!("paper-{plain}-{word}.png"));
            let (share, colours) = ground(&drawn, theme.pane);
            assert!(
                (least..=most).contains(&(1.0 - share)) && colours > 12,
                "{words}, {word}: {:.4} of it, {colours}",
                1.0 - share
            );
            both.push(drawn);
        }
        assert!(differ(&both[0], &both[1]) > 0.02, "{words}: light is as dark");
        for ending in ["svg", "pdf"] {
            let to = folder.path().join(format!("view.{ending}"));
            picture::save(session.doc(), &views, &Page::new([800, 500], Theme::light()), &to).expect("written");
            let bytes = std::fs::read(&to).expect("there");
            match ending {
                "svg" => {
                    let text = String::from_utf8(bytes).expect("text");
                    assert!(text.contains("<text ") && text.contains("<clipPath") && text.ends_with("</svg>\n"), "{words}");
                    assert!(text.contains("<path ") || words == "gallery" || words == "table", "{words} has no line as a vector");
                }
                _ => assert!(bytes.starts_with(b"%PDF-") && bytes.len() > 2000, "{words}"),
            }
        }
    }
}

#[test]
fn a_picture_has_as_many_pixels_as_asked_for() {
    let session = sample();
    let dataset = session.doc().dataset().expect("the sample").clone();
    let folder = tempfile::tempdir().expect("a folder");
    let views = picture::views_named(&dataset, &["sky".into(), "scatter:cube".into()]).expect("views");
    let to = folder.path().join("large.png");
    let page = Page { scale: 2.5, ..Page::new([400, 300], Theme::light()) };
    picture::save(session.doc(), &views, &page, &to).expect("drawn");
    assert_eq!(image::image_dimensions(&to).expect("a picture"), (1000, 750));
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let session = curve();
    let dataset = session.doc().dataset().expect("the curve").clone();
    let named = |words: &str| picture::views_named(&dataset, &[words.to_owned()]);
    for (words, says) in [
        ("moon", "no view is named 'moon'"),
        ("sky?projection=moon", "mollweide"),
        ("sky?colour=TIME", "no option 'colour'"),
        ("scatter:x", "name two columns"),
        ("scatter:TIME,SAP_FLUX?colour=nothing", "nothing"),
        ("scatter:TIME,SAP_FLUX?cells=mean", "colour=COLUMN"),
        ("scatter:TIME,SAP_FLUX?turn=1,2", "three or more dimensions"),
        ("light-curves?row=99999", "no row 99999"),
        ("light-curves?period=soon", "not a number"),
        ("scatter:log10(TIME),SAP_FLUX?x=0..10&y=1..2", "above zero"),
        ("image?which=2", "no image 2"),
        ("image:2", "image?which=2"),
        ("sky:frame=galactic", "sky?frame=galactic"),
        ("histogram:nothing", "no column named 'nothing'"),
    ] {
        let why = named(words).err().unwrap_or_else(|| panic!("{words} was taken")).to_string();
        assert!(why.contains(says), "{words}: {why}");
    }
    // A named view with nothing to show is an error, not a picture of a sentence.
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("sky.png");
    let page = Page { strict: true, ..Page::new([400, 300], Theme::dark()) };
    let why = picture::save(session.doc(), &named("sky").expect("a view"), &page, &to).expect_err("nothing to show").to_string();
    assert!(why.contains("no positions") && !to.exists(), "{why}");
    let folded = named("light-curves?period=1.5").expect("a view");
    picture::save(session.doc(), &folded, &page, &folder.path().join("curve.png")).expect("a folded curve");
}
