//! `asterism bench window`: start to first frame, and a selection's way to all panes.
//!
//! Each case runs in a process of its own, with a folder of its own for settings: what is timed begins with nothing in memory, and
//! no recovery file of the person's is touched. `start` is the time from starting the program on the first sample to its first
//! frame (and until the sample is mapped and its group lit), in a real window where there is a display, and off screen always.
//! `select` shows every pane there is at once, applies a selection and draws the next whole frame off screen: the window's own code,
//! egui's painting and the renderer, until the adapter is done. `settled_ms` is the time until the last thread that a pane started
//! for that selection (histograms, spectra, the table's order) has been drawn as well.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use asterism_session::data::RowSet;
use asterism_session::reduce::{Method, Params};
use asterism_session::{Ask, Command, Provenance, SelectMode, Session, Settings};
use egui_tiles::{Tiles, Tree};
use egui_wgpu::{RenderState, ScreenDescriptor, wgpu};
use serde_json::{Value, json};

use super::super::{Common, Done, Ended, Outcome, peak_bytes};
use crate::panes::Pane;
use crate::window::{self, App};

/// Rows of `select`, unless the call says otherwise.
pub const ROWS: usize = 100_000;
/// Selections that are timed.
const SELECTIONS: usize = 20;
/// The window, points.
const SIZE: [u32; 2] = [1600, 1000];
/// Longer than this nothing takes that is not stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// What a process started by this command measures.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Inside {
    /// A real window on the first sample.
    Shown,
    /// The same off screen.
    Offscreen,
    /// Selections.
    Select,
}

/// Measure, each case in a process of its own.
pub fn cases(rows: usize, common: &Common, wants: &dyn Fn(&str) -> bool, cases: &mut Vec<Value>) -> Result<(), Ended> {
    if wants("start") {
        for (inside, shown) in [(Inside::Shown, true), (Inside::Offscreen, false)] {
            let mut case = json!({"name": "start", "window": shown});
            if shown && !window::has_display() {
                case["skipped"] = json!("there is no display: a real window needs one, xvfb-run will do");
            } else {
                match child(inside, rows, common) {
                    Ok(figures) => take(&mut case, figures),
                    Err(e) => case["error"] = json!(e),
                }
            }
            cases.push(case);
        }
    }
    if wants("select") {
        let mut case = json!({"name": "select", "n": rows});
        match child(Inside::Select, rows, common) {
            Ok(figures) => take(&mut case, figures),
            Err(e) => case["error"] = json!(e),
        }
        cases.push(case);
    }
    Ok(())
}

fn take(case: &mut Value, figures: Value) {
    if let (Some(case), Value::Object(figures)) = (case.as_object_mut(), figures) {
        case.extend(figures);
    }
}

/// Start this program again and read what it says: lines `event NAME`, timed here, and one object of figures.
fn child(inside: Inside, rows: usize, common: &Common) -> Result<Value, String> {
    let home = tempfile::tempdir().map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let word = match inside {
        Inside::Shown => "shown",
        Inside::Offscreen => "offscreen",
        Inside::Select => "select",
    };
    let mut process = Process::new(program);
    process.args(["bench", "window", "--json", "--inside", word, "--rows", &rows.to_string()]);
    if let Some(threads) = common.threads {
        process.args(["--threads", &threads.to_string()]);
    }
    process.env("ASTERISM_HOME", home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut running = process.spawn().map_err(|e| e.to_string())?;
    let mut figures = json!({});
    if let Some(out) = running.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(event) = line.strip_prefix("event ") {
                figures[format!("{event}_ms")] = json!(start.elapsed().as_secs_f64() * 1e3);
            } else if let Ok(Value::Object(object)) = serde_json::from_str(&line) {
                take(&mut figures, object.get("figures").cloned().unwrap_or_default());
            }
        }
    }
    let ended = running.wait_with_output().map_err(|e| e.to_string())?;
    if ended.status.success() {
        Ok(figures)
    } else {
        let said = String::from_utf8_lossy(&ended.stderr);
        Err(said.lines().last().unwrap_or("it ended without a word").to_owned())
    }
}

/// Tell the process that waits.
fn event(name: &str) {
    let mut out = std::io::stdout();
    // Nobody listens any more: then there is nobody to tell.
    let _ = writeln!(out, "event {name}").and_then(|()| out.flush());
}

/// Measure in this process.
pub fn inside(what: Inside, rows: usize) -> Outcome {
    let figures = match what {
        Inside::Shown => {
            window::run_as(Session::new(Settings::default()), first(), |app| Box::new(Timed { app, watch: Watch::default() }))?;
            json!({"process_bytes": peak_bytes()})
        }
        Inside::Offscreen => start_offscreen()?,
        Inside::Select => select(rows)?,
    };
    Ok(Done { json: json!({"figures": figures}), text: String::new(), truncated: false })
}

