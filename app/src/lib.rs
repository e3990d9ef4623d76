//! Asterism: the window and the command line. No science lives here: both drive
//! [`asterism_session`] with the same commands.

pub mod cli;
pub mod cx;
pub mod gpu;
pub mod panes;
pub mod picture;
pub mod theme;
pub mod widgets;
pub mod window;

/// Keeps glibc from giving each of many short-lived threads a heap of its own, as it does for up to eight a core: what panes make in
/// threads leaves holes in all of them (figures in docs/benchmarks.md). A heap a core is enough for those that work at a time. To be
/// called before threads start; elsewhere it does nothing.
pub fn few_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn mallopt(param: i32, value: i32) -> i32;
        }
        /// Of glibc's malloc.h.
        const M_ARENA_MAX: i32 = -8;
        let heaps = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)) as i32;
        // SAFETY: glibc's own function, by its documented signature; it takes any two integers and changes nothing but its settings.
        let _ = unsafe { mallopt(M_ARENA_MAX, heaps) };
    }
}
