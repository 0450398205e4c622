//! What every function does before its first event: read its environment, start logging, configure the AWS SDK.

mod aws;
mod environment;
mod logging;

pub use aws::{Patience, aws_config, with_patience};
pub use environment::{Environment, InvalidVariable};
pub use logging::{init as init_logging, subscriber as log_subscriber};
