//! The steps of the stack's life, each with its checks.

pub mod clients;
pub mod commands;
pub mod delete;
pub mod deploy;
pub mod events;
pub mod hand_on;
pub mod lines;
pub mod newcomer;
pub mod outage;
pub mod readers;
pub mod refusals;
pub mod registration;
pub mod secrets;
pub mod signals;
pub mod unlisted;
