use shared::{Entity, Event, QueuedDelivery, Received, TokenCheck, Undecodable, UnreadableMessage};
use store::Quarantine;

use super::scan::QueueMessage;

/// A message of the fallback queue's dead-letter queue, shown without its secrets.
pub struct DeadLetter {
    /// The message itself.
    pub message: QueueMessage,
    /// The delivery in the message.
    pub content: Result<DecodedDelivery, UnreadableMessage>,
}

/// A delivery that waits to be recorded, its body decoded.
pub struct DecodedDelivery {
    /// The delivery as received. Its body must not be shown.
    pub received: Received,
    /// The state of the token's check.
    pub token: TokenCheck,
    /// The event that would be recorded.
    pub decoded: Result<Event, Undecodable>,
}

impl DeadLetter {
    /// Reads a message.
    pub fn read(message: QueueMessage) -> Self {
        let content = QueuedDelivery::from_message(message.body.expose()).map(DecodedDelivery::decode);
        Self { message, content }
    }
}

impl DecodedDelivery {
    fn decode(QueuedDelivery { received, token }: QueuedDelivery) -> Self {
        let decoded = Event::decode(&received.body);
        Self { received, token, decoded }
    }

    /// Returns the kind that it would be recorded as.
    pub fn kind(&self) -> String {
        self.decoded.as_ref().map_or_else(|_| "quarantine".to_owned(), |event| event.kind.to_string())
    }

    /// Returns the entity that it would be recorded under.
    pub fn entity(&self) -> Entity {
        self.decoded
            .as_ref()
            .map_or_else(|_| Quarantine::entity(self.received.received_at), |event| event.entity.clone())
    }
}
