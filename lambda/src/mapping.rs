//! The form in which Lambda's event source mappings hand over a queue's messages, and in which a function reports what failed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use shared::Timestamp;

/// A batch of a queue's messages.
#[derive(Debug, Deserialize)]
pub struct MessageBatch {
    /// The messages, in the order of the queue.
    #[serde(rename = "Records")]
    pub messages: Vec<Message>,
}

/// A message of a queue. `Debug` hides its body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message's id, the same at every receipt.
    pub message_id: String,
    /// The handle of this receipt, by which the message can be hidden for longer.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// The values that SQS adds.
    pub attributes: MessageAttributes,
}

/// The values that SQS adds to a message.
#[derive(Debug, Deserialize)]
pub struct MessageAttributes {
    /// Number of receipts, this one included.
    #[serde(rename = "ApproximateReceiveCount", deserialize_with = "number")]
    pub receives: u32,
    /// Time at which it was put into the queue, by SQS's clock.
    #[serde(rename = "SentTimestamp", deserialize_with = "millis")]
    pub sent_at: Timestamp,
    /// The message group; empty in a queue that is not FIFO.
    #[serde(rename = "MessageGroupId", default)]
    pub group: String,
    /// The deduplication id; empty in a queue that is not FIFO.
    #[serde(rename = "MessageDeduplicationId", default)]
    pub deduplication_id: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("receives", &self.attributes.receives)
            .finish_non_exhaustive()
    }
}

/// Reads a number that SQS writes as text.
fn number<'de, D: Deserializer<'de>, N: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<N, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Reads a time in milliseconds since 1970.
fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    number(deserializer).map(|millis: i64| Timestamp::from_micros(millis.saturating_mul(1_000)))
}

/// The answer to a batch: the items that failed. Failed messages stay in their queue, and the others are deleted. From a stream, the first
/// failed record and all later ones are delivered again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedItems {
    batch_item_failures: Vec<FailedItem>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedItem {
    item_identifier: String,
}

impl<'a> FromIterator<&'a str> for FailedItems {
    /// Creates the answer from message ids, or from sequence numbers of a stream.
    fn from_iter<T: IntoIterator<Item = &'a str>>(failed: T) -> Self {
        let item = |id: &str| FailedItem { item_identifier: id.to_owned() };
        Self { batch_item_failures: failed.into_iter().map(item).collect() }
    }
}

impl<'a> FromIterator<&'a Message> for FailedItems {
    fn from_iter<T: IntoIterator<Item = &'a Message>>(failed: T) -> Self {
        failed.into_iter().map(|message| message.message_id.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_is_read_as_lambda_sends_it_and_shows_no_body() {
        let batch: MessageBatch = serde_json::from_value(json!({"Records": [{
            "messageId": "1", "receiptHandle": "r", "body": "a secret", "messageAttributes": {},
            "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1795348800001", "MessageGroupId": "g",
                "MessageDeduplicationId": "d"},
        }]}))
        .unwrap();
        let Message { attributes, .. } = &batch.messages[0];
        assert_eq!((attributes.receives, attributes.group.as_str()), (3, "g"));
        assert_eq!(attributes.deduplication_id, "d");
        assert_eq!(attributes.sent_at, Timestamp::from_micros(1_795_348_800_001_000));
        assert!(!format!("{batch:?}").contains("secret"), "{batch:?}");
    }

    #[test]
    fn the_answer_names_the_failed_items() {
        let answer = |failed: &[&str]| serde_json::to_value(failed.iter().copied().collect::<FailedItems>()).unwrap();
        assert_eq!(answer(&[]), json!({"batchItemFailures": []}));
        assert_eq!(answer(&["1"]), json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    }
}
