//! The forwarding results of events for the partner's endpoint.
//!
//! An accepted event has an item next to its own. A refused one has an item in a shared partition, so that one query lists
//! all failures.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    types::{AttributeValue, WriteRequest},
};
use shared::{Entity, EventId, Secret, Timestamp};

use crate::{
    batch,
    delivery::{Attributes, Item, StoredDelivery, text},
    error::StoreError,
    keys,
    read::PAGE,
    sealed,
};

/// Number of events whose records are read by one request. Each has two keys, and DynamoDB allows 100.
const READ_AT_ONCE: usize = 50;

/// Time for which the record of a dead letter is kept: as long as SQS keeps the message.
const DEAD_LETTER: Duration = Duration::from_hours(14 * 24);

/// Maximum time from the receipt of an event until its message is in the forward queue, unless publishing was delayed.
const QUEUED_WITHIN: Duration = Duration::from_hours(1);

/// The records of the forwarder in the events table.
#[derive(Clone, Debug)]
pub struct ForwardRecords {
    client: Client,
    events_table: String,
}

/// An event that the endpoint has not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFailure {
    /// The event's id.
    pub id: EventId,
    /// The event's entity. Later events of the entity wait for this one.
    pub entity: Entity,
    /// Number of failed attempts, at least 1.
    pub attempts: u32,
    /// Time of the first attempt.
    pub first_attempt_at: Timestamp,
    /// Time of the last attempt.
    pub last_attempt_at: Timestamp,
    /// Time of the next attempt; `None` when the event is a dead letter.
    pub next_attempt_at: Option<Timestamp>,
    /// The endpoint's last answer, or the reason why there was none.
    pub answer: String,
}

/// An event that the endpoint accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardTaken {
    /// Time of the answer.
    pub taken_at: Timestamp,
    /// Number of attempts, including the last one.
    pub attempts: u32,
}

/// An event and what is known of forwarding it.
#[derive(Debug, Default)]
pub struct ForwardLookup {
    /// The event; `None` when it is no longer in the table.
    pub event: Option<StoredDelivery>,
    /// The endpoint's acceptance, if it accepted the event.
    pub taken: Option<ForwardTaken>,
    /// The failed attempts, if there were any.
    pub failure: Option<ForwardFailure>,
    /// The body as received, if it was asked for, is sealed and has not expired.
    pub original: Option<Secret>,
}

/// The forwarding of an event so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardRecord {
    /// The endpoint accepted the event.
    Taken(ForwardTaken),
    /// The endpoint has not accepted it yet.
    Failed(ForwardFailure),
    /// It was not offered yet, and waits behind this earlier event of its entity.
    Behind(ForwardFailure),
}

