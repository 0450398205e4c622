//! Reads of the sealed table: an API key, a whole body, and the bytes of a quarantined delivery.

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use shared::{Entity, EventId, Secret, Timestamp};

use crate::{
    delivery::{Attributes, Item, quarantined_key, text},
    error::StoreError,
    keys,
};

/// Number of items examined in one request. As a rule the newest has the key; without a limit DynamoDB would read a
/// megabyte of bodies.
const PAGE: i32 = 10;

/// Reads data that only the sealed table holds.
#[derive(Clone, Debug)]
pub struct SealedReader {
    client: Client,
    sealed_table: String,
}

/// An API key, with the event that contained it.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// The event's id.
    pub id: EventId,
    /// The event's time of receipt.
    pub received_at: Timestamp,
    /// The key.
    pub api_key: Secret,
}

impl SealedReader {
    /// Creates a reader of a sealed table.
    pub fn new(client: Client, sealed_table: impl Into<String>) -> Self {
        Self { client, sealed_table: sealed_table.into() }
    }

    /// Returns the API key of an entity, from the newest event that contained one; `None` when none did. Bodies are not read.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn api_key(&self, entity: &Entity) -> Result<Option<SealedKey>, StoreError> {
        let item = self.newest_with_key(entity, "pk, sk, received_at, api_key").await?;
        item.as_ref().map(SealedKey::read).transpose()
    }

    /// Returns the time of receipt of the newest event of an entity that contained an API key; `None` when none did. The key itself is
    /// not read.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn key_received_at(&self, entity: &Entity) -> Result<Option<Timestamp>, StoreError> {
        let item = self.newest_with_key(entity, "received_at").await?;
        item.as_ref().map(|item| Attributes(item).parsed("received_at")).transpose()
    }

    /// Returns the event, after a given one, that brought an entity's API key in place of another one; `None` when there is none. Older
    /// keys than the one known at the given event are not read.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn key_changed_by(&self, entity: &Entity, after: EventId) -> Result<Option<EventId>, StoreError> {
        let query = self.with_key(entity, "pk, sk, received_at, api_key");
        let mut items = query.into_paginator().items().send();
        let mut same: Option<SealedKey> = None;
        while let Some(item) = items.next().await {
            let key = SealedKey::read(&item.map_err(|error| StoreError::dynamodb(&error))?)?;
            match &same {
                Some(same) if same.api_key != key.api_key => return Ok(Some(same.id)),
                _ if key.id <= after => return Ok(None),
                _ => same = Some(key),
            }
        }
        Ok(None)
    }

    /// Reads attributes of the newest item of an entity with an API key.
    async fn newest_with_key(&self, entity: &Entity, attributes: &str) -> Result<Option<Item>, StoreError> {
        let mut items = self.with_key(entity, attributes).into_paginator().items().send();
        items.next().await.transpose().map_err(|error| StoreError::dynamodb(&error))
    }

    /// Reads attributes of an entity's items with an API key, newest first.
    fn with_key(&self, entity: &Entity, attributes: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.sealed_table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(PAGE)
            .key_condition_expression("pk = :entity AND begins_with(sk, :event)")
            .filter_expression("attribute_exists(api_key)")
            .projection_expression(attributes)
            .expression_attribute_values(":entity", text(entity))
            .expression_attribute_values(":event", text(keys::EVENT))
    }

    /// Returns the bytes of a quarantined delivery as received; `None` when they do not exist, or no longer.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn quarantined(&self, id: &EventId) -> Result<Option<Vec<u8>>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.sealed_table)
            .set_key(Some(quarantined_key(id)))
            .consistent_read(true);
        let Some(mut item) = get.send().await.map_err(|error| StoreError::dynamodb(&error))?.item else {
            return Ok(None);
        };
        match item.remove("body") {
            Some(AttributeValue::B(bytes)) => Ok(Some(bytes.into_inner())),
            _ => Err(Attributes(&item).corrupt("body")),
        }
    }
}

/// Returns the body of an event's sealed item.
pub(crate) fn body(mut item: Item) -> Result<Secret, StoreError> {
    let text = match item.remove("body") {
        Some(AttributeValue::B(bytes)) => String::from_utf8(bytes.into_inner()).ok(),
        _ => None,
    };
    text.map(Secret::new).ok_or_else(|| Attributes(&item).corrupt("body"))
}

impl SealedKey {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        Ok(Self {
            id: keys::read_event(attributes.text(keys::SK)?).ok_or_else(|| attributes.corrupt(keys::SK))?,
            received_at: attributes.parsed("received_at")?,
            api_key: Secret::new(attributes.text("api_key")?),
        })
    }
}
