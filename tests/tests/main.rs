//! The whole program from outside, in one test binary.

mod bad_input;
mod brush;
mod doors;
mod drive;
mod form;
mod fuzz;
mod house;
mod interop;
mod large;
mod lost;
mod photometry;
mod picture;
mod pixels;
mod products;
mod recipe;
mod recovery;
mod samples;
mod search;
mod space;
mod stretch;
mod views;
mod workflow;
