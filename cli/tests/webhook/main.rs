//! `hooks webhook` as a user runs it: the built program, against the function sync and a real table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod actions;
mod stack;
mod status;
mod world;