impl ForwardRecords {
    /// Creates the records in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Reads the failed attempts of an event; `None` when there are none, or the event was accepted since.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn failure(&self, id: &EventId) -> Result<Option<ForwardFailure>, StoreError> {
        let item = self.get(failure_key(id)).await?;
        item.as_ref().map(ForwardFailure::read).transpose()
    }

    /// Reads the acceptance of an event; `None` when the endpoint has not accepted it.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn taken(&self, entity: &Entity, id: &EventId) -> Result<Option<ForwardTaken>, StoreError> {
        let item = self.get(taken_key(entity, id)).await?;
        item.as_ref().map(ForwardTaken::read).transpose()
    }

    /// Reads an event and what is known of forwarding it, in one request; with a sealed table also the original body.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn look_up(
        &self,
        entity: &Entity,
        id: &EventId,
        sealed_table: Option<&str>,
    ) -> Result<ForwardLookup, StoreError> {
        let event_key = HashMap::from([(keys::PK.into(), text(entity)), (keys::SK.into(), text(keys::event(id)))]);
        let of_events = vec![event_key.clone(), taken_key(entity, id), failure_key(id)];
        let mut requests = HashMap::from([(self.events_table.clone(), of_events)]);
        if let Some(sealed_table) = sealed_table {
            requests.insert(sealed_table.to_owned(), vec![event_key]);
        }
        let mut found = ForwardLookup::default();
        for (table, item) in batch::get_all(&self.client, requests, true).await? {
            let attributes = Attributes(&item);
            let (partition, sort_key) = (attributes.text(keys::PK)?, attributes.text(keys::SK)?);
            if table != self.events_table {
                found.original = Some(sealed::body(item)?);
            } else if partition == keys::FORWARD_FAILURES {
                found.failure = Some(ForwardFailure::read(&item)?);
            } else if keys::read_forwarded(sort_key).is_some() {
                found.taken = Some(ForwardTaken::read(&item)?);
            } else {
                found.event = Some(StoredDelivery::from_item(&item)?);
            }
        }
        Ok(found)
    }

    /// Reads the records of several events, with one request for 50 of them, and with one query the refused events that those without a
    /// record may wait for. Events that are not known to wait are not in the map. A record of the last second may be missing.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn of<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a Entity, EventId)>,
    ) -> Result<HashMap<EventId, ForwardRecord>, StoreError> {
        let events: Vec<(&Entity, EventId)> = events.into_iter().collect();
        let keys: Vec<Item> = events.iter().flat_map(|(entity, id)| [failure_key(id), taken_key(entity, id)]).collect();
        let mut records = HashMap::new();
        for keys in keys.chunks(2 * READ_AT_ONCE) {
            for (_, item) in
                batch::get_all(&self.client, HashMap::from([(self.events_table.clone(), keys.to_vec())]), false).await?
            {
                let sort_key = Attributes(&item).text(keys::SK)?;
                if let Some(id) = keys::read_forwarded(sort_key) {
                    records.insert(id, ForwardRecord::Taken(ForwardTaken::read(&item)?));
                } else {
                    let failure = ForwardFailure::read(&item)?;
                    records.entry(failure.id).or_insert(ForwardRecord::Failed(failure));
                }
            }
        }
        // One that names no entity waits behind no other.
        let may_wait = |(entity, id): &(&Entity, EventId)| !records.contains_key(id) && !entity.is_unnamed();
        let unknown: Vec<_> = events.into_iter().filter(may_wait).collect();
        let mut refused = if unknown.is_empty() { Vec::new() } else { self.failures(PAGE).await? };
        let is_taken = |failure: &ForwardFailure| matches!(records.get(&failure.id), Some(ForwardRecord::Taken(_)));
        refused.retain(|failure| failure.next_attempt_at.is_some() && !is_taken(failure));
        for (entity, id) in unknown {
            // One that was queued long after this event, by a replay, says nothing about it.
            let is_before = |other: &&ForwardFailure| {
                other.entity == *entity
                    && other.id < id
                    && other.first_attempt_at <= id.received_at().plus(QUEUED_WITHIN)
            };
            let before = refused.iter().rev().find(is_before).cloned();
            records.extend(before.map(|before| (id, ForwardRecord::Behind(before))));
        }
        Ok(records)
    }

    /// Reads the failures, latest event first, up to a limit.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn failures(&self, limit: u16) -> Result<Vec<ForwardFailure>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.events_table)
            .scan_index_forward(false)
            .limit(limit.clamp(1, PAGE).into())
            .key_condition_expression("pk = :failures")
            .expression_attribute_values(":failures", text(keys::FORWARD_FAILURES));
        let mut items = query.into_paginator().items().send();
        let mut failures = Vec::new();
        while failures.len() < limit.into()
            && let Some(item) = items.next().await
        {
            failures.push(ForwardFailure::read(&item.map_err(|error| StoreError::dynamodb(&error))?)?);
        }
        Ok(failures)
    }

    /// Records a failed attempt, in place of the previous one.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn record_failure(&self, failure: &ForwardFailure) -> Result<(), StoreError> {
        self.write(&[batch::put(failure.item())?]).await
    }

    /// Records that an event was accepted, and drops the record of its failures if it has one. The record expires with the event.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn record_taken(
        &self,
        entity: &Entity,
        id: &EventId,
        taken: ForwardTaken,
        expires_at: Option<Timestamp>,
        has_failed: bool,
    ) -> Result<(), StoreError> {
        let mut item = taken_key(entity, id);
        item.insert("taken_at".into(), text(taken.taken_at));
        item.insert("attempts".into(), number(taken.attempts));
        item.extend(expires_at.map(|end| ("expires_at".into(), number(end.as_secs()))));
        let mut writes = vec![batch::put(item)?];
        if has_failed {
            writes.push(batch::delete(failure_key(id))?);
        }
        self.write(&writes).await
    }

    /// Drops the record of an accepted event's failures.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn forget_failure(&self, id: &EventId) -> Result<(), StoreError> {
        self.write(&[batch::delete(failure_key(id))?]).await
    }

    /// Drops the record of a dead letter that goes back into the forward queue. A record that has changed since stays.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn forget_dead_letter(&self, dead_letter: &ForwardFailure) -> Result<(), StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.events_table)
            .set_key(Some(failure_key(&dead_letter.id)))
            .condition_expression("attribute_not_exists(next_attempt_at) AND last_attempt_at = :last")
            .expression_attribute_values(":last", text(dead_letter.last_attempt_at));
        match delete.send().await {
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            deleted => deleted.map(|_| ()).map_err(|error| StoreError::dynamodb(&error)),
        }
    }

    async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.events_table).set_key(Some(key)).consistent_read(true);
        Ok(get.send().await.map_err(|error| StoreError::dynamodb(&error))?.item)
    }

    async fn write(&self, items: &[WriteRequest]) -> Result<(), StoreError> {
        batch::write(&self.client, &self.events_table, items).await
    }
}

