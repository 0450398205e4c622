use shared::{EventId, Timestamp};

/// The outcome of a record.
pub(crate) enum Outcome {
    /// The record had nothing to publish.
    Skipped,
    /// The event was published.
    HandedOn(Published),
    /// The record can never be published, and was moved aside.
    Unpublishable(String),
    /// The event was not published this time.
    Failed(String),
}

impl Outcome {
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// A published event.
pub(crate) struct Published {
    pub(crate) id: EventId,
    pub(crate) kind: String,
    pub(crate) received_at: Timestamp,
    /// The body was too large for the bus.
    pub(crate) omits_body: bool,
}

/// The result of sending an event to the bus or to the forward queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was accepted.
    Done,
    /// It was not accepted, and may be later.
    Failed(String),
    /// Its content is refused, now and later.
    Invalid(String),
}

impl Sent {
    /// Returns the result of an event that was not sent this time.
    pub(crate) fn not_sent() -> Self {
        Self::Failed("not sent: an earlier one failed, or no time was left".to_owned())
    }
}
