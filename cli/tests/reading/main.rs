//! The commands that read the events table as a user runs them: the built program, against a real table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod events;
mod states;
mod world;
