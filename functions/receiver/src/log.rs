//! What the receiver says of each call, one line with fields. No line has a token, an API key or a body as received.

use shared::{Event, FingerprintKey};
use store::{Content, Delivery, Recorded};

use crate::authenticate::{CannotTell, Refusal, Verified};

/// A delivery is recorded and will be answered with 200.
pub(crate) fn recorded(delivery: &Delivery, recorded: Recorded) {
    let (event_id, request_id) = (&delivery.id, &delivery.request_id);
    match (recorded, &delivery.content) {
        (Recorded::Duplicate { of }, _) => {
            tracing::info!(%event_id, request_id, duplicate_of = %of, "duplicate recorded")
        }
        (_, Content::Event(event)) => tracing::info!(%event_id, request_id, kind = %event.kind, "event recorded"),
        (_, Content::Undecodable { bytes, cause }) => {
            tracing::warn!(%event_id, request_id, size = bytes.len(), %cause, "delivery quarantined");
        }
    }
}

/// A delivery is not recorded; its redacted event is in the line, so that a person can enter it again.
pub(crate) fn not_recorded(delivery: &Delivery, fault: &str) {
    let body = match &delivery.content {
        Content::Event(event) => event.body.as_str(),
        Content::Undecodable { .. } => "",
    };
    tracing::error!(
        event_id = %delivery.id, request_id = delivery.request_id, received_at = %delivery.received_at,
        fingerprint = %delivery.fingerprint, error = fault, body, "delivery not recorded"
    );
}

/// A call from an allowed address whose token cannot be checked now, with its redacted event.
pub(crate) fn not_authenticated(call: &CannotTell, key: &FingerprintKey) {
    let body = Event::decode(&call.body).map(|event| event.body).unwrap_or_default();
    tracing::error!(
        request_id = call.request_id, fingerprint = %key.fingerprint(&call.body), body,
        "delivery not recorded: its token cannot be checked"
    );
}

/// A call is not let in. The caller sees only that.
pub(crate) fn refused(refusal: &Refusal) {
    match refusal {
        Refusal::SourceAddress(source_ip) | Refusal::Token(source_ip) => {
            tracing::warn!(%source_ip, cause = %refusal, "call refused");
        }
        Refusal::NoSourceAddress | Refusal::NoToken => tracing::warn!(cause = %refusal, "call refused"),
    }
}

/// A verified call has a body over the limit: it is refused, and with that lost.
pub(crate) fn too_large(call: &Verified, key: &FingerprintKey) {
    tracing::error!(
        size = call.body.len(), fingerprint = %key.fingerprint(&call.body), request_id = call.request_id,
        "body too large, delivery lost"
    );
}
