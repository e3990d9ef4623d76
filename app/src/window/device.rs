//! What draws, in words, and what happens when the graphics device is lost.
//!
//! A driver that was reset or updated takes the device away, and with it everything a window draws by, its own widgets included:
//! neither eframe nor egui-wgpu can give a window another device, and egui-wgpu panics where it finds no room on one that is lost.
//! So the frame that learns of the loss paints nothing and closes its window; the session, with its jobs and its undo, goes to a new
//! window in the same place ([`Hands`], `run_as`), which has a new device and says what happened. Where the loss comes in the middle
//! of a frame and egui-wgpu panics, the event loop cannot be used again: the session is kept as after a crash, and the program is
//! started again on it. A device that is lost again within a minute will not do: the session is kept and the error stream says what
//! helps.
//!
//! Losses are seldom, so they can be made: `ASTERISM_LOSE_DEVICE=5` destroys the device five seconds after its window opened, `5!` in
//! the middle of a frame; of a list each window takes its own. Choice not taken: going on with a blank window.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asterism_render::Tier;
use asterism_session::Session;
use egui_wgpu::wgpu;
use parking_lot::Mutex;

/// Said to the process that follows one whose device was lost.
const AFTER: &str = "ASTERISM_AFTER_LOST_DEVICE";
/// Losses that are made.
const LOSE: &str = "ASTERISM_LOSE_DEVICE";
/// A device that is lost so soon again will not do.
const SOON: Duration = Duration::from_secs(60);
/// Errors of drawing that a window tells at most: one that comes with every frame is one.
const ERRORS: usize = 3;
/// How often a new window is tried, and the wait between: a driver that was reset takes its time.
const TRIES: (u32, Duration) = (4, Duration::from_secs(2));

/// Watches the device of a window.
pub struct Watch {
    lost: Arc<Mutex<Option<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
    made: Option<(Instant, bool)>,
}

impl Watch {
    /// From now on; `wake` asks for a frame.
    pub fn new(render: Option<&egui_wgpu::RenderState>, wake: impl Fn() + Send + 'static) -> Self {
        let lost = Arc::new(Mutex::new(None));
        if let Some(render) = render {
            let slot = lost.clone();
            render.device.set_device_lost_callback(move |reason, message| {
                *slot.lock() = Some(why(reason, &message));
                wake();
            });
        }
        Self { lost, errors: Arc::default(), made: None }
    }

    /// What the driver said, once the device is lost.
    pub fn lost(&self) -> Option<String> {
        self.lost.lock().clone()
    }

    /// From now on an error of drawing is a message and not the end, as it is by default; on a lost device it is nothing new.
    fn spare(&self, render: Option<&egui_wgpu::RenderState>) {
        let (lost, errors) = (self.lost.clone(), self.errors.clone());
        if let Some(render) = render {
            render.device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
                let mut errors = errors.lock();
                if lost.lock().is_none() && errors.len() < ERRORS {
                    errors.push(e.to_string());
                }
            }));
        }
    }

    /// What the device complained of and nobody was told yet.
    pub fn complaints(&mut self) -> Vec<String> {
        let mut errors = self.errors.lock();
        let fresh = errors.iter_mut().filter(|e| !e.is_empty()).map(std::mem::take).collect();
        drop(errors);
        fresh
    }

    /// The window is the `nth` of this process: take up the loss that is to be made in it.
    fn is_nth(&mut self, nth: usize) {
        let all = std::env::var(LOSE).unwrap_or_default();
        self.made = all.split(',').nth(nth).and_then(made).map(|(after, amid)| (Instant::now() + after, amid));
    }

    /// Make the loss that was asked for when its time has come; `amid` a frame or before it.
    pub fn make(&mut self, ctx: &egui::Context, render: Option<&egui_wgpu::RenderState>, amid: bool) {
        let (Some((at, when)), Some(render)) = (self.made, render) else { return };
        let now = Instant::now();
        if now < at {
            ctx.request_repaint_after(at - now);
        } else if when == amid {
            self.made = None;
            render.device.destroy();
            // The loss is told once nothing is under way; what else the call has to say is of a device that is gone.
            let _ = render.device.poll(wgpu::PollType::wait_indefinitely());
        }
    }
}

