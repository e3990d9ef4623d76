//! Parts that several panes share: axes, gestures, work off the frame, the fallback for images.

pub mod axes;
pub mod cache;
pub mod format;
pub mod gesture;
pub mod text;
pub mod texture;
pub mod work;

pub use axes::{Axes, Frame, Range2};
pub use cache::{Cache, ViewId};
pub use gesture::{Gesture, Outcome};
pub use work::{Kept, Work};
