//! `hooks webhook`, and a deployed stack.

mod actions;
pub mod stack;
mod status;
pub mod world;
