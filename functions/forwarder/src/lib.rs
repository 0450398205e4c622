//! The forwarder: posts the events of the forward queue to the partner's endpoint, signed.
//!
//! The steps, one file each: [`handler`](Forwarder::handle) → `event` (its body for the endpoint) → the attempt (the
//! `outbound` crate) → `queue` (the wait before the next attempt, or a dead letter).
//!
//! The queue is FIFO with the entity as message group: while a message waits for its next attempt, later messages of its
//! entity wait behind it, and other entities continue. An event that names no entity is a group of its own. The function
//! receives one message at a time, because SQS counts a receipt for every message in a batch with a failing one. Attempts
//! that this function has recorded decide when an event becomes a dead letter, never the queue's count.

mod backoff;
mod budget;
mod config;
mod event;
mod handler;
mod log;
mod metrics;
mod queue;
mod secret;

pub use backoff::MAX_RECEIVES;
pub use budget::AWS;
pub use config::Config;
pub use handler::Forwarder;
