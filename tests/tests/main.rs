//! The whole program from outside, in one test binary.

mod bad_input;
mod brush;
mod drive;
mod fuzz;
mod house;
mod interop;
mod picture;
mod pixels;
mod products;
mod recipe;
mod recovery;
mod samples;
mod search;
mod space;
mod stretch;
mod workflow;
