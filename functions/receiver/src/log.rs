//! The receiver's log: one line with fields for each call. No line has a token, an API key or a body as received.
//!
//! # A lost event
//!
//! A delivery that is neither recorded nor queued is logged at level `ERROR` with the message `delivery not recorded`, so that `hooks
//! recover` can record it. CloudWatch cuts a line off at 256 KB, so a long body is in several lines. Each line has all of these fields:
//!
//! | field | value |
//! |---|---|
//! | `event_id`, `received_at`, `request_id` | as they would have been recorded |
//! | `source_ip` | the caller's address; missing when the gateway gave none |
//! | `fingerprint` | HMAC-SHA-256 of the body, in hexadecimal |
//! | `not_recorded`, `not_queued` | the errors of DynamoDB and SQS |
//! | `authenticated` | `true` when the token was checked |
//! | `token_sha256` | SHA-256 of the token, to be checked before the event is recorded; missing when it was checked |
//! | `held` | `true` when the source address is not listed, so that the delivery was to be held |
//! | `part`, `parts` | the number of this line, from 1, and the number of lines |
//! | `body` | this part of the event's redacted body; empty when the body is not an event |
//!
//! The body is the `body` of parts 1 to `parts` with the same `event_id`, joined. Parts end between characters.

use shared::{Fingerprint, TokenCheck};
use store::{Content, Delivery, QuarantineCause, Recorded};
use tracing::field::display;

use crate::{
    authenticate::{Admitted, Refused},
    breaker::{self, Change},
};

/// Maximum size of a part of a lost event's body, as it is in the log's JSON. With the other fields beside it, the line stays
/// below CloudWatch's 256 KB.
const LONGEST_PART: usize = 200_000;

/// A delivery is recorded and will be answered with 200.
pub(crate) fn recorded(delivery: &Delivery, recorded: Recorded) {
    let (event_id, request_id) = (&delivery.id, &delivery.request_id);
    match (recorded, &delivery.content) {
        (Recorded::Duplicate { of }, _) => {
            tracing::info!(%event_id, request_id, duplicate_of = %of, "duplicate recorded");
        }
        (_, Content::Event(event)) => tracing::info!(%event_id, request_id, kind = %event.kind, "event recorded"),
        (_, Content::Quarantined { cause: QuarantineCause::UnlistedSource, bytes, .. }) => {
            let (source_ip, size) = (delivery.source_ip.map(display), bytes.len());
            tracing::warn!(%event_id, request_id, source_ip, size, "delivery held: its source address is not on the list");
        }
        (_, Content::Quarantined { cause: QuarantineCause::Undecodable(cause), bytes, .. }) => {
            tracing::warn!(%event_id, request_id, size = bytes.len(), %cause, "delivery quarantined");
        }
    }
}

/// A delivery is not recorded but waits in the fallback queue, and will be answered with 200.
pub(crate) fn queued(call: &Admitted, not_recorded: &str) {
    let received = call.received();
    let authenticated = matches!(call.queued().token, TokenCheck::Accepted);
    tracing::warn!(
        event_id = %received.id, request_id = received.request_id, authenticated, held = call.is_held(),
        cause = not_recorded, "delivery queued"
    );
}

/// A delivery is neither recorded nor queued, and will be answered with 503.
pub(crate) fn lost(call: &Admitted, delivery: &Delivery, not_recorded: &str, not_queued: &str) {
    let (authenticated, token_sha256) = match &call.queued().token {
        TokenCheck::Accepted => (true, None),
        TokenCheck::Pending(presented) => (false, Some(display(presented))),
    };
    let body = match &delivery.content {
        Content::Event(event) => event.body.as_str(),
        Content::Quarantined { .. } => "",
    };
    let source_ip = delivery.source_ip.map(display);
    let all = parts(body);
    for (part, body) in (1_usize..).zip(&all) {
        tracing::error!(
            event_id = %delivery.id, request_id = delivery.request_id, received_at = %delivery.received_at, source_ip,
            fingerprint = %delivery.fingerprint, authenticated, token_sha256, held = call.is_held(), not_recorded,
            not_queued, part, parts = all.len(), body,
            "delivery not recorded"
        );
    }
}

/// A call is refused. The caller does not learn the reason.
pub(crate) fn refused(refused: &Refused) {
    let source_ip = refused.source_ip.map(display);
    tracing::warn!(request_id = refused.request_id, source_ip, cause = %refused.cause, "call refused");
}

/// The body of an authenticated call is over the limit: the call is refused and lost.
pub(crate) fn too_large(size: usize, fingerprint: &Fingerprint, request_id: &str) {
    tracing::error!(size, %fingerprint, request_id, "body too large, delivery lost");
}

/// The breaker changed its state: the following deliveries take another path.
pub(crate) fn breaker(change: Change) {
    match change {
        Change::Opened => tracing::warn!(
            seconds = breaker::OPEN.as_secs(),
            "DynamoDB does not answer: deliveries go straight to the fallback queue"
        ),
        Change::Closed => tracing::info!("DynamoDB answers again: deliveries are recorded directly"),
    }
}

/// Cuts a text into parts, at least one, that take at most [`LONGEST_PART`] bytes each as JSON strings.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut size) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        // At most: not every character is escaped.
        let in_json = match character {
            '"' | '\\' => 2,
            ' '..='~' => 1,
            '\0'..='\u{ffff}' => 6,
            _ => 12,
        };
        if size + in_json > LONGEST_PART {
            parts.push(&text[start..at]);
            (start, size) = (at, 0);
        }
        size += in_json;
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_body_join_to_it_and_none_is_longer_than_the_limit_in_json() {
        assert_eq!(parts(""), [""]);
        assert_eq!(parts("{}"), ["{}"]);
        let bytes_in_json = [("x", 1), ("\"", 2), ("\\", 2), ("\u{1}", 6), ("א", 6), ("\u{2028}", 6), ("😀", 12)];
        for (character, most) in bytes_in_json {
            let count = 300_000 / character.len();
            let text = character.repeat(count);
            let all = parts(&text);
            assert_eq!(all.concat(), text);
            assert_eq!(all.len(), count.div_ceil(LONGEST_PART / most), "{character:?}");
            let longest = all.iter().map(|part| serde_json::to_string(part).unwrap().len()).max().unwrap();
            assert!(longest <= LONGEST_PART + 2, "{character:?}: {longest}");
        }
        let longest = "x".repeat(LONGEST_PART);
        assert_eq!(parts(&longest), [longest.as_str()]);
        assert_eq!(parts(&format!("{longest}y")), [longest.as_str(), "y"]);
    }
}
