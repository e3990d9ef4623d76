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
