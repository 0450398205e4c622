//! The steps of the stack's life, each with its checks.

pub mod commands;
pub mod delete;
pub mod deploy;
pub mod events;
pub mod hand_on;
pub mod outage;
pub mod refusals;
pub mod registration;
pub mod secrets;
pub mod signals;
pub mod unlisted;
