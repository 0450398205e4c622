//! What every function starts with: its environment, logging, metrics, the configuration of the AWS SDK.

mod aws;
mod environment;
mod https;
mod logging;
mod metrics;
mod program;
mod trust;

pub use aws::{Patience, aws_config, with_patience};
pub use environment::{Environment, InvalidVariable};
pub use logging::subscriber as log_subscriber;
pub use metrics::{Count, CountBy, Dimension, Document, Metrics, Millis};
pub use program::run;
