//! The receiver: takes the provider's webhook calls from the gateway and records them.
//!
//! The way through, one file a step: [`handler`](Receiver::handle) → `route` → `authenticate` → `arrive` → decode and record
//! (the `store` crate), or else `fallback` → `answer`.

mod answer;
mod arrive;
mod authenticate;
mod budget;
mod config;
mod fallback;
mod handler;
mod known_tokens;
mod log;
mod metrics;
mod route;
mod source_ips;

pub use answer::Answer;
pub use arrive::Arrival;
pub use budget::{DYNAMODB, QUEUE};
pub use config::Config;
pub use handler::Receiver;
