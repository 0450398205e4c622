//! The program `hooks` as a user runs it: the built one, against real tables and the function sync.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod events;
mod inspector;
mod program;
mod states;
mod webhook;
mod world;
