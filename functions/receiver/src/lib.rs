//! The receiver: takes the provider's webhook calls from the gateway and records them.
//!
//! A call goes through one file after the other: `gateway` → [`handler`](Receiver::handle) → `route` → `authenticate` → decode
//! and record (the `store` crate), or else `fallback` → `answer`.

mod answer;
mod arrive;
mod authenticate;
mod breaker;
mod budget;
mod config;
mod fallback;
mod gateway;
mod handler;
mod known_tokens;
mod log;
mod metrics;
mod route;

pub use arrive::Arrival;
pub use budget::{DYNAMODB, QUEUE};
pub use config::Config;
pub use gateway::{GatewayAnswer, GatewayRequest, PayloadVersion};
pub use handler::Receiver;
