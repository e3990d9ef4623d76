//! A graphics device that is lost under a window: nothing panics, the window goes, and the next one with the session shows the same.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use asterism::window::App;
use asterism_session::{Session, Settings};
use egui::{Modifiers, Rect, ViewportCommand, ViewportId};
use egui_kittest::Harness;
use egui_kittest::kittest::NodeT;

use crate::drive::*;

type Held = Arc<Mutex<Option<egui_wgpu::RenderState>>>;

/// A window that really draws, and what it draws by.
fn drawn(session: Session, open: Vec<PathBuf>) -> (Window, Held) {
    let held = Held::default();
    let to = held.clone();
    let w = Harness::builder().with_size([1600.0, 1000.0]).with_max_steps(2).with_render_cursor(false).wgpu().build_eframe(
        move |cc| {
            *to.lock().expect("held") = cc.wgpu_render_state.clone();
            Session::discard_recovery();
            App::new(cc, session, open)
        },
    );
    (w, held)
}

/// Where the plot is.
fn canvas(w: &Window) -> Rect {
    let is = |n: &egui_kittest::Node<'_>| {
        let n = n.accesskit_node();
        n.role() == egui::accesskit::Role::Canvas && n.label().as_deref() == Some("Scatter plot")
    };
    w.root().children_recursive().find(is).expect("a plot").rect()
}

/// The part of the picture that is the plot.
fn plot(w: &mut Window) -> image::RgbaImage {
    for _ in 0..40 {
        w.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let rect = canvas(w);
    let picture = w.render().expect("a picture");
    image::imageops::crop_imm(&picture, rect.left() as u32, rect.top() as u32, rect.width() as u32, rect.height() as u32)
        .to_image()
}

#[test]
fn a_lost_device_closes_the_window_and_the_next_shows_the_same() {
    home();
    if let Err(e) = asterism_render::headless::device() {
        assert!(std::env::var("ASTERISM_XVFB").as_deref() != Ok("required"), "{e}");
        eprintln!("skipped: {e}");
        return;
    }
    let (mut w, held) = drawn(Session::new(Settings::default()), vec!["sample:ogle3".into()]);
    until(&mut w, "rows", |w| rows(w) > 0 && !w.state().session.busy());
    let at = canvas(&w);
    drag(&mut w, &around(at, [0.3, 0.6], [0.2, 0.8]), Modifiers::SHIFT);
    let (chosen, before) = (selected(&w), plot(&mut w));
    assert!(!chosen.is_empty());

    let render = held.lock().expect("held").take().expect("a device");
    render.device.destroy();
    let _ = render.device.poll(egui_wgpu::wgpu::PollType::wait_indefinitely());
    for _ in 0..3 {
        w.step();
        let out = w.output();
        let closes = out.viewport_output.get(&ViewportId::ROOT).is_some_and(|v| v.commands.contains(&ViewportCommand::Close));
        assert!(closes, "the window goes");
        assert!(out.shapes.is_empty(), "and paints nothing: egui-wgpu would panic");
    }

    let session = std::mem::replace(&mut w.state_mut().session, Session::new(Settings::default()));
    let (mut next, _) = drawn(session, Vec::new());
    until(&mut next, "rows", |w| rows(w) > 0 && !w.state().session.busy());
    assert_eq!(selected(&next), chosen);
    let after = plot(&mut next);
    assert_eq!(before.dimensions(), after.dimensions());
    let differ = before.pixels().zip(after.pixels()).filter(|(a, b)| a != b).count();
    // The outline of the lasso and its tooltip belong to the hand, not to the session.
    assert!(differ * 50 < before.pixels().len(), "{differ} of {} pixels differ", before.pixels().len());
}
