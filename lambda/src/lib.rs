//! The common start-up of all functions: environment, logging, metrics, configuration of the AWS SDK; and the form of batches.

mod aws;
mod environment;
mod https;
mod logging;
mod mapping;
mod metrics;
mod program;
mod recording;
mod trust;
mod within;

pub use aws::{Patience, aws_config, with_patience};
pub use environment::{Environment, InvalidVariable};
pub use logging::subscriber as log_subscriber;
pub use mapping::{FailedItems, Message, MessageAttributes, MessageBatch};
pub use metrics::{Count, CountBy, Dimension, Document, Metrics, Millis};
pub use program::run;
pub use recording::RecordingConfig;
pub use within::within;
