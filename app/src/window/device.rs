//! What draws, in words, and what happens when the graphics device is lost.
//!
//! A driver that was reset or updated takes the device away, and with it everything a window draws by, its own widgets included:
//! neither eframe nor egui-wgpu can give a running window another one. So the session is kept as after a crash, the program is
//! started again, which offers it, and this process ends. A device that is lost again within a minute is not tried a third time:
//! the error stream then says what helps. Choice not taken: going on with a blank window.

use std::sync::Arc;
use std::time::{Duration, Instant};

use asterism_render::Tier;
use egui_wgpu::wgpu;
use parking_lot::Mutex;

/// Said to the process that follows one whose device was lost.
const AFTER: &str = "ASTERISM_AFTER_LOST_DEVICE";
/// A device that is lost so soon again will not do.
const SOON: Duration = Duration::from_secs(60);

/// Watches the device of the window.
pub struct Watch {
    lost: Arc<Mutex<Option<String>>>,
    since: Instant,
}

impl Watch {
    /// From now on; `wake` asks for a frame.
    pub fn new(render: Option<&egui_wgpu::RenderState>, wake: impl Fn() + Send + 'static) -> Self {
        let lost = Arc::new(Mutex::new(None));
        if let Some(render) = render {
            let slot = lost.clone();
            render.device.set_device_lost_callback(move |reason, message| {
                if let Some(why) = why(reason, &message) {
                    *slot.lock() = Some(why);
                    wake();
                }
            });
        }
        Self { lost, since: Instant::now() }
    }

    /// What the driver said, once the device is lost.
    pub fn lost(&self) -> Option<String> {
        self.lost.lock().clone()
    }

    /// Start the program again, unless it was lost just after such a start; this process has nothing left to do then.
    pub fn start_again(&self, why: &str) {
        let again = std::env::var_os(AFTER).is_some() && self.since.elapsed() < SOON;
        eprintln!("the graphics device was lost ({why}); the session is kept");
        if again {
            eprintln!("it was lost twice within a minute: start the program with WGPU_BACKEND=gl, or update the graphics driver");
            return;
        }
        let started = std::env::current_exe().and_then(|exe| std::process::Command::new(exe).env(AFTER, "1").spawn());
        if let Err(e) = started {
            eprintln!("the program could not be started again ({e}); start it by hand, it offers the session");
        }
    }
}

/// What is said at the start after a loss.
pub fn after_loss() -> Option<&'static str> {
    std::env::var_os(AFTER).map(|_| "The graphics device was lost. Your session was kept: open it here.")
}

/// The driver's reason, unless the program gave the device back itself.
fn why(reason: wgpu::DeviceLostReason, message: &str) -> Option<String> {
    if reason == wgpu::DeviceLostReason::Destroyed {
        return None;
    }
    Some(if message.trim().is_empty() { "the driver gave no reason".into() } else { message.trim().to_owned() })
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
    fn a_device_given_back_is_not_lost() {
        assert_eq!(why(wgpu::DeviceLostReason::Destroyed, "x"), None);
        assert_eq!(why(wgpu::DeviceLostReason::Unknown, " reset \n").as_deref(), Some("reset"));
        assert!(why(wgpu::DeviceLostReason::Unknown, "").is_some());
    }
}
