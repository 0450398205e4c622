//! What the fallback queue carries: the receiver writes it, redrive reads it.

use std::{fmt, net::IpAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{EventId, Timestamp, TokenHash};

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// In the place of the token's hash when the receiver has checked the token.
const ACCEPTED: &str = "accepted";

/// One call of the webhook as it came in, its body not decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The id that it is recorded under, whoever records it.
    pub id: EventId,
    /// When the receiver got it, on the receiver's clock.
    pub received_at: Timestamp,
    /// The caller's address, as the gateway saw it; `None` when it gave none that can be read.
    pub source_ip: Option<IpAddr>,
    /// The gateway's or Lambda's id of the request, to find it in their logs.
    pub request_id: String,
    /// The `Content-Type` header, shortened to 200 characters.
    pub content_type: Option<String>,
    /// The `Content-Encoding` header, shortened to 200 characters.
    pub content_encoding: Option<String>,
    /// The bytes as received.
    pub body: Vec<u8>,
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

/// Whether the token that a call came with is known to be an accepted one.
#[derive(Clone, Copy, Debug)]
pub enum TokenCheck {
    /// The receiver has checked it.
    Accepted,
    /// The accepted tokens could not be read: whoever records the call has to check this hash first.
    Pending(TokenHash),
}

/// A call that waits in the fallback queue to be recorded.
#[derive(Clone, Debug)]
pub struct QueuedDelivery {
    /// The call.
    pub received: Received,
    /// Whether it may be recorded.
    pub token: TokenCheck,
}

/// Why a message of the queue is none of ours. Nothing of the message is part of it: it may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnreadableMessage {
    /// It is not JSON, or not of the form that is written.
    #[error("the message is not a queued delivery")]
    Form,
    /// It was written by another version of this program.
    #[error("the message is of version {0}, and only version {VERSION} can be read")]
    Version(u64),
    /// A member is there, but cannot be read as what it should be.
    #[error("the message has no usable {0}")]
    Member(&'static str),
}

/// The JSON of a message. Unknown members are ignored. Only members without a value may be missing.
#[derive(Serialize, Deserialize)]
struct Message {
    version: u64,
    id: String,
    received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<String>,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    /// [`ACCEPTED`], or the hash that is still to be checked. That there always is one of the two keeps a message that
    /// has lost this member from counting as checked.
    token: String,
    /// In base64: a body need not be text, and the queue takes nothing else.
    body: String,
}

impl QueuedDelivery {
    /// Returns the text of the message: JSON, and all of it but the request id and the headers is ASCII.
    pub fn to_message(&self) -> String {
        let Received { id, received_at, source_ip, request_id, content_type, content_encoding, body } = &self.received;
        let message = Message {
            version: VERSION,
            id: id.to_string(),
            received_at: received_at.to_string(),
            source_ip: source_ip.map(|source_ip| source_ip.to_string()),
            request_id: request_id.clone(),
            content_type: content_type.clone(),
            content_encoding: content_encoding.clone(),
            token: match self.token {
                TokenCheck::Accepted => ACCEPTED.to_owned(),
                TokenCheck::Pending(hash) => hash.to_string(),
            },
            body: STANDARD.encode(body),
        };
        // A struct of texts and a number always serialises; the type cannot say so.
        let Ok(text) = serde_json::to_string(&message) else { unreachable!("texts and numbers serialise") };
        text
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When it is not one that [`QueuedDelivery::to_message`] has written.
    pub fn from_message(text: &str) -> Result<Self, UnreadableMessage> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version } = serde_json::from_str(text).map_err(|_| UnreadableMessage::Form)?;
        if version != VERSION {
            return Err(UnreadableMessage::Version(version));
        }
        let message: Message = serde_json::from_str(text).map_err(|_| UnreadableMessage::Form)?;
        let unusable = UnreadableMessage::Member;
        Ok(Self {
            received: Received {
                id: message.id.parse().map_err(|_| unusable("id"))?,
                received_at: message.received_at.parse().map_err(|_| unusable("received_at"))?,
                source_ip: message
                    .source_ip
                    .map(|source_ip| source_ip.parse())
                    .transpose()
                    .map_err(|_| unusable("source_ip"))?,
                request_id: message.request_id,
                content_type: message.content_type,
                content_encoding: message.content_encoding,
                body: STANDARD.decode(&message.body).map_err(|_| unusable("body"))?,
            },
            token: match message.token.as_str() {
                ACCEPTED => TokenCheck::Accepted,
                hash => TokenCheck::Pending(hash.parse().map_err(|_| unusable("token"))?),
            },
        })
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
