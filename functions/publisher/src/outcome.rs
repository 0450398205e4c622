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
    /// Returns the result of an event that was not sent before the batch's deadline.
    pub(crate) fn too_late() -> Self {
        Self::Failed("no time left".to_owned())
    }
}
