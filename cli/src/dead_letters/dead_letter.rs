use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use shared::{Entity, Event, QueuedDelivery, Received, Secret, TokenCheck, Undecodable, UnreadableMessage};
use store::Quarantine;

/// A message of the dead-letter queue, with nothing secret in what is shown of it.
pub struct DeadLetter {
    /// SQS' id of the message, as long as it is in this queue.
    pub message_id: String,
    /// Number of receives from either queue, this one included.
    pub receives: Option<u32>,
    /// Size of the message, in bytes.
    pub message_bytes: usize,
    /// The delivery in the message.
    pub content: Result<DecodedDelivery, UnreadableMessage>,
    /// The message itself.
    pub message: Secret,
    /// SQS' handle of this receive, with which the message is deleted.
    pub receipt_handle: String,
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
    /// Reads a message as received; `None` when it has no id or handle.
    pub fn read(message: Message) -> Option<Self> {
        let receives = message
            .attributes()
            .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse().ok());
        let Message { message_id, receipt_handle, body, .. } = message;
        let body = body.unwrap_or_default();
        Some(Self {
            message_id: message_id?,
            receives,
            message_bytes: body.len(),
            content: QueuedDelivery::from_message(&body).map(DecodedDelivery::decode),
            message: Secret::new(body),
            receipt_handle: receipt_handle?,
        })
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
