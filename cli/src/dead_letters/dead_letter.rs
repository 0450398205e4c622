use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use shared::{Entity, Event, QueuedDelivery, Received, Secret, TokenCheck, Undecodable, UnreadableMessage};
use store::Quarantine;

/// A message of the dead-letter queue, with nothing secret in what is shown of it.
pub struct DeadLetter {
    /// By which SQS knows it, as long as it is in this queue.
    pub message_id: String,
    /// How often it was received, from either queue, this time included.
    pub receives: Option<u32>,
    /// How long the message is, in bytes.
    pub message_bytes: usize,
    /// What it carries.
    pub content: Result<DecodedDelivery, UnreadableMessage>,
    /// The message itself.
    pub message: Secret,
    /// By which this receipt of it can be deleted.
    pub receipt_handle: String,
}

/// A delivery that waits to be recorded, its body decoded.
pub struct DecodedDelivery {
    /// As it came; its body is not for showing.
    pub received: Received,
    /// Whether the receiver has checked the token.
    pub token: TokenCheck,
    /// What would be recorded.
    pub decoded: Result<Event, Undecodable>,
}

impl DeadLetter {
    /// From a message as it was received; `None` when it lacks what every message has.
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

    /// The kind that it would be recorded as.
    pub fn kind(&self) -> String {
        self.decoded.as_ref().map_or_else(|_| "quarantine".to_owned(), |event| event.kind.to_string())
    }

    /// The entity that it would be recorded under.
    pub fn entity(&self) -> Entity {
        self.decoded
            .as_ref()
            .map_or_else(|_| Quarantine::entity(self.received.received_at), |event| event.entity.clone())
    }
}
