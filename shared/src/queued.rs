//! The messages of the fallback queue: the receiver writes them, redrive reads them.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    event_id::EventId,
    timestamp::Timestamp,
    webhook_token::{InvalidTokenHash, TokenHash},
};

/// The version written, and the only one accepted when reading.
const VERSION: u64 = 1;

/// Replaces the token's hash when the receiver has checked the token.
const ACCEPTED: &str = "accepted";

/// One call of the webhook as received, its body not decoded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The id under which the receiver or redrive records it.
    pub id: EventId,
    /// Time of receipt, on the receiver's clock.
    pub received_at: Timestamp,
    /// The caller's address, as the gateway saw it; `None` when the gateway gave none, or one that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<IpAddr>,
    /// The request id from the gateway or Lambda, to find the call in their logs.
    pub request_id: String,
    /// The `Content-Type` header, shortened to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The `Content-Encoding` header, shortened to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// The bytes as received.
    #[serde(with = "base64_text")]
    pub body: Vec<u8>,
}

/// Writes and reads a body as base64: it need not be text, and a queue accepts only text.
mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(body))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(|_| D::Error::custom("not base64"))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.id)
            .field("received_at", &self.received_at)
            .field("source_ip", &self.source_ip)
            .field("request_id", &self.request_id)
            .field("content_type", &self.content_type)
            .field("content_encoding", &self.content_encoding)
            .field("size", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The result of the receiver's check of the token that a call came with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TokenCheck {
    /// The receiver has accepted it.
    Accepted,
    /// The accepted tokens could not be read: this hash must be checked before the call is recorded.
    Pending(TokenHash),
}

impl From<TokenCheck> for String {
    fn from(check: TokenCheck) -> Self {
        match check {
            TokenCheck::Accepted => ACCEPTED.to_owned(),
            TokenCheck::Pending(hash) => hash.to_string(),
        }
    }
}

impl TryFrom<String> for TokenCheck {
    type Error = InvalidTokenHash;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == ACCEPTED { Ok(Self::Accepted) } else { text.parse().map(Self::Pending) }
    }
}

/// A call that waits in the fallback queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueuedDelivery {
    /// The call.
    #[serde(flatten)]
    pub received: Received,
    /// The token's check. Every message has this member: a message without it must not count as checked.
    pub token: TokenCheck,
}

/// The reason why a message in the queue cannot be read. It includes nothing of the message, which may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnreadableMessage {
    /// The message is not JSON, lacks a member, or has one that cannot be read.
    #[error("the message is not a queued delivery")]
    Form,
    /// The message was written by another version of this program.
    #[error("the message has version {0}; only version {VERSION} is supported")]
    Version(u64),
}

/// The JSON form of a message. Unknown members are ignored. Only optional values may be missing.
#[derive(Serialize)]
struct Message<'a> {
    version: u64,
    #[serde(flatten)]
    delivery: &'a QueuedDelivery,
}

impl QueuedDelivery {
    /// Returns the text of the message: JSON, all of it ASCII except the request id and the headers.
    pub fn to_message(&self) -> String {
        // Texts and a number always serialize; the type cannot express it.
        let Ok(text) = serde_json::to_string(&Message { version: VERSION, delivery: self }) else {
            unreachable!("texts and numbers serialize")
        };
        text
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Fails when the text was not written by [`QueuedDelivery::to_message`].
    pub fn from_message(text: &str) -> Result<Self, UnreadableMessage> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version } = serde_json::from_str(text).map_err(|_| UnreadableMessage::Form)?;
        if version != VERSION {
            return Err(UnreadableMessage::Version(version));
        }
        serde_json::from_str(text).map_err(|_| UnreadableMessage::Form)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn queued(body: &[u8], token: TokenCheck) -> QueuedDelivery {
        let received_at: Timestamp = "2026-11-22T12:00:00.000001Z".parse().unwrap();
        QueuedDelivery {
            received: Received {
                id: EventId::new(received_at, [7; 8]),
                received_at,
                source_ip: Some([34, 165, 99, 212].into()),
                request_id: "request-1".to_owned(),
                content_type: Some("application/json".to_owned()),
                content_encoding: None,
                body: body.to_vec(),
            },
            token,
        }
    }