/// A loss in words: seconds, with `!` in the middle of a frame.
fn made(word: &str) -> Option<(Duration, bool)> {
    let word = word.trim();
    let seconds: f64 = word.trim_end_matches('!').parse().ok().filter(|s| (0.0..1e6).contains(s))?;
    Some((Duration::from_secs_f64(seconds), word.ends_with('!')))
}

/// What a window and the one after it give each other.
#[derive(Default)]
pub struct Left {
    /// The session, while no window has it.
    pub session: Option<Session>,
    /// Why the device was lost, when it was.
    why: Option<String>,
    /// Where the window stood: its corner where that is known, and its size.
    place: Option<(Option<egui::Pos2>, egui::Vec2, bool)>,
    windows: usize,
    last: Option<Instant>,
}

/// Shared by the windows of a process, which follow each other.
#[derive(Clone, Default)]
pub struct Hands(Rc<RefCell<Left>>);

/// What is to be done when a window has gone.
pub enum Next {
    /// It was closed.
    End,
    /// Open another.
    Window,
}

impl Hands {
    /// With a session for the first window.
    pub fn with(session: Session) -> Self {
        // A process that follows a loss counts from its start.
        let last = after_loss().then(Instant::now);
        Self(Rc::new(RefCell::new(Left { session: Some(session), last, ..Left::default() })))
    }

    /// The session, for a window that opens.
    pub fn take(&self) -> Option<Session> {
        self.0.borrow_mut().session.take()
    }

    /// A window has opened: say what happened to the one before.
    pub fn opened(&self, app: &mut super::App) {
        let mut left = self.0.borrow_mut();
        app.device.is_nth(left.windows);
        app.device.spare(app.render.as_ref());
        left.windows += 1;
        if let Some(why) = left.why.take() {
            let text =
                format!("The graphics device was lost ({why}). This window has a new one; nothing of the session is missing");
            app.session.notice(asterism_session::NoticeLevel::Warning, text);
        }
        drop(left);
        app.hands = Some(self.clone());
    }

    /// A window goes because of a loss.
    pub fn give(&self, session: Session, why: String) {
        let mut left = self.0.borrow_mut();
        left.session = Some(session);
        left.why = Some(why);
    }

    /// Whether a window has the session.
    pub fn empty(&self) -> bool {
        self.0.borrow().session.is_none()
    }

    /// Whether the last window went because of a loss.
    pub fn lost(&self) -> bool {
        self.0.borrow().why.is_some()
    }

    /// Note where the window stands.
    pub fn stands(&self, ctx: &egui::Context) {
        // Each asks the context in turn: a question within a question would wait for ever.
        let (zoom, content) = (ctx.zoom_factor(), ctx.content_rect().size());
        let viewport = ctx.input(|i| i.viewport().clone());
        let size = viewport.inner_rect.map_or(content, |r| r.size()) * zoom;
        let corner = viewport.outer_rect.map(|r| r.min * zoom);
        self.0.borrow_mut().place = Some((corner, size, viewport.maximized.unwrap_or(false)));
    }

    /// The next window in the place of the last.
    pub fn placed(&self, viewport: egui::ViewportBuilder) -> egui::ViewportBuilder {
        match self.0.borrow().place {
            Some((corner, size, maximized)) => {
                let v = viewport.with_inner_size(size).with_maximized(maximized);
                if let Some(corner) = corner { v.with_position(corner) } else { v }
            }
            None => viewport,
        }
    }

    /// A window has gone; `panicked` in the middle of a frame.
    ///
    /// # Errors
    /// When the device was lost and no window can follow: what helps.
    pub fn next(&self, panicked: bool) -> anyhow::Result<Next> {
        let mut left = self.0.borrow_mut();
        let Some(why) = left.why.clone() else { return Ok(Next::End) };
        let again = left.last.is_some_and(|at| at.elapsed() < SOON);
        left.last = Some(Instant::now());
        if !again && !panicked {
            eprintln!("asterism: the graphics device was lost ({why}); a new window opens");
            return Ok(Next::Window);
        }
        let kept = kept(left.session.as_ref());
        if again {
            anyhow::bail!(
                "the graphics device was lost twice within a minute ({why}); {kept}. Start the program with WGPU_BACKEND=gl, or update \
                 the graphics driver"
            );
        }
        eprintln!("asterism: the graphics device was lost ({why}); {kept}; the program starts again");
        let started =
            std::env::current_exe().and_then(|exe| std::process::Command::new(exe).env(AFTER, "1").env_remove(LOSE).spawn());
        match started {
            Ok(_) => Ok(Next::End),
            Err(e) => anyhow::bail!("the program could not be started again ({e}); start it by hand, it offers the session"),
        }
    }

