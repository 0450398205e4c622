//! What redrive says of each message, one line with fields. No line has a token, an API key or a body.

use shared::{Received, UnreadableMessage};
use store::{Content, Delivery, Recorded};

use crate::batch::Message;

/// A delivery is recorded, now or by an earlier try.
pub(crate) fn recorded(delivery: &Delivery, recorded: Recorded) {
    let (event_id, request_id, received_at) = (&delivery.id, &delivery.request_id, &delivery.received_at);
    match (recorded, &delivery.content) {
        (Recorded::Duplicate { of }, _) => {
            tracing::info!(%event_id, request_id, %received_at, duplicate_of = %of, "duplicate redriven");
        }
        (_, Content::Event(event)) => {
            tracing::info!(%event_id, request_id, %received_at, kind = %event.kind, "event redriven");
        }
        (_, Content::Quarantined { bytes, cause, .. }) => {
            tracing::warn!(%event_id, request_id, %received_at, size = bytes.len(), %cause, "redriven into quarantine");
        }
    }
}

/// A delivery stays in the queue.
pub(crate) fn not_recorded(delivery: &Delivery, message: &Message, fault: &str) {
    tracing::warn!(
        event_id = %delivery.id, request_id = delivery.request_id, message_id = message.message_id,
        receives = message.attributes.receives, error = fault, "delivery not recorded yet"
    );
}

/// A delivery stays in the queue, as nobody can tell now whether its token is accepted.
pub(crate) fn not_checked(received: &Received, message: &Message) {
    tracing::warn!(
        event_id = %received.id, request_id = received.request_id, message_id = message.message_id,
        receives = message.attributes.receives, "delivery not checked yet"
    );
}

/// A call came with a token that is none: it is dropped, as the receiver would have refused it.
pub(crate) fn forged(received: &Received) {
    let Received { id, received_at, source_ip, request_id, .. } = received;
    let source_ip = source_ip.map(tracing::field::display);
    tracing::warn!(event_id = %id, request_id, %received_at, source_ip, "forged delivery dropped");
}

/// A message is none that the receiver writes: it ends in the dead-letter queue.
pub(crate) fn unreadable(message: &Message, cause: UnreadableMessage) {
    tracing::error!(
        message_id = message.message_id, receives = message.attributes.receives, size = message.body.len(), %cause,
        "unreadable message in the fallback queue"
    );
}

/// A message will be tried again, but sooner or later than it should.
pub(crate) fn not_left_alone(message: &Message, fault: &str) {
    tracing::warn!(message_id = message.message_id, error = fault, "the pause of a message cannot be set");
}
