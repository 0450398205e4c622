//! The receiver: takes the provider's webhook calls from the gateway and records them.
//!
//! The way through, one file a step: [`handler`](Receiver::handle) → `route` → `authenticate` → `decode` → record
//! (the `store` crate) → `answer`.

mod answer;
mod authenticate;
mod budget;
mod config;
mod decode;
mod handler;
mod known_tokens;
mod log;
mod route;
mod source_ips;

pub use budget::DYNAMODB;
pub use config::Config;
pub use decode::Arrival;
pub use handler::Receiver;
