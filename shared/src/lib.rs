//! The models that all parts of the system share: events as the provider sends them, webhook URLs and tokens, ids, times
//! and secrets.
//!
//! Everything here is a value. Nothing in this crate does I/O, reads a clock or the environment, is async, or depends on
//! AWS: times, random bytes and keys are arguments.
//!
//! Facts about the provider are cited by the name of its documentation page, for example "Partner Webhook".

mod causes;
mod destination;
mod entity;
mod event;
mod event_id;
mod fields;
mod fingerprint;
mod gzip;
mod hex_digits;
pub mod human_time;
mod integer;
pub mod json;
mod kind;
mod masked_url;
mod queue_url;
mod queued;
mod redact;
mod secret;
mod serde_text;
mod source_ips;
pub mod text;
mod timestamp;
mod undecodable;
mod webhook_token;
mod webhook_url;

pub use causes::Causes;
pub use destination::{ForbiddenDestination, check_destination};
pub use entity::Entity;
pub use event::{Event, Sealed};
pub use event_id::{EventId, InvalidEventId};
pub use fields::{Fields, Value};
pub use fingerprint::{Fingerprint, FingerprintKey, InvalidFingerprint, WeakFingerprintKey};
pub use gzip::gunzip;
pub use integer::Integer;
pub use kind::{DOCTOR, Kind};
pub use queue_url::{InvalidQueueUrl, QueueUrl};
pub use queued::{QueuedDelivery, Received, TokenCheck, UnreadableMessage};
pub use redact::PLACEHOLDER;
pub use secret::Secret;
pub use source_ips::{InvalidSourceIps, InvalidUnlistedSource, SourceIps, UnlistedSource};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use undecodable::Undecodable;
pub use webhook_token::{InvalidTokenHash, TokenHash, WeakWebhookToken, WebhookToken};
pub use webhook_url::{InvalidWebhookUrl, RegisteredUrl, WebhookUrl, is_safe_for_secrets};
