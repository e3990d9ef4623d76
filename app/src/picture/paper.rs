//! Views of the window on paper: the panes themselves are run with no window until they have settled, and what they told the painter
//! is the drawing (`shapes.rs`).
//!
//! A page is an egui context of its own, a point a pixel of the page. Panes work in threads and ask for another frame while they wait,
//! so a page is ready when no more is asked for; one that waits longer than [`MOST`] (a survey on a network) is drawn as it is then, and
//! says so. No GPU, no display. Choice not taken: a second drawing of each view made for paper, of which there would be a dozen to keep
//! alike. Cost: what the panes cost in the window, two frames at least.

use std::sync::Arc;
use std::time::{Duration, Instant};

use asterism_session::{Document, Result, Session, Settings};
use egui::{Align2, Id, Rect, UiBuilder, pos2, vec2};

use super::shapes::{self, Textures};
use super::words::Paned;
use crate::cx::{Cx, Shared};
use crate::theme::{self, Theme};

/// A page waits so long for what its views have asked for.
const MOST: Duration = Duration::from_secs(120);
/// The height of a title above its view, points.
pub const TITLE: f64 = 30.0;

/// What is on a page.
pub struct Drawn {
    /// As SVG, without its head and end.
    pub svg: String,
    /// What was still missing when the wait ended.
    pub waiting: Option<String>,
    /// What views said that have nothing to show.
    pub empty: Vec<String>,
}

/// Views, each in a frame of the page (left, top, width, height) with its title in the first [`TITLE`] points.
///
/// # Errors
/// When a raster cannot be written.
pub fn draw(doc: &Document, views: &[(Paned, [f64; 4])], size: [u32; 2], theme: &Theme) -> Result<Drawn> {
    let session = Session::of_document(Settings::load(), doc.clone());
    let ctx = egui::Context::default();
    theme::install_fonts(&ctx);
    theme::apply(&ctx, theme);
    crate::gpu::draw_on_paper(&ctx);
    let page = Rect::from_min_size(egui::Pos2::ZERO, vec2(size[0] as f32, size[1] as f32));
    let mut views: Vec<(Paned, Rect, Shared)> = views
        .iter()
        .map(|(view, f)| {
            let rect = Rect::from_min_size(pos2(f[0] as f32, f[1] as f32), vec2(f[2] as f32, f[3] as f32));
            // Without one the table's own is taken.
            let (redshift, redshift_of) = (view.redshift.unwrap_or(0.0), view.redshift.and(doc.dataset()).map(|d| d.id));
            let shared = Shared { hover: view.row, redshift, redshift_of, brush_radius_pt: 16.0, ..Shared::default() };
            (view.clone(), rect, shared)
        })
        .collect();
    let (mut textures, mut commands) = (Textures::default(), Vec::new());
    let start = Instant::now();
    // Counts the calls for another frame that threads make between frames.
    let woken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (bell, mut quiet) = (woken.clone(), 0);
    ctx.set_request_repaint_callback(move |_| bell.store(true, std::sync::atomic::Ordering::Relaxed));
    let mut time = 0.0;
    loop {
        woken.store(false, std::sync::atomic::Ordering::Relaxed);
        crate::panes::said_empty(&ctx);
        let input = egui::RawInput { screen_rect: Some(page), time: Some(time), ..egui::RawInput::default() };
        time += 1.0 / 60.0;
        let out = ctx.run_ui(input, |ui| {
            for (i, (view, rect, shared)) in views.iter_mut().enumerate() {
                let mut cx = Cx { session: &session, theme, shared, commands: &mut commands, render: None };
                let title = view.pane.title(&cx);
                let at = rect.left_top() + vec2(14.0, TITLE as f32 / 2.0);
                ui.painter_at(*rect).text(at, Align2::LEFT_CENTER, title, theme::semibold(theme::BODY), theme.text);
                let room = Rect::from_min_max(rect.min + vec2(1.0, TITLE as f32), rect.max - vec2(1.0, 1.0));
                let mut child = ui.new_child(UiBuilder::new().id_salt(Id::unique(("on paper", i))).max_rect(room));
                child.set_clip_rect(room);
                view.pane.ui(&mut child, &mut cx);
            }
        });
        commands.clear();
        textures.take(out.textures_delta);
        let asked = out.viewport_output.values().map(|v| v.repaint_delay).min().unwrap_or(Duration::MAX);
        let still = asked == Duration::MAX && !woken.load(std::sync::atomic::Ordering::Relaxed);
        quiet = if still { quiet + 1 } else { 0 };
        let late = start.elapsed() > MOST;
        // Twice, so that what one view makes and another takes up is seen.
        if quiet > 1 || late {
            let waiting =
                late.then(|| format!("a view was still waiting after {} s and is drawn as it was then", MOST.as_secs()));
            let empty = crate::panes::said_empty(&ctx);
            return Ok(Drawn { svg: shapes::svg(&out.shapes, &textures)?, waiting, empty });
        }
        // A thread that ends asks again at once.
        if asked > Duration::from_millis(1) {
            let until = Instant::now() + asked.min(Duration::from_millis(30));
            while Instant::now() < until && !still && !woken.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
