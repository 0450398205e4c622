//! The log lines of the forwarder. None contains a body, a secret or the endpoint's whole URL.

use outbound::{ForwardMessage, Next, Refusal};
use shared::EventId;

use lambda::Message;

pub(crate) fn taken(named: &ForwardMessage, attempts: u32) {
    tracing::info!(event_id = %named.id(), attempts, "event forwarded");
}

pub(crate) fn refused(named: &ForwardMessage, refusal: &Refusal, attempts: u32, next: Next) {
    let event_id = named.id();
    match next {
        Next::RetryAfter(wait) => {
            let retry_in_seconds = wait.as_secs();
            tracing::warn!(%event_id, attempts, retry_in_seconds, answer = %refusal, "the endpoint did not accept an event");
        }
        Next::GiveUp => {
            tracing::error!(%event_id, attempts, answer = %refusal, "the event is given up and becomes a dead letter");
        }
    }
}

pub(crate) fn gone(named: &ForwardMessage) {
    tracing::error!(event_id = %named.id(), "the event is no longer in the table and becomes a dead letter");
}

pub(crate) fn too_old(named: &ForwardMessage) {
    tracing::error!(event_id = %named.id(), "the event has waited too long and becomes a dead letter");
}

pub(crate) fn own_fault(named: &ForwardMessage, fault: &str) {
    tracing::warn!(event_id = %named.id(), error = fault, "the event was not offered yet");
}

pub(crate) fn not_recorded(id: &EventId, fault: &str) {
    tracing::warn!(event_id = %id, error = fault, "the attempt was not recorded");
}

pub(crate) fn taken_before(named: &ForwardMessage) {
    tracing::info!(event_id = %named.id(), "the event was forwarded before");
}

pub(crate) fn given_up_before(named: &ForwardMessage) {
    tracing::info!(event_id = %named.id(), "the event is a dead letter already");
}

pub(crate) fn secret_not_read(fault: &str) {
    tracing::warn!(error = fault, "the signing secret cannot be read: the one from before is used");
}

pub(crate) fn unreadable(message: &Message) {
    tracing::error!(message_id = message.message_id, "unreadable message in the forward queue");
}

pub(crate) fn not_buried(message: &Message, fault: &str) {
    tracing::error!(
        message_id = message.message_id,
        error = fault,
        "the dead-letter queue does not accept the message"
    );
}

pub(crate) fn not_hidden(message: &Message, fault: &str) {
    tracing::warn!(message_id = message.message_id, error = fault, "the wait of a message cannot be set");
}
