//! The function that talks to the provider, in three passes. `registration` keeps our webhook URL registered. `inventory` compares the
//! provider's lists with the states, and rebuilds events that were missed. `lines` keeps the webhook of each line as configured.
//!
//! The schedule retries, the code does not: a failed step ends the run, and the next run starts over. The one exception is an
//! expired access token, which is replaced once.
//!
//! No secret, no body of the provider's and no URL with its token is in any report, error, log line or `Debug` output.

mod action;
mod answer;
mod config;
mod error;
mod guard;
mod handler;
mod inventory;
mod invocation;
mod left_out;
mod limits;
mod line_url;
mod lines;
mod metrics;
mod our_urls;
mod registration;
mod report;
mod resource_answer;
mod resource_request;
mod secret_fault;
mod secrets;
mod services;

pub use action::{Action, BadRequest, LinesRequest, PassMode, Request};
pub use answer::Answer;
pub use config::{Config, SyncMode};
pub use error::SyncError;
pub use handler::WebhookSync;
pub use inventory::{Changed, Gap, Gone, InventoryOutcome, InventoryReport, ListReport, Missed, Stuck};
pub use invocation::{Invocation, RANDOM};
pub use limits::{AWS, Limits};
pub use lines::{LineChanged, LinesOutcome, LinesReport, NotLive};
pub use report::{Outcome, Report, Resolved};
pub use resource_request::BadResourceRequest;
pub use secret_fault::{SecretFault, SecretId};