/// What the first start opens.
fn first() -> Vec<PathBuf> {
    vec![PathBuf::from("sample:a478")]
}

/// Whether the sample is mapped and its group lit.
fn lit(app: &App) -> bool {
    app.session.doc().selection.any() && app.session.doc().dataset().is_some_and(|d| d.map().is_some())
}

/// The window, with a watch on it.
#[derive(Default)]
struct Watch {
    /// Frames drawn so far.
    drawn: usize,
    /// Frames drawn when the sample was lit.
    lit_at: Option<usize>,
    told: [bool; 2],
}

struct Timed {
    app: App,
    watch: Watch,
}

impl eframe::App for Timed {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        let watch = &mut self.watch;
        // What was drawn before this call has been handed to the display.
        if watch.drawn > 0 && !std::mem::replace(&mut watch.told[0], true) {
            event("first_frame");
        }
        if watch.lit_at.is_some_and(|at| watch.drawn > at) && !std::mem::replace(&mut watch.told[1], true) {
            event("mapped");
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        self.app.logic(ctx, frame);
        let watch = &mut self.watch;
        if watch.lit_at.is_none() && lit(&self.app) {
            watch.lit_at = Some(watch.drawn);
        }
        if watch.drawn < 2 || watch.lit_at.is_some() {
            ctx.request_repaint();
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.app.ui(ui, frame);
        self.watch.drawn += 1;
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        self.app.clear_color(visuals)
    }

    fn on_exit(&mut self) {
        self.app.on_exit();
    }
}

/// The window's own code without a screen: a frame is what eframe makes of it, drawn into a texture.
struct Offscreen {
    ctx: egui::Context,
    app: App,
    frame: eframe::Frame,
    render: RenderState,
    target: wgpu::TextureView,
    since: Instant,
}

impl Offscreen {
    fn new(session: Session, open: Vec<PathBuf>) -> Result<Self, Ended> {
        let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
        setup.device_descriptor = std::sync::Arc::new(|adapter| wgpu::DeviceDescriptor {
            label: Some("asterism"),
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        });
        let setup = egui_wgpu::WgpuSetup::from(setup);
        let instance = now(setup.new_instance());
        let configuration = egui_wgpu::WgpuConfiguration { wgpu_setup: setup, ..Default::default() };
        let render = now(RenderState::create(&configuration, &instance, None, egui_wgpu::RendererOptions::default()))?;
        let target = render
            .device
            .create_texture(&wgpu::TextureDescriptor {
                label: Some("bench"),
                size: wgpu::Extent3d { width: SIZE[0], height: SIZE[1], depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: render.target_format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
                view_formats: &[],
            })
            .create_view(&wgpu::TextureViewDescriptor::default());
        let ctx = egui::Context::default();
        let mut cc = eframe::CreationContext::_new_kittest(ctx.clone());
        cc.wgpu_render_state = Some(render.clone());
        let mut frame = eframe::Frame::_new_kittest();
        frame.wgpu_render_state = Some(render.clone());
        let app = App::new(&cc, session, open);
        Ok(Self { ctx, app, frame, render, target, since: Instant::now() })
    }

    /// One frame, until the adapter is done with it; says how soon the next one is wanted.
    fn draw(&mut self) -> Result<Duration, Ended> {
        use eframe::App as _;
        let size = egui::vec2(SIZE[0] as f32, SIZE[1] as f32);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(self.since.elapsed().as_secs_f64()),
            focused: true,
            ..Default::default()
        };
        let (app, frame) = (&mut self.app, &mut self.frame);
        let mut out = self.ctx.run_ui(input, |ui| {
            let ctx = ui.ctx().clone();
            app.logic(&ctx, frame);
            app.ui(ui, frame);
        });
        let jobs = self.ctx.tessellate(std::mem::take(&mut out.shapes), out.pixels_per_point);
        let screen = ScreenDescriptor { size_in_pixels: SIZE, pixels_per_point: out.pixels_per_point };
        let (device, queue) = (&self.render.device, &self.render.queue);
        let mut renderer = self.render.renderer.write();
        for (id, images) in out.textures_delta.set.drain() {
            for image in images {
                renderer.update_texture(device, queue, id, &image);
            }
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let before = renderer.update_buffers(device, queue, &mut encoder, &jobs, &screen);
        {
            let attachment = wgpu::RenderPassColorAttachment {
                view: &self.target,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT), store: wgpu::StoreOp::Store },
                depth_slice: None,
            };
            let pass = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
            renderer.render(&mut encoder.begin_render_pass(&pass).forget_lifetime(), &jobs, &screen);
        }
        queue.submit(before.into_iter().chain(std::iter::once(encoder.finish())));
        for id in out.textures_delta.free.drain() {
            renderer.free_texture(&id);
        }
        drop(renderer);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(out.viewport_output.get(&egui::ViewportId::ROOT).map_or(Duration::MAX, |v| v.repaint_delay))
    }

