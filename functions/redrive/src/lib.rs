//! Redrive: records the deliveries that wait in the fallback queue, under the id and the time that the receiver gave them.
//!
//! A batch goes through one file after the other: [`handler`](Redrive::handle) → `authenticate` → decode and record (the
//! `store` crate), or else `backoff`.

mod authenticate;
mod backoff;
mod budget;
mod config;
mod handler;
mod log;
mod message_outcome;
mod metrics;

pub use backoff::MAX_RECEIVES;
pub use budget::{DYNAMODB, QUEUE};
pub use config::Config;
pub use handler::Redrive;
