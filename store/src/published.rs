//! Counts of published events by the hour of receipt. Comparing them with the recorded events shows a gap.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{Client, error::SdkError, operation::update_item::UpdateItemError, types::AttributeValue};
use shared::Timestamp;

use crate::{
    delivery::{Attributes, text},
    error::StoreError,
    keys,
};

/// Counts of published events in the events table.
#[derive(Clone, Debug)]
pub struct PublishedCounts {
    client: Client,
    events_table: String,
}

impl PublishedCounts {
    /// Returns the hour of a time in UTC, as `2026-11-25T19`.
    pub fn hour(at: Timestamp) -> String {
        at.to_string()[..13].to_owned()
    }

    /// Creates the counts in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Adds a batch's events, received at these times, with one write for each hour. The last batch of an hour is not added again, so
    /// that a repeated write counts once.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer; some hours may have been written.
    pub async fn add(&self, batch: &str, received_at: impl IntoIterator<Item = Timestamp>) -> Result<(), StoreError> {
        let mut hours = BTreeMap::<String, u64>::new();
        for at in received_at {
            *hours.entry(Self::hour(at)).or_default() += 1;
        }
        for (hour, events) in hours {
            let update = self
                .client
                .update_item()
                .table_name(&self.events_table)
                .key(keys::PK, text(keys::PUBLISHED))
                .key(keys::SK, text(hour))
                .update_expression("ADD events :events SET last_batch = :batch")
                .condition_expression("attribute_not_exists(last_batch) OR last_batch <> :batch")
                .expression_attribute_values(":events", AttributeValue::N(events.to_string()))
                .expression_attribute_values(":batch", text(batch));
            match update.send().await {
                Err(error) if !is_counted(&error) => return Err(StoreError::dynamodb(&error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Deletes the counts of all hours, for a stream that is published again from its start.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer; some may have been deleted.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let hours = self.read(Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX)).await?;
        for hour in hours.into_keys() {
            let delete = self.client.delete_item().table_name(&self.events_table);
            let delete = delete.key(keys::PK, text(keys::PUBLISHED)).key(keys::SK, text(hour));
            delete.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        }
        Ok(())
    }

    /// Reads the counts of all hours in a range, both ends included. An hour is written as `2026-11-25T19`.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn read(&self, from: Timestamp, to: Timestamp) -> Result<BTreeMap<String, u64>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.events_table)
            .key_condition_expression("pk = :published AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":published", text(keys::PUBLISHED))
            .expression_attribute_values(":from", text(Self::hour(from)))
            .expression_attribute_values(":to", text(Self::hour(to)));
        let items = query.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let items = items.map_err(|error| StoreError::dynamodb(&error))?;
        let count = |item| {
            let attributes = Attributes(item);
            Ok((attributes.text(keys::SK)?.to_owned(), attributes.number("events")?))
        };
        items.iter().map(count).collect()
    }
}

fn is_counted<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
