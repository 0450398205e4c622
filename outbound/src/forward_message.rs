use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{Entity, EventId};
use store::StoredDelivery;
use thiserror::Error;

/// A message of the forward queue: it names an event, and contains nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardMessage {
    id: EventId,
    entity: Entity,
    is_again: bool,
}

/// The text is not a [`ForwardMessage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a message of the forward queue: an object with the id and the entity of an event")]
pub struct InvalidForwardMessage;

#[derive(Serialize, Deserialize)]
struct Text {
    id: String,
    entity: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

impl ForwardMessage {
    /// Creates a message with the id and the entity of an event.
    pub fn new(id: EventId, entity: Entity) -> Self {
        Self { id, entity, is_again: false }
    }

    /// Creates a message that names an event.
    pub fn of(event: &StoredDelivery) -> Self {
        Self::new(event.id, event.entity.clone())
    }

    /// Returns the message of an event that is also sent if the endpoint has accepted it before.
    #[must_use]
    pub fn again(self) -> Self {
        Self { is_again: true, ..self }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Fails when the text is not a message.
    pub fn parse(text: &str) -> Result<Self, InvalidForwardMessage> {
        let text: Text = serde_json::from_str(text).map_err(|_| InvalidForwardMessage)?;
        let id = text.id.parse().map_err(|_| InvalidForwardMessage)?;
        Ok(Self { id, entity: Entity::named(text.entity), is_again: text.again })
    }

    /// Returns the message as JSON text.
    pub fn to_json(&self) -> String {
        let text = Text { id: self.id.to_string(), entity: self.entity.to_string(), again: self.is_again };
        // Texts and flags always serialize.
        shared::json::to_string(&text).unwrap_or_default()
    }

    /// Returns the event's id, which is also the message's deduplication id.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Returns the entity. If the event names one, its events must stay in order.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Returns whether the event is also sent if the endpoint has accepted it before.
    pub fn is_again(&self) -> bool {
        self.is_again
    }

    /// Returns the message group: of the entity, or of the event alone if it names none, because nothing shows whose it is. It is a hash,
    /// because an entity may have characters that SQS does not accept, or more than its 128.
    pub fn group(&self) -> String {
        let hash = if self.entity.is_unnamed() {
            Sha256::digest(self.id.to_string())
        } else {
            Sha256::digest(self.entity.as_str())
        };
        hash.iter().take(16).fold(String::new(), |mut group, byte| {
            // Writing to a `String` never fails.
            let _ = write!(group, "{byte:02x}");
            group
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(entity: &str) -> ForwardMessage {
        ForwardMessage::new("01a205f0-5119-7000-8000-000000000000".parse().unwrap(), Entity::named(entity))
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for entity in ["whatsapp#972501234567", "online#\"eu\"#5", "שלום#-"] {
            for message in [message(entity), message(entity).again()] {
                assert_eq!(ForwardMessage::parse(&message.to_json()), Ok(message));
            }
        }
        let unusual = message("online#\u{ffff}\u{2028}#5");
        assert!(unusual.to_json().contains(r"\uffff\u2028"), "SQS refuses a message with the first");
        assert_eq!(ForwardMessage::parse(&unusual.to_json()), Ok(unusual));
        for text in ["", "{}", "[]", r#"{"id":"7","entity":"a"}"#, r#"{"id":"01a205f0-5119-7000-8000-000000000000"}"#] {
            assert_eq!(ForwardMessage::parse(text), Err(InvalidForwardMessage), "{text}");
        }
    }

    #[test]
    fn a_group_is_of_one_entity_and_of_letters_that_sqs_takes() {
        let long = "x".repeat(600);
        let groups = ["whatsapp#1", "whatsapp#2", "שלום#-", &long].map(|entity| message(entity).group());
        assert!(groups.iter().all(|group| group.len() == 32 && group.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        assert_eq!(groups.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn events_of_an_entity_are_one_group_and_each_that_names_none_is_its_own() {
        let other = |entity: &str| {
            ForwardMessage::new("01a205f0-5119-7000-8000-000000000001".parse().unwrap(), Entity::named(entity))
        };
        for (entity, is_one) in [
            ("whatsapp#972501234567", true),
            ("online#-#5", true),
            ("whatsapp#-", false),
            ("package#-", false),
            ("unnamed#-", false),
        ] {
            assert_eq!(message(entity).group() == other(entity).group(), is_one, "{entity}");
        }
        assert_eq!(message("package#-").group(), message("package#-").again().group());
    }
}
