//! What happens to the deployment, and what must then be so.

pub mod commands;
pub mod delete;
pub mod deploy;
pub mod events;
pub mod outage;
pub mod refusals;
pub mod registration;
pub mod secrets;
pub mod signals;
pub mod unlisted;
