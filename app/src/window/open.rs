//! Opening the native window, and another one on the same session when the graphics device of the first was lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asterism_session::{Session, Settings};
use eframe::{egui_wgpu, wgpu};

use super::{App, device};
use crate::theme::{self, Theme};

/// Whether a window can be shown at all.
pub(crate) fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY") || set("WAYLAND_SOCKET")
}

/// Three dots of an asterism: the window's icon.
fn icon(theme: &Theme) -> egui::IconData {
    const SIDE: usize = 64;
    let stars = [(18.0, 44.0, 6.0, theme.selected), (33.0, 19.0, 8.0, theme.accent), (49.0, 38.0, 5.0, theme.text)];
    let mut rgba = Vec::with_capacity(SIDE * SIDE * 4);
    for i in 0..SIDE * SIDE {
        let (x, y) = ((i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5);
        let colour = stars.iter().find(|s| (x - s.0).hypot(y - s.1) < s.2).map_or(theme.frame, |s| s.3);
        rgba.extend_from_slice(&colour.to_array());
    }
    egui::IconData { rgba, width: SIDE as u32, height: SIDE as u32 }
}

/// Open the native window on a session; comes back when it is closed.
///
/// # Errors
/// When there is no display, or no graphics adapter that can draw.
pub fn run(session: Session, open: Vec<PathBuf>) -> anyhow::Result<()> {
    start(session, open, false)
}

/// Open the native window with these settings on files, sessions or `sample:NAME`s.
///
/// # Errors
/// As [`run`].
pub fn open(settings: Settings, paths: &[String], start_page: bool) -> anyhow::Result<()> {
    start(Session::new(settings), paths.iter().map(PathBuf::from).collect(), start_page)
}

fn start(session: Session, open: Vec<PathBuf>, start_page: bool) -> anyhow::Result<()> {
    // A window that takes the place of another one shows what that one showed.
    let first = Arc::new(AtomicBool::new(true));
    run_as(session, open, move |app| {
        let first = first.swap(false, Ordering::Relaxed);
        Box::new(if start_page && first { app.with_start_page() } else { app })
    })
}

/// Open the native window with the app in some dress: what is measured must be the window itself. When its graphics device is lost
/// another one takes its place, with the same session.
///
/// # Errors
/// As [`run`].
pub fn run_as(
    session: Session,
    open: Vec<PathBuf>,
    dress: impl Fn(App) -> Box<dyn eframe::App> + Clone + 'static,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        has_display(),
        "there is no display; use `asterism run RECIPE.toml -o DIR` for the same loop without a window"
    );
    let mut session = session;
    session.recall_token();
    let icon = icon(&theme::of(false));
    let viewport = egui::ViewportBuilder::default()
        .with_title("Asterism")
        .with_app_id("asterism")
        .with_icon(icon)
        .with_inner_size([1600.0, 1000.0])
        .with_min_inner_size([1000.0, 640.0])
        .with_drag_and_drop(true);
    let hands = device::Hands::with(session);
    let (mut open, mut tries, mut all) = (open, 0, false);
    loop {
        let options = options(hands.placed(viewport.clone()), device::backends(all));
        let (for_app, files, dress) = (hands.clone(), open.clone(), dress.clone());
        let make = move |cc: &eframe::CreationContext<'_>| {
            let session = for_app.take().ok_or("the window before has not given the session back")?;
            let mut app = App::new(cc, session, files);
            for_app.opened(&mut app);
            Ok(dress(app))
        };
        let run = std::panic::AssertUnwindSafe(|| eframe::run_native("Asterism", options, Box::new(make)));
        let ended = std::panic::catch_unwind(run);
        tries += 1;
        match ended {
            Ok(Err(e)) if hands.try_again(tries, &e) => {}
            // Nothing but GL may be here after all.
            Ok(Err(_)) if !all && device::backends(false) != device::backends(true) && !hands.empty() => all = true,
            Ok(Err(e)) => anyhow::bail!(
                "the window could not be opened: {e}; try WGPU_BACKEND=gl, or `asterism run RECIPE.toml -o DIR` without a window"
            ),
            ended => match hands.next(ended.is_err())? {
                device::Next::Window => (open, tries) = (Vec::new(), 0),
                device::Next::End => match ended {
                    // A panic that no loss explains is one.
                    Err(panic) if !hands.lost() => std::panic::resume_unwind(panic),
                    _ => return Ok(()),
                },
            },
        }
    }
}

fn options(viewport: egui::ViewportBuilder, backends: wgpu::Backends) -> eframe::NativeOptions {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    setup.instance_descriptor.backends = backends;
    setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
        label: Some("asterism"),
        // Sums of marks are kept whole where floats blend.
        required_features: adapter.features()
            & (wgpu::Features::FLOAT32_FILTERABLE | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::FLOAT32_BLENDABLE),
        // The default limits of the GL back end have no storage buffers at all.
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    });
    let wgpu_options = egui_wgpu::WgpuConfiguration {
        surface: egui_wgpu::SurfaceConfig::HIGH_THROUGHPUT,
        wgpu_setup: setup.into(),
        ..Default::default()
    };
    eframe::NativeOptions { viewport, wgpu_options, ..Default::default() }
}
