use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use shared::Timestamp;

/// A batch of the forward queue's messages, as Lambda's event source mapping sends them.
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    pub(crate) messages: Vec<Message>,
}

/// One message of the queue. It names an event, and contains nothing of its body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) message_id: String,
    pub(crate) receipt_handle: String,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Attributes {
    /// Number of receipts, this one included.
    #[serde(rename = "ApproximateReceiveCount", deserialize_with = "number")]
    pub(crate) receives: u32,
    /// Time at which the publisher sent it.
    #[serde(rename = "SentTimestamp", deserialize_with = "millis")]
    pub(crate) sent_at: Timestamp,
    #[serde(rename = "MessageGroupId")]
    pub(crate) group: String,
}

/// Reads a number that SQS writes as text.
fn number<'de, D: Deserializer<'de>, N: FromStr<Err: Display>>(deserializer: D) -> Result<N, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Reads a time in milliseconds since 1970.
fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    number(deserializer).map(|millis: i64| Timestamp::from_micros(millis.saturating_mul(1_000)))
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
