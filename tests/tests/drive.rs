//! Hands and eyes for the tests: a window without a screen, driven by the names that a screen reader would say and by real
//! pointer and key events.
//!
//! Every window of the tests is made here, so that settings, recovery files and dialogs of whoever runs them stay out of it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use asterism::window::App;
use asterism_data::RowSet;
use asterism_session::{Dataset, Session, Settings};
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, pos2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, Node};

/// A window of the tests.
pub type Window = Harness<'static, App>;

/// How long anything may take on a machine that does other work as well.
const PATIENCE: Duration = Duration::from_secs(90);

/// The folder that stands in for the user's settings; made fresh once a run.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("a folder for settings");
        // SAFETY: once, before the first window of the process is made; nothing else of the tests writes the environment.
        unsafe {
            std::env::set_var("ASTERISM_HOME", &home);
            // No desktop: a path is typed into the window's own line, and no dialog opens on the screen of whoever runs this.
            std::env::set_var("DBUS_SESSION_BUS_ADDRESS", "disabled:");
            std::env::remove_var("DISPLAY");
            std::env::remove_var("WAYLAND_DISPLAY");
        }
        home
    })
}

/// A window of 1600 × 1000 on files or samples, with the program's own settings.
pub fn window(open: &[&str]) -> Window {
    window_with(Settings::default(), open)
}

/// The same with these settings.
pub fn window_with(settings: Settings, open: &[&str]) -> Window {
    home();
    let open: Vec<PathBuf> = open.iter().map(PathBuf::from).collect();
    Harness::builder().with_size([1600.0, 1000.0]).with_max_steps(2).with_step_dt(1.0 / 60.0).build_eframe(move |cc| {
        // A window beside this one may just have kept its session as one that crashed would have.
        Session::discard_recovery();
        App::new(cc, Session::new(settings), open)
    })
}

/// Frames until something holds.
pub fn until(w: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let start = Instant::now();
    loop {
        w.step();
        if holds(w) {
            return;
        }
        if start.elapsed() > PATIENCE {
            panic!("{what} did not come about; said: {:?}", said(w));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Frames until no job runs.
pub fn until_idle(w: &mut Window) {
    until(w, "an end of all jobs", |w| !w.state().session.busy());
    w.step();
}

/// The table in front.
pub fn front(w: &Window) -> &Dataset {
    w.state().session.doc().dataset().expect("a table in front")
}

/// Rows of the table in front; 0 without one.
pub fn rows(w: &Window) -> usize {
    w.state().session.doc().dataset().map_or(0, |d| d.table.rows())
}

/// The selected rows.
pub fn selected(w: &Window) -> RowSet {
    (*w.state().session.doc().selection.rows).clone()
}

/// Everything in the log.
pub fn said(w: &Window) -> Vec<String> {
    w.state().session.notices().iter().map(|n| n.text.clone()).collect()
}

/// Whether a text with this in it stands in the window, for eyes and for a screen reader: inside it and not of no size.
pub fn shows(w: &Window, part: &str) -> bool {
    let all = Rect::from_min_size(Pos2::ZERO, w.ctx.content_rect().size());
    w.root().children_recursive().any(|node| {
        let inner = node.accesskit_node();
        let says = |t: Option<String>| t.is_some_and(|t| t.contains(part));
        (says(inner.label()) || says(inner.value())) && inner.bounding_box().is_some() && {
            let rect = node.rect();
            rect.width() > 2.0 && rect.height() > 2.0 && all.contains_rect(rect.shrink(1.0))
        }
    })
}

/// The first widget of this name; every widget is looked at, those below the fold of the rail too.
pub fn find<'a>(w: &'a Window, name: &str) -> Option<Node<'a>> {
    w.root().children_recursive().find(|n| n.accesskit_node().label().as_deref() == Some(name))
}

/// Press a widget by its name, as a screen reader would: it may lie below the fold.
pub fn press(w: &mut Window, name: &str) {
    let what = format!("'{name}' to press");
    until(w, &what, |w| find(w, name).is_some());
    find(w, name).expect("it was there").click_accesskit();
    w.step();
    w.step();
}

/// A field to type into, by its name.
pub fn field<'a>(w: &'a Window, name: &str) -> Option<Node<'a>> {
    w.root().children_recursive().find(|node| {
        let inner = node.accesskit_node();
        matches!(inner.role(), Role::TextInput | Role::MultilineTextInput) && inner.label().as_deref() == Some(name)
    })
}

