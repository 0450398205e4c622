//! The forwarder: takes what waits in the forward queue and posts it to the partner's endpoint, signed.
//!
//! The way through, one file a step: `batch` → [`handler`](Forwarder::handle) → `event` (read from the tables) → the attempt (the
//! `outbound` crate) → `queue` (the wait before the next attempt, or a dead letter).
//!
//! The queue is FIFO with the entity as message group: while a message waits for its next attempt, those of its entity wait behind
//! it, and those of other entities go on. The function takes one message at a time, because SQS counts a receipt for every message
//! that comes with a failing one. When an event becomes a dead letter depends on attempts that this function has recorded, never on
//! the queue's count.

mod batch;
mod budget;
mod config;
mod event;
mod handler;
mod log;
mod metrics;
mod queue;
mod secret;

pub use batch::{Batch, Failures};
pub use budget::AWS;
pub use config::Config;
pub use handler::Forwarder;