impl ForwardTaken {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        Ok(Self { taken_at: attributes.parsed("taken_at")?, attempts: attributes.number("attempts")? })
    }
}

impl ForwardFailure {
    /// Returns whether the endpoint probably verifies with another secret: its last answer was 401 or 403.
    pub fn suggests_wrong_secret(&self) -> bool {
        ["401", "403"].iter().any(|status| self.answer.starts_with(status))
    }

    fn item(&self) -> Item {
        let mut item = failure_key(&self.id);
        item.insert("entity".into(), text(&self.entity));
        item.insert("attempts".into(), number(self.attempts));
        item.insert("first_attempt_at".into(), text(self.first_attempt_at));
        item.insert("last_attempt_at".into(), text(self.last_attempt_at));
        item.extend(self.next_attempt_at.map(|at| ("next_attempt_at".into(), text(at))));
        // No message outlives this, in either queue.
        item.insert("expires_at".into(), number(self.last_attempt_at.plus(DEAD_LETTER).as_secs()));
        item.insert("answer".into(), text(&self.answer));
        item
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        Ok(Self {
            id: keys::read_event(attributes.text(keys::SK)?).ok_or_else(|| attributes.corrupt(keys::SK))?,
            entity: Entity::named(attributes.text("entity")?),
            attempts: attributes.number("attempts")?,
            first_attempt_at: attributes.parsed("first_attempt_at")?,
            last_attempt_at: attributes.parsed("last_attempt_at")?,
            next_attempt_at: attributes.optional("next_attempt_at", |at| at.parse().ok())?,
            answer: attributes.text("answer")?.to_owned(),
        })
    }
}

fn failure_key(id: &EventId) -> Item {
    HashMap::from([(keys::PK.into(), text(keys::FORWARD_FAILURES)), (keys::SK.into(), text(keys::event(id)))])
}

fn taken_key(entity: &Entity, id: &EventId) -> Item {
    HashMap::from([(keys::PK.into(), text(entity)), (keys::SK.into(), text(keys::forwarded(id)))])
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