/// Put text into a field.
pub fn fill(w: &mut Window, name: &str, text: &str) {
    let what = format!("a field '{name}'");
    until(w, &what, |w| field(w, name).is_some());
    field(w, name).expect("it was there").set_text_value_accesskit(text);
    w.step();
    w.step();
    assert_eq!(field(w, name).and_then(|f| f.value()).as_deref(), Some(text), "'{name}' was filled");
}

/// Choose a line of a list that opens.
pub fn choose(w: &mut Window, list: &str, line: &str) {
    // A list stays open after a choice that no pointer made.
    if find(w, line).is_none() {
        let opens = w
            .root()
            .children_recursive()
            .find(|n| n.accesskit_node().role() == Role::ComboBox && n.accesskit_node().label().as_deref() == Some(list))
            .unwrap_or_else(|| panic!("no list '{list}'"));
        opens.click_accesskit();
        w.step();
        w.step();
    }
    press(w, line);
}

/// Open a step of the rail, if it is folded.
pub fn unfold(w: &mut Window, step: &str) {
    let name = format!(": {step}");
    let node = w.get_by_label_contains(&name);
    if node.accesskit_node().data().is_expanded() == Some(false) {
        node.click_accesskit();
        w.step();
        w.step();
    }
}

/// Press and release a key.
pub fn key(w: &mut Window, modifiers: Modifiers, key: Key) {
    w.event(Event::ModifiersChanged(modifiers));
    for pressed in [true, false] {
        w.event(Event::Key { key, physical_key: None, pressed, repeat: false, modifiers });
    }
    w.event(Event::ModifiersChanged(Modifiers::NONE));
    w.step();
    w.step();
}

/// Press at the first point, go along all of them, release at the last, with these keys held.
pub fn drag(w: &mut Window, points: &[Pos2], modifiers: Modifiers) {
    begin_drag(w, points, modifiers);
    let last = *points.last().expect("points");
    w.event(Event::PointerButton { pos: last, button: PointerButton::Primary, pressed: false, modifiers });
    w.event(Event::ModifiersChanged(Modifiers::NONE));
    w.step();
    w.event(Event::PointerGone);
    w.step();
    w.step();
}

/// The same without the release.
pub fn begin_drag(w: &mut Window, points: &[Pos2], modifiers: Modifiers) {
    let first = *points.first().expect("points");
    w.event(Event::PointerMoved(first));
    w.event(Event::ModifiersChanged(modifiers));
    w.event(Event::PointerButton { pos: first, button: PointerButton::Primary, pressed: true, modifiers });
    for pair in points.windows(2) {
        // A hand's steps, not a jump.
        let steps = (pair[0].distance(pair[1]) / 60.0).ceil().max(1.0) as usize;
        for i in 1..=steps {
            w.event(Event::PointerMoved(pair[0].lerp(pair[1], i as f32 / steps as f32)));
        }
    }
    w.step();
}

/// The corners of a part of a rectangle (fractions from its left top), as a closed way.
pub fn around(rect: Rect, x: [f32; 2], y: [f32; 2]) -> Vec<Pos2> {
    let at = |u: f32, v: f32| pos2(rect.left() + u * rect.width(), rect.top() + v * rect.height());
    vec![at(x[0], y[0]), at(x[1], y[0]), at(x[1], y[1]), at(x[0], y[1]), at(x[0], y[0])]
}

/// Export the rows that are chosen under Take, by the button of the format and the path typed into the window.
pub fn export(w: &mut Window, format: &str, to: &Path) {
    unfold(w, "Take");
    press(w, format);
    save_as(w, to);
    until(w, "the file", |w| !w.state().session.busy() && to.exists());
}

/// Type a path where the window asks for one. The answer of a desktop without dialogs is waited for; on a machine so slow that
/// it counts as a person's, the button is not pressed again: the test says so.
pub fn save_as(w: &mut Window, to: &Path) {
    fill(w, "Path", &to.display().to_string());
    press(w, "Save file");
}
