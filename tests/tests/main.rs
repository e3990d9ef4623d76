//! The whole program from outside, in one test binary.

mod house;
mod recovery;
mod workflow;
