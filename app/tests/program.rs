//! The program itself, as a process: the command line's contract, and a real window under Xvfb.

mod cli;
mod real_window;
