//! The stack's tables.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, GlobalSecondaryIndex, TableDescription},
};
use futures_util::TryStreamExt;
use shared::{Entity, EventId, Timestamp};
use store::{Delivery, Listing, Order, Reader, Recorder, Settings, State, StoredDelivery};

use crate::progress::wait_for;

/// An item of a table.
pub type Item = HashMap<String, AttributeValue>;

const PATIENCE: Duration = Duration::from_secs(20);

/// The events table and the sealed table.
pub struct Tables {
    client: Client,
    events: String,
    sealed: String,
}

impl Tables {
    pub fn new(client: Client, events: &str, sealed: &str) -> Self {
        Self { client, events: events.to_owned(), sealed: sealed.to_owned() }
    }

    fn reader(&self) -> Reader {
        Reader::new(self.client.clone(), &self.events)
    }

    /// A delivery: found by its time, read by its key.
    pub async fn delivery(&self, id: EventId) -> Option<StoredDelivery> {
        let all: Vec<StoredDelivery> = self.reader().by_time(&everything()).try_collect().await.unwrap();
        let entity = all.into_iter().find(|delivery| delivery.id == id)?.entity;
        let history: Vec<StoredDelivery> = self.reader().history(&entity, &everything()).try_collect().await.unwrap();
        history.into_iter().find(|delivery| delivery.id == id)
    }

    /// Records a delivery.
    pub async fn record(&self, delivery: &Delivery) {
        let settings = Settings {
            events_table: self.events.clone(),
            sealed_table: self.sealed.clone(),
            dedup_window: Duration::from_secs(600),
            retention: None,
        };
        Recorder::new(self.client.clone(), settings).record(delivery).await.unwrap();
    }

    /// The state of an entity that has had an event.
    pub async fn state(&self, entity: &Entity) -> State {
        self.reader().state(entity).await.unwrap().unwrap()
    }

    /// Returns the sealed item of a delivery.
    pub async fn sealed(&self, entity: &Entity, id: EventId) -> Option<Item> {
        let get = self.client.get_item().table_name(&self.sealed);
        let get = get.key("pk", AttributeValue::S(entity.to_string()));
        let get = get.key("sk", AttributeValue::S(format!("event#{id}")));
        get.send().await.unwrap().item
    }

    /// Deletes a delivery from both tables.
    pub async fn delete(&self, delivery: &StoredDelivery) {
        for table in [&self.events, &self.sealed] {
            let delete = self.client.delete_item().table_name(table);
            let delete = delete.key("pk", AttributeValue::S(delivery.entity.to_string()));
            delete.key("sk", AttributeValue::S(format!("event#{}", delivery.id))).send().await.unwrap();
        }
    }

    /// All texts and bytes of the events table, as one text.
    pub async fn all_of_events(&self) -> String {
        let scan = self.client.scan().table_name(&self.events).into_paginator().items().send();
        let items: Vec<Item> = scan.collect::<Result<_, _>>().await.unwrap();
        let attributes = items.iter().flatten().map(|(name, value)| match value {
            AttributeValue::S(text) => format!("{name}={text}\n"),
            AttributeValue::B(bytes) => format!("{name}={}\n", String::from_utf8_lossy(bytes.as_ref())),
            other => format!("{name}={other:?}\n"),
        });
        attributes.collect()
    }

    /// Deletes the events table and everything in it, and says what it was like.
    pub async fn take_events_away(&self) -> TableDescription {
        let described = self.client.describe_table().table_name(&self.events).send().await.unwrap();
        let unprotected = self.client.update_table().table_name(&self.events).deletion_protection_enabled(false);
        unprotected.send().await.unwrap();
        self.client.delete_table().table_name(&self.events).send().await.unwrap();
        wait_for("the events table is gone", PATIENCE, async || (!self.events_exist().await).then_some(())).await;
        described.table.unwrap()
    }

    /// Creates the events table as it was, with nothing in it.
    pub async fn put_events_back(&self, table: TableDescription) {
        let indexes = table.global_secondary_indexes.unwrap_or_default().into_iter().map(|index| {
            let again = GlobalSecondaryIndex::builder().set_index_name(index.index_name);
            again.set_key_schema(index.key_schema).set_projection(index.projection).build().unwrap()
        });
        let create = self
            .client
            .create_table()
            .set_table_name(table.table_name)
            .set_key_schema(table.key_schema)
            .set_attribute_definitions(table.attribute_definitions)
            .set_global_secondary_indexes(Some(indexes.collect()))
            .set_billing_mode(table.billing_mode_summary.and_then(|summary| summary.billing_mode))
            .set_deletion_protection_enabled(table.deletion_protection_enabled);
        create.send().await.unwrap();
        wait_for("the events table is back", PATIENCE, async || self.events_exist().await.then_some(())).await;
    }

    /// Returns whether the events table exists.
    pub async fn events_exist(&self) -> bool {
        self.client.describe_table().table_name(&self.events).send().await.is_ok()
    }

    /// Returns whether the sealed table exists.
    pub async fn sealed_exist(&self) -> bool {
        self.client.describe_table().table_name(&self.sealed).send().await.is_ok()
    }
}

/// All deliveries of the last hour: the test takes less.
fn everything() -> Listing {
    let now = Timestamp::from(SystemTime::now());
    let hour = Duration::from_secs(60 * 60);
    Listing { times: now.minus(hour)..now.plus(hour), order: Order::OldestFirst, after: None, page_size: 1_000 }
}
