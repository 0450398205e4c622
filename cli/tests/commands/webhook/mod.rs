//! `hooks webhook`, and a deployed stack.

mod actions;
mod stack;
mod status;
pub mod world;