    /// Frames until no pane's thread is at work any more: those that wait look again within a tenth of a second. Says when the
    /// first frame ended that had everything; another one is drawn to be sure of it.
    fn settle(&mut self) -> Result<Instant, Ended> {
        let start = Instant::now();
        let mut whole = None;
        loop {
            let next = self.draw()?;
            let quiet = next > Duration::from_millis(100) && !self.app.session.busy();
            match whole {
                Some(at) if quiet => return Ok(at),
                _ => whole = quiet.then(Instant::now),
            }
            if start.elapsed() > LIMIT {
                return Err(Ended::Failed("the window did not come to rest".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The native adapters answer at once: nothing here is ever waited for.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn start_offscreen() -> Result<Value, Ended> {
    let mut window = Offscreen::new(Session::new(Settings::default()), first())?;
    window.draw()?;
    event("first_frame");
    let start = Instant::now();
    while !lit(&window.app) {
        window.draw()?;
        std::thread::sleep(Duration::from_millis(5));
        if start.elapsed() > LIMIT {
            return Err(Ended::Failed("the sample was not mapped".into()));
        }
    }
    window.draw()?;
    event("mapped");
    Ok(json!({"adapter": window.render.adapter.get_info().name, "process_bytes": peak_bytes()}))
}

/// Every pane there is, side by side.
fn all_panes() -> Tree<Pane> {
    let mut tiles = Tiles::default();
    let children = Pane::kinds().iter().map(|(_, make)| tiles.insert_pane(make())).collect();
    let root = tiles.insert_grid_tile(children);
    Tree::new(egui::Id::unique("views"), root, tiles)
}

fn select(rows: usize) -> Result<Value, Ended> {
    let mut session = Session::new(Settings::default());
    let ask = Ask::Sample { name: "ogle3".into(), filter: None, max_rows: Some(rows) };
    session.apply(Command::Search { name: "ogle3".into(), ask })?;
    session.wait(&mut |_| {})?;
    session.apply(Command::StartMap { name: String::new(), params: Params { method: Method::Pca, ..Params::default() } })?;
    session.wait(&mut |_| {})?;
    let dataset = session.doc().dataset().cloned().ok_or_else(|| Ended::Failed("the sample is not there".into()))?;
    let rows = dataset.table.rows();
    let mut trees = serde_json::Map::new();
    trees.insert(dataset.id.to_string(), serde_json::to_value(all_panes())?);
    session.apply(Command::SetLayout { layout: json!({ "trees": trees }) })?;
    let mut window = Offscreen::new(session, Vec::new())?;
    window.settle()?;
    let (mut apply, mut frame, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..=SELECTIONS {
        // A tenth of the rows, spread over all of them, another tenth each time.
        let chosen = RowSet::from_fn(rows, |row| row.wrapping_mul(2_654_435_761) / 64 % 10 == i % 10);
        let why = Provenance::Rows { note: "bench".into(), rows: chosen.clone() };
        let start = Instant::now();
        window.app.session.apply(Command::Select { rows: chosen, why, mode: Some(SelectMode::Replace) })?;
        let applied = start.elapsed();
        window.draw()?;
        let drawn = start.elapsed();
        let whole = window.settle()?;
        // The first one warms up what is made once.
        if i > 0 {
            apply.push(applied.as_secs_f64() * 1e3);
            frame.push(drawn.as_secs_f64() * 1e3);
            settled.push((whole - start).as_secs_f64() * 1e3);
        }
    }
    let still = Instant::now();
    window.draw()?;
    Ok(json!({
        "rows": rows, "panes": Pane::kinds().len(), "size": SIZE, "adapter": window.render.adapter.get_info().name,
        "apply_ms": spread(apply), "frame_ms": spread(frame), "settled_ms": spread(settled),
        "still_frame_ms": still.elapsed().as_secs_f64() * 1e3, "process_bytes": peak_bytes(),
    }))
}

/// Median and 95th percentile.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values.get(((values.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(0.0);
    json!({"p50": at(0.5), "p95": at(0.95)})
}
