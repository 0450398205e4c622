use std::{fmt, net::IpAddr};

use serde_json::{Value, json};
use shared::{Entity, EventId, text::plain};
use store::{Recorded, Retried, StoreError, StoredDelivery};

/// The outcome of retrying a quarantined delivery.
pub enum RetryOutcome {
    /// The result of the store.
    Tried(Retried),
    /// It is no longer in quarantine: it is this event.
    RecordedBefore(Box<StoredDelivery>),
    /// Its item cannot be read, expires at this moment, or is being written by somebody else. The other deliveries are still retried.
    Unreadable(StoreError),
}

impl RetryOutcome {
    /// Returns a JSON object. Its members keep their names from version to version.
    pub fn json(&self, id: &EventId) -> Value {
        let recorded = |outcome: &str, entity: &Entity, duplicate_of: Option<&EventId>| {
            let duplicate_of = duplicate_of.map(ToString::to_string);
            json!({"id": id.to_string(), "outcome": outcome, "entity": entity.as_str(), "duplicate_of": duplicate_of})
        };
        let not_recorded = |outcome: &str, cause: Option<&dyn fmt::Display>| json!({"id": id.to_string(), "outcome": outcome, "cause": cause.map(ToString::to_string)});
        match self {
            Self::Tried(Retried::Recorded { entity, recorded: Recorded::Duplicate { of } }) => {
                recorded("recorded", entity, Some(of))
            }
            Self::Tried(Retried::Recorded { entity, .. }) => recorded("recorded", entity, None),
            Self::RecordedBefore(event) => recorded("recorded_before", &event.entity, event.duplicate_of.as_ref()),
            Self::Tried(Retried::UnlistedSource(source_ip)) => {
                not_recorded("unlisted_source", Some(&unlisted(source_ip.as_ref())))
            }
            Self::Tried(Retried::Undecodable(cause)) => not_recorded("undecodable", Some(cause)),
            Self::Tried(Retried::BytesGone) => not_recorded("bytes_gone", None),
            Self::Tried(Retried::NotQuarantined) => not_recorded("not_quarantined", None),
            Self::Unreadable(error) => not_recorded("unreadable", Some(error)),
        }
    }
}

impl fmt::Display for RetryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tried(Retried::Recorded { entity, recorded: Recorded::Duplicate { of } }) => {
                write!(f, "recorded as {}, a duplicate of {of}", plain(entity.as_str()))
            }
            Self::Tried(Retried::Recorded { entity, .. }) => write!(f, "recorded as {}", plain(entity.as_str())),
            Self::RecordedBefore(event) => write!(f, "recorded before, as {}", plain(event.entity.as_str())),
            Self::Tried(Retried::UnlistedSource(source_ip)) => {
                write!(f, "still held: {}; add the address, or give --accept-source", unlisted(source_ip.as_ref()))
            }
            Self::Tried(Retried::Undecodable(cause)) => write!(f, "still undecodable: {cause}"),
            Self::Tried(Retried::BytesGone) => write!(f, "still undecodable: its bytes have expired"),
            Self::Tried(Retried::NotQuarantined) => write!(f, "not in quarantine, and no event"),
            Self::Unreadable(error) => write!(f, "not tried: {error}"),
        }
    }
}

/// The reason why a delivery stays held.
fn unlisted(source_ip: Option<&IpAddr>) -> String {
    match source_ip {
        Some(source_ip) => format!("its source address {source_ip} is not in AllowedSourceIps"),
        None => "the gateway gave no source address".to_owned(),
    }
}
