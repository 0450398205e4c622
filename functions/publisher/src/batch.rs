use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use store::{StoredDelivery, WAS_DUPLICATE_OF};
use thiserror::Error;

/// A batch of the events table's stream records, as Lambda's event source mapping sends them.
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    pub(crate) records: Vec<Record>,
}

/// One change of the table.
#[derive(Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "eventName")]
    change: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "SequenceNumber")]
    sequence_number: String,
    #[serde(rename = "Keys", default)]
    keys: Image,
    #[serde(rename = "NewImage", default)]
    new_image: Image,
}

type Image = HashMap<String, Attribute>;

/// An attribute in DynamoDB's JSON. Types that no event has are omitted.
#[derive(Deserialize)]
enum Attribute {
    S(String),
    N(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

/// A record that is not in the form in which the receiver writes events. It does not include the item.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("{cause}")]
pub(crate) struct Unpublishable {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) sequence_number: String,
    pub(crate) cause: String,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("change", &self.change)
            .field("sequence_number", &self.dynamodb.sequence_number)
            .finish_non_exhaustive()
    }
}

impl Record {
    pub(crate) fn sequence_number(&self) -> &str {
        &self.dynamodb.sequence_number
    }

    /// Returns the event that the record adds, or that was a duplicate before; `None` for another change, or an event that is not
    /// published.
    ///
    /// # Errors
    /// Fails when that event cannot be read.
    pub(crate) fn event(&self) -> Result<Option<StoredDelivery>, Unpublishable> {
        let has = |attribute: &str| self.dynamodb.new_image.contains_key(attribute);
        let is_delivery = self.key("sk").starts_with("event#") && has("kind");
        let is_new = self.change == "INSERT" || (self.change == "MODIFY" && has(WAS_DUPLICATE_OF));
        if !is_new || !is_delivery {
            return Ok(None);
        }
        let event = StoredDelivery::from_item(&item(&self.dynamodb.new_image))
            .map_err(|error| self.unpublishable(error.to_string()))?;
        Ok(Some(event).filter(outbound::is_handed_on))
    }

    /// Returns the record in the form for the queue of unpublishable records.
    pub(crate) fn unpublishable(&self, cause: String) -> Unpublishable {
        Unpublishable {
            pk: self.key("pk").to_owned(),
            sk: self.key("sk").to_owned(),
            sequence_number: self.dynamodb.sequence_number.clone(),
            cause,
        }
    }

    fn key(&self, name: &str) -> &str {
        let keys = self.dynamodb.keys.get(name).or_else(|| self.dynamodb.new_image.get(name));
        match keys {
            Some(Attribute::S(text)) => text,
            _ => "",
        }
    }
}

fn item(image: &Image) -> HashMap<String, AttributeValue> {
    let attributes = image.iter().filter_map(|(name, attribute)| {
        let value = match attribute {
            Attribute::S(text) => AttributeValue::S(text.clone()),
            Attribute::N(number) => AttributeValue::N(number.clone()),
            Attribute::Bool(flag) => AttributeValue::Bool(*flag),
            Attribute::Other(_) => return None,
        };
        Some((name.clone(), value))
    });
    attributes.collect()
}
