//! Redrive's log: one line with fields for each message. No line has a token, an API key or a body.

use shared::{Received, UnreadableMessage};
use store::{Content, Delivery, QuarantineCause, Recorded};
use tracing::field::display;

use lambda::Message;

/// A delivery is recorded, now or by an earlier attempt.
pub(crate) fn recorded(delivery: &Delivery, recorded: Recorded) {
    let (event_id, request_id, received_at) = (&delivery.id, &delivery.request_id, &delivery.received_at);
    match (recorded, &delivery.content) {
        (Recorded::Duplicate { of }, _) => {
            tracing::info!(%event_id, request_id, %received_at, duplicate_of = %of, "duplicate redriven");
        }
        (_, Content::Event(event)) => {
            tracing::info!(%event_id, request_id, %received_at, kind = %event.kind, "event redriven");
        }
        (_, Content::Quarantined { cause: QuarantineCause::UnlistedSource, bytes, .. }) => {
            let (source_ip, size) = (delivery.source_ip.map(display), bytes.len());
            tracing::warn!(
                %event_id, request_id, %received_at, source_ip, size,
                "delivery held: its source address is not on the list"
            );
        }
        (_, Content::Quarantined { cause: QuarantineCause::Undecodable(cause), bytes, .. }) => {
            tracing::warn!(%event_id, request_id, %received_at, size = bytes.len(), %cause, "redriven into quarantine");
        }
    }
}

/// A delivery stays in the queue because it cannot be recorded.
pub(crate) fn not_recorded(delivery: &Delivery, message: &Message, error: &str) {
    tracing::warn!(
        event_id = %delivery.id, request_id = delivery.request_id, message_id = message.message_id,
        receives = message.attributes.receives, error, "delivery not recorded yet"
    );
}

/// A delivery stays in the queue because its token cannot be checked.
pub(crate) fn unchecked(received: &Received, message: &Message) {
    tracing::warn!(
        event_id = %received.id, request_id = received.request_id, message_id = message.message_id,
        receives = message.attributes.receives, "delivery not checked yet"
    );
}

/// The token of a call is not accepted: the call is dropped, as the receiver would have refused it.
pub(crate) fn forged(received: &Received) {
    let Received { id, received_at, source_ip, request_id, .. } = received;
    let source_ip = source_ip.map(display);
    tracing::warn!(event_id = %id, request_id, %received_at, source_ip, "forged delivery dropped");
}

/// A message is not one that the receiver writes: it goes to the dead-letter queue.
pub(crate) fn unreadable(message: &Message, cause: UnreadableMessage) {
    tracing::error!(
        message_id = message.message_id, receives = message.attributes.receives, size = message.body.len(), %cause,
        "unreadable message in the fallback queue"
    );
}

/// The pause of a message cannot be set, so it is tried again after the queue's visibility timeout.
pub(crate) fn not_hidden(message: &Message, error: &str) {
    tracing::warn!(message_id = message.message_id, error, "the next attempt of a message cannot be delayed");
}
