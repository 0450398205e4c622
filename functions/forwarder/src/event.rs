use outbound::{Message, without_sealed};
use shared::{Secret, Timestamp};
use store::StoredDelivery;

/// An event, ready to be posted.
pub(crate) struct Ready {
    pub(crate) message: Message,
    pub(crate) kind: String,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Ready {
    /// Prepares an event with its original body, or without the sealed members; `None` when it has no body.
    pub(crate) fn new(event: StoredDelivery, original: Option<Secret>) -> Option<Self> {
        let stored = event.body?;
        let body = original.map_or_else(|| without_sealed(&stored), |original| original.expose().to_owned());
        let message = Message { id: event.id, received_at: event.received_at, body };
        Some(Self { message, kind: event.kind, expires_at: event.expires_at })
    }
}
