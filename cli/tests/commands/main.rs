//! The program `hooks` as a user runs it: the built one, against real tables and the function sync.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod completions;
mod dead_letters;
mod events;
mod key;
mod program;
mod quarantine;
mod states;
mod webhook;
mod world;
