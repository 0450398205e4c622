//! The program `hooks` as a user runs it: the built one, against real tables and the function sync.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod consumer;
mod doctor;
mod events;
mod export;
mod program;
mod replay;
mod states;
mod webhook;
mod world;
