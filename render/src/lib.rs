//! Drawing of large scatters and images: slices go in, pixels and row ids come out.
//!
//! How it works: columns lie on the GPU ([`Points`], [`ImageTexture`]); [`Renderer`] draws them into a texture of ours
//! ([`Canvas`]), only when something changed, and one triangle lays that texture onto the window. Every kernel has a scalar
//! twin in [`reference`](mod@reference), which the tests hold it to. Where there is no usable GPU, or only one in software, the
//! processor's threads draw the same picture ([`cpu`]). Picking and lassos are exact in data space on the CPU ([`grid`]).
//!
//! Times are folded with a period where they lie ([`fold`]). Beside the drawing stand pure functions whose results are drawn: densities, statistics and contours ([`field`]), many spectra as
//! one picture ([`ensemble`]), images of any size ([`tiles`]), three bands as one picture ([`composite`]), outlines of regions ([`outlines`]), maps of three dimensions
//! ([`orbit`]), and marks thinned without losing outliers ([`thin`]).
//!
//! Choice not taken: drawing into the window's own pass (no control of format, depth or resolution, and a view that did not
//! change would be drawn again with every frame). This crate knows nothing of tables, sessions or egui.
//!
//! Cost: one compute pass over all positions (8 B a point) for each changed frame; marks and field as `renderer` says.

pub mod canvas;
pub mod colour;
pub mod composite;
pub mod cpu;
pub mod decimate;
pub mod ensemble;
pub mod field;
pub mod fold;
pub mod grid;
pub mod headless;
pub mod image;
mod on_device;
pub mod orbit;
pub mod outlines;
pub mod points;
pub mod reference;
pub mod renderer;
pub mod simplify;
pub mod thin;
pub mod tiles;
pub mod view;

pub use canvas::{Canvas, read_back, try_read_back};
pub use fold::{Fold, Times};
pub use image::{ImageLook, ImageTexture, Stretch};
pub use outlines::{OutlineStyle, Outlines};
pub use points::Points;
pub use renderer::{Renderer, Tier, is_lost};
pub use view::{Density, Style, Tone, View};
// The one copy of wgpu that the types above are of.
pub use wgpu;

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No adapter at all.
    #[error(
        "no graphics adapter was found ({0}). Install a driver: on Debian or Ubuntu `mesa-vulkan-drivers libvulkan1` gives one that \
         needs no graphics card; everything but drawing works without"
    )]
    NoAdapter(String),
    /// An adapter was found but gave no device.
    #[error(
        "the graphics adapter {adapter} gave no device: {reason}. Try another driver with WGPU_BACKEND=vulkan or WGPU_BACKEND=gl"
    )]
    NoDevice {
        /// Name and back end of the adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// The driver refused a shader or pipeline that drawing cannot do without.
    #[error("the graphics driver refused {what}: {reason}. Update the driver, or try WGPU_BACKEND=gl")]
    Refused {
        /// The pipeline.
        what: String,
        /// What the driver said.
        reason: String,
    },
    /// The device is gone: its driver was reset or updated, or it was destroyed.
    #[error("the graphics device was lost: make another one and draw again")]
    Lost,
    /// Pixels could not be read back.
    #[error("the picture could not be read back from the graphics device: {0}. Draw again; if it stays, restart the program")]
    ReadBack(String),
    /// An image's numbers do not fit its size.
    #[error("an image of {width} x {height} needs {expected} values but got {found}: check the axes of the array")]
    ImageShape {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Values wanted.
        expected: usize,
        /// Values given.
        found: usize,
    },
}