    #[test]
    fn a_message_has_the_members_of_version_1() {
        let message: Value = serde_json::from_str(&queued(b"{}", TokenCheck::Accepted).to_message()).unwrap();
        let expected = json!({
            "version": 1, "id": "01a20320-a200-7004-8707-070707070707", "received_at": "2026-11-22T12:00:00.000001Z",
            "source_ip": "34.165.99.212", "request_id": "request-1", "content_type": "application/json",
            "body": "e30=", "token": "accepted",
        });
        assert_eq!(message, expected);
    }

    #[test]
    fn a_pending_token_stays_pending() {
        let message = queued(b"{}", TokenCheck::Pending(TokenHash::of("a token"))).to_message();
        assert!(!message.contains("a token"));
        match QueuedDelivery::from_message(&message).unwrap().token {
            TokenCheck::Pending(hash) => assert!(hash.matches(&TokenHash::of("a token"))),
            TokenCheck::Accepted => panic!("a token that nobody has checked counts as accepted"),
        }
    }

    #[test]
    fn a_message_with_members_of_a_later_version_is_read() {
        let mut message: Value = serde_json::from_str(&queued(b"{}", TokenCheck::Accepted).to_message()).unwrap();
        message["colour"] = json!("red");
        assert!(QueuedDelivery::from_message(&message.to_string()).is_ok());
    }

    #[test]
    fn a_message_that_lacks_a_member_or_has_an_unusable_one_is_refused_without_being_shown() {
        let good: Value = serde_json::from_str(&queued(b"{}", TokenCheck::Accepted).to_message()).unwrap();
        for name in good.as_object().unwrap().keys() {
            let mut without = good.clone();
            without.as_object_mut().unwrap().remove(name);
            let read = QueuedDelivery::from_message(&without.to_string());
            if ["source_ip", "content_type"].contains(&name.as_str()) {
                assert!(read.is_ok(), "{name} may be missing");
            } else {
                assert_eq!(read.unwrap_err(), UnreadableMessage::Form);
            }
            let mut other = good.clone();
            other[name] = json!("123-456-789");
            if !["request_id", "content_type"].contains(&name.as_str()) {
                let error = QueuedDelivery::from_message(&other.to_string()).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("123-456-789"), "{name}: {error}");
            }
        }
        for text in ["", "{", "[]", "null", "\u{0}"] {
            assert_eq!(QueuedDelivery::from_message(text).unwrap_err(), UnreadableMessage::Form, "{text:?}");
        }
        let mut newer = good;
        newer["version"] = json!(2);
        assert_eq!(QueuedDelivery::from_message(&newer.to_string()).unwrap_err(), UnreadableMessage::Version(2));
    }

    #[test]
    fn the_body_is_not_shown() {
        let queued = queued(b"123-456-789", TokenCheck::Accepted);
        let shown = format!("{queued:?} {:?}", queued.received);
        assert!(shown.contains("size: 11") && !shown.contains("123-456"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_call_is_read_back_as_it_was_written(body: Vec<u8>, request_id: String, source_ip: Option<IpAddr>, content_encoding: Option<String>) {
            let mut queued = queued(&body, TokenCheck::Accepted);
            queued.received.request_id = request_id;
            (queued.received.source_ip, queued.received.content_encoding) = (source_ip, content_encoding);
            let read = QueuedDelivery::from_message(&queued.to_message()).unwrap();
            prop_assert_eq!(read.received, queued.received);
            prop_assert!(matches!(read.token, TokenCheck::Accepted));
        }
    }
}
