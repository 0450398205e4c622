use std::fmt;

use serde_json::{Value, json};
use shared::{Entity, EventId, text::plain};
use store::{Recorded, Retried, StoreError, StoredDelivery};

/// What became of a quarantined delivery that was tried again.
pub enum RetryOutcome {
    /// What the store says.
    Tried(Retried),
    /// It is no longer in quarantine: it is this event.
    RecordedBefore(Box<StoredDelivery>),
    /// Its item is not as this program writes it, expires at this moment, or another write has it. The others are tried all the same.
    Unreadable(StoreError),
}

impl RetryOutcome {
    /// The whole as JSON. What is there once stays there, under the same name.
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
            Self::Tried(Retried::UnlistedSource(_)) => not_recorded("unlisted_source", None),
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
            Self::Tried(Retried::UnlistedSource(_)) => write!(f, "still held: its source address is not on the list"),
            Self::Tried(Retried::Undecodable(cause)) => write!(f, "still undecodable: {cause}"),
            Self::Tried(Retried::BytesGone) => write!(f, "still undecodable: its bytes have expired"),
            Self::Tried(Retried::NotQuarantined) => write!(f, "not in quarantine, and no event"),
            Self::Unreadable(error) => write!(f, "not tried: {error}"),
        }
    }
}
