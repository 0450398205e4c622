//! What the receiver says of each call, one line with fields. No line has a token, an API key or a body as received.

use shared::{Fingerprint, QueuedDelivery, TokenCheck};
use store::{Content, Delivery, Recorded};

use crate::authenticate::Refused;

/// A delivery is recorded and will be answered with 200.
pub(crate) fn recorded(delivery: &Delivery, recorded: Recorded) {
    let (event_id, request_id) = (&delivery.id, &delivery.request_id);
    match (recorded, &delivery.content) {
        (Recorded::Duplicate { of }, _) => {
            tracing::info!(%event_id, request_id, duplicate_of = %of, "duplicate recorded")
        }
        (_, Content::Event(event)) => tracing::info!(%event_id, request_id, kind = %event.kind, "event recorded"),
        (_, Content::Quarantined { bytes, cause, .. }) => {
            tracing::warn!(%event_id, request_id, size = bytes.len(), %cause, "delivery quarantined");
        }
    }
}

/// A delivery is not recorded but waits in the fallback queue, and will be answered with 200.
pub(crate) fn queued(queued: &QueuedDelivery, not_recorded: &str) {
    let received = &queued.received;
    let authenticated = matches!(queued.token, TokenCheck::Accepted);
    tracing::warn!(
        event_id = %received.id, request_id = received.request_id, authenticated, cause = not_recorded, "delivery queued"
    );
}

/// A delivery is neither recorded nor queued; its redacted event is in the line, so that a person can enter it again.
pub(crate) fn lost(delivery: &Delivery, not_recorded: &str, not_queued: &str) {
    let body = match &delivery.content {
        Content::Event(event) => event.body.as_str(),
        Content::Quarantined { .. } => "",
    };
    tracing::error!(
        event_id = %delivery.id, request_id = delivery.request_id, received_at = %delivery.received_at,
        fingerprint = %delivery.fingerprint, not_recorded, not_queued, body, "delivery not recorded"
    );
}

/// A call is not let in. The caller sees only that.
pub(crate) fn refused(refused: &Refused) {
    let source_ip = refused.source_ip.map(tracing::field::display);
    tracing::warn!(request_id = refused.request_id, source_ip, cause = %refused.cause, "call refused");
}

/// A call from an allowed address has a body over the limit: it is refused, and with that lost.
pub(crate) fn too_large(size: usize, fingerprint: &Fingerprint, request_id: &str) {
    tracing::error!(size, %fingerprint, request_id, "body too large, delivery lost");
}
