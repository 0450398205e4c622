//! The pages as a browser sees them: a running inspector on real tables.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod forwarding;
mod guard;
mod lines;
mod live;
mod views;
mod visitor;
mod world;
