//! The common start-up of all functions: environment, logging, metrics, configuration of the AWS SDK.

mod aws;
mod environment;
mod https;
mod logging;
mod metrics;
mod program;
mod recording;
mod trust;
mod within;

pub use aws::{Patience, aws_config, with_patience};
pub use environment::{Environment, InvalidVariable};
pub use logging::subscriber as log_subscriber;
pub use metrics::{Count, CountBy, Dimension, Document, Metrics, Millis};
pub use program::run;
pub use recording::RecordingConfig;
pub use within::within;
