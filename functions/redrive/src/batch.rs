use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A batch of messages, as Lambda's event source mapping hands it over.
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    pub(crate) messages: Vec<Message>,
}

/// One message of the queue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) message_id: String,
    /// The handle by which this receipt of the message can be hidden for longer.
    pub(crate) receipt_handle: String,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("receives", &self.attributes.receives)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
pub(crate) struct Attributes {
    /// The number of times that the message has been received, this time included.
    #[serde(rename = "ApproximateReceiveCount", deserialize_with = "number")]
    pub(crate) receives: u32,
}

/// Reads a number that SQS writes as a text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// The answer to a batch: the messages that stay in the queue. The mapping deletes all others.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl<'a> FromIterator<&'a Message> for Failures {
    fn from_iter<T: IntoIterator<Item = &'a Message>>(failed: T) -> Self {
        let failure = |message: &Message| Failure { item_identifier: message.message_id.clone() };
        Self { batch_item_failures: failed.into_iter().map(failure).collect() }
    }
}
