//! Keeps the registered webhook URL ours: gets the URL registered with the provider, compares it with ours, sets ours where it
//! differs, reads it back, and records all of it.
//!
//! The schedule retries, the code does not: a failed step ends the run, and the next run starts over. The one exception is an
//! expired access token, which is replaced once.
//!
//! No secret, no body of the provider's and no URL with its token is in any report, error, log line or `Debug` output.

mod action;
mod config;
mod error;
mod guard;
mod handler;
mod invocation;
mod limits;
mod metrics;
mod our_urls;
mod registration;
mod report;
mod resource_answer;
mod resource_request;
mod secret_fault;
mod secrets;
mod services;

pub use action::{Action, BadRequest};
pub use config::{Config, SyncMode};
pub use error::SyncError;
pub use handler::WebhookSync;
pub use invocation::{Invocation, RANDOM};
pub use limits::{AWS, Limits};
pub use report::{Answer, Outcome, Report, Resolved};
pub use resource_request::BadResourceRequest;
pub use secret_fault::{SecretFault, SecretId};
