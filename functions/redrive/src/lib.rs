//! Redrive: takes what waits in the fallback queue and records it, under the id and the time that the receiver gave it.
//!
//! The way through, one file a step: `batch` → [`handler`](Redrive::handle) → `authenticate` → decode and record (the
//! `store` crate), or else `backoff`.

mod authenticate;
mod backoff;
mod batch;
mod budget;
mod config;
mod handler;
mod log;
mod metrics;
mod outcome;

pub use backoff::MOST_RECEIVES;
pub use batch::{Batch, Failures};
pub use budget::{DYNAMODB, QUEUE};
pub use config::Config;
pub use handler::Redrive;
