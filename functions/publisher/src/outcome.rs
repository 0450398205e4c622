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