    /// A window that should follow did not open, for the `nth` time: true when another try is worth it, and the session, when it is still
    /// here, is kept.
    pub fn try_again(&self, nth: u32, e: &eframe::Error) -> bool {
        let left = self.0.borrow();
        if left.why.is_none() || left.session.is_none() {
            return false;
        }
        if nth < TRIES.0 {
            std::thread::sleep(TRIES.1);
            return true;
        }
        eprintln!("asterism: no window could follow ({e}); {}", kept(left.session.as_ref()));
        false
    }
}

/// Keep a session, and say so.
fn kept(session: Option<&Session>) -> String {
    match session.filter(|s| !s.doc().datasets.is_empty()).map(Session::keep_now) {
        None => "there was nothing to keep".into(),
        Some(Ok(_)) => "the session is kept, and the next start offers it".into(),
        Some(Err(e)) => format!("the session could not be kept: {e}"),
    }
}

/// Which drivers are asked: GL as well only where a graphics card could have no other, since its libraries take 30 MB of a window that
/// does not use them; `WGPU_BACKEND` decides before anything else.
pub fn backends(all: bool) -> wgpu::Backends {
    let card = || {
        let nodes = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
        nodes.into_iter().any(|n| n.file_name().to_string_lossy().starts_with("render"))
            || std::path::Path::new("/dev/nvidia0").exists()
    };
    let both = wgpu::Backends::PRIMARY | wgpu::Backends::GL;
    wgpu::Backends::from_env().unwrap_or(if all || !cfg!(target_os = "linux") || card() { both } else { wgpu::Backends::PRIMARY })
}

/// Whether this process follows one that a loss ended.
pub fn after_loss() -> bool {
    std::env::var_os(AFTER).is_some()
}

/// The driver's reason.
fn why(reason: wgpu::DeviceLostReason, message: &str) -> String {
    match (reason, message.trim()) {
        (wgpu::DeviceLostReason::Destroyed, "") => "it was destroyed".into(),
        (_, "") => "the driver gave no reason".into(),
        (_, said) => said.to_owned(),
    }
}

/// Who draws the marks, for the About box.
pub fn tier(render: Option<&egui_wgpu::RenderState>) -> String {
    let Some(render) = render else { return "Marks are drawn as squares, by the window's own painter".into() };
    if let Some(why) = crate::gpu::trouble(Some(render)) {
        return format!("Marks are drawn as squares: {why}");
    }
    match (Tier::of(&render.device), render.adapter.get_info().device_type) {
        (Tier::Full, _) => "Marks and images are drawn by compute shaders on the graphics card".into(),
        (Tier::Reference, wgpu::DeviceType::Cpu) => "A software adapter: marks are drawn by the processor's threads".into(),
        (Tier::Reference, _) => {
            "The device has too small limits for compute shaders: marks are drawn by the processor's threads".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_has_a_reason() {
        assert_eq!(why(wgpu::DeviceLostReason::Destroyed, ""), "it was destroyed");
        assert_eq!(why(wgpu::DeviceLostReason::Unknown, " reset \n"), "reset");
        assert!(why(wgpu::DeviceLostReason::Unknown, "").contains("no reason"));
    }

    #[test]
    fn losses_are_asked_for_in_seconds() {
        assert_eq!(made("5"), Some((Duration::from_secs(5), false)));
        assert_eq!(made(" 0.5! "), Some((Duration::from_millis(500), true)));
        assert!(made("").is_none() && made("soon").is_none() && made("-1").is_none() && made("NaN").is_none());
    }

    #[test]
    fn a_closed_window_is_an_end_and_a_lost_one_is_followed_once() {
        let hands = Hands::with(Session::new(asterism_session::Settings::default()));
        let session = hands.take().expect("the session");
        assert!(matches!(hands.next(false), Ok(Next::End)));
        hands.give(session, "reset".into());
        assert!(matches!(hands.next(false), Ok(Next::Window)));
        let e = hands.next(false).err().expect("twice within a minute").to_string();
        assert!(e.contains("reset") && e.contains("WGPU_BACKEND=gl"), "{e}");
        assert!(hands.take().is_some());
    }
}
