//! The quarantine: what could not be decoded when it came, and what becomes of it when it can be.

use std::{ops::Range, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    types::{Delete, TransactWriteItem},
};
use shared::{Entity, Event, EventId, Fingerprint, Timestamp, Undecodable};

use crate::{
    Content, Cursor, Delivery, Listing, Order, Page, Recorded, Recorder, SealedReader, Settings, StoreError,
    StoredDelivery, delivery::quarantined_key, keys, read::events_of_partition,
};

/// Reads quarantined deliveries, and records those that decode by now.
#[derive(Clone, Debug)]
pub struct Quarantine {
    client: Client,
    events_table: String,
    sealed: SealedReader,
    recorder: Recorder,
}

/// What became of a quarantined delivery that was decoded again.
#[derive(Clone, Debug, PartialEq)]
pub enum Retried {
    /// It is recorded, and no longer in quarantine.
    Recorded {
        /// Whose event it is.
        entity: Entity,
        /// How it is recorded.
        recorded: Recorded,
    },
    /// It still is no event, and stays where it is.
    Undecodable(Undecodable),
    /// Its bytes are gone, as they expire by themselves.
    BytesGone,
    /// There is none with this id.
    NotQuarantined,
}

impl Quarantine {
    /// The quarantine of these tables.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self {
            client: client.clone(),
            events_table: settings.events_table.clone(),
            sealed: SealedReader::new(client.clone(), &settings.sealed_table),
            recorder: Recorder::new(client, settings),
        }
    }

    /// The entity under which stands what could not be decoded and was received at that time: that of its day.
    pub fn entity(received_at: Timestamp) -> Entity {
        Entity::named(keys::quarantine(received_at))
    }

    /// Whether that is the name of such an entity. It has deliveries and no state.
    pub fn is_entity(name: &str) -> bool {
        name.starts_with(keys::QUARANTINE)
    }

    /// What was quarantined within a time.
    ///
    /// Reads the days of the time, in order, each from its partition; a page ends with the day on which something was found.
    ///
    /// # Errors
    /// When DynamoDB does not answer, an item cannot be read, or the cursor is of another listing.
    pub async fn list(&self, listing: &Listing) -> Result<Page<StoredDelivery>, StoreError> {
        let mut days = days(&listing.remaining()?);
        if listing.order == Order::NewestFirst {
            days.reverse();
        }
        let mut days = days.into_iter().peekable();
        while let Some(day) = days.next() {
            let query = self.client.query().table_name(&self.events_table).consistent_read(true);
            let page = events_of_partition(query, keys::PK, &keys::quarantine_of(&day), listing).await?;
            let items = page.items.iter().map(StoredDelivery::read).collect::<Result<Vec<_>, _>>()?;
            if !items.is_empty() || page.next.is_some() {
                // The days that are left have the rest; this one is then found empty.
                let last =
                    items.last().filter(|_| days.peek().is_some()).map(|last| Cursor::from_text(last.id.to_string()));
                return Ok(Page { items, next: page.next.or(last) });
            }
        }
        Ok(Page { items: Vec::new(), next: None })
    }

    /// The quarantined delivery with an id; `None` when there is none.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the item cannot be read.
    pub async fn find(&self, id: &EventId) -> Result<Option<StoredDelivery>, StoreError> {
        let get = self.client.get_item().table_name(&self.events_table).set_key(Some(quarantined_key(id)));
        let answer = get.consistent_read(true).send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(StoredDelivery::read).transpose()
    }

    /// Decodes a quarantined delivery again. When it is an event by now, one transaction records that under its old id, with
    /// its old time, and deletes the quarantined delivery with its bytes. Repeating it changes nothing.
    ///
    /// # Errors
    /// When DynamoDB refuses, cannot be reached or does not answer, when an item cannot be read, and with
    /// [`StoreError::Conflict`] when the delivery expires at this moment, or another write has it.
    pub async fn retry(&self, id: &EventId) -> Result<Retried, StoreError> {
        let Some(stored) = self.find(id).await? else { return Ok(Retried::NotQuarantined) };
        let Some(bytes) = self.sealed.quarantined(id).await? else {
            // Another retry may have been quicker.
            let still_there = self.find(id).await?.is_some();
            return Ok(if still_there { Retried::BytesGone } else { Retried::NotQuarantined });
        };
        let event = match Event::decode(&bytes) {
            Ok(event) => event,
            Err(cause) => return Ok(Retried::Undecodable(cause)),
        };
        let entity = event.entity.clone();
        let recorded = self.recorder.release(&as_received(stored, event)?).await?;
        Ok(Retried::Recorded { entity, recorded })
    }
}

/// The delivery as the receiver would have recorded it.
fn as_received(stored: StoredDelivery, event: Event) -> Result<Delivery, StoreError> {
    let corrupt = |attribute: &str| StoreError::Corrupt {
        pk: stored.entity.to_string(),
        sk: keys::event(&stored.id),
        attribute: attribute.to_owned(),
    };
    let fingerprint: Fingerprint = stored.fingerprint.parse().map_err(|_| corrupt("fingerprint"))?;
    Ok(Delivery {
        id: stored.id,
        received_at: stored.received_at,
        source_ip: stored.source_ip.parse().ok(),
        request_id: stored.request_id,
        fingerprint,
        content: Content::Event(event),
    })
}

/// The deletes of a quarantined delivery and of its bytes, the first of them on the condition that it is there.
pub(crate) fn deletes(
    settings: &Settings,
    id: &EventId,
    must_be_there: bool,
) -> Result<[TransactWriteItem; 2], BuildError> {
    let delete = |table: &str, condition: Option<&str>| {
        let delete = Delete::builder().table_name(table).set_key(Some(quarantined_key(id)));
        let delete = delete.set_condition_expression(condition.map(str::to_owned)).build()?;
        Ok::<_, BuildError>(TransactWriteItem::builder().delete(delete).build())
    };
    let there = must_be_there.then_some("attribute_exists(pk)");
    Ok([delete(&settings.events_table, there)?, delete(&settings.sealed_table, None)?])
}

/// The days that a time touches, as `2026-11-22`.
fn days(times: &Range<Timestamp>) -> Vec<String> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let starts = std::iter::successors(Some(times.start), |at| Some(at.plus(DAY)));
    let mut days: Vec<String> = starts.take_while(|at| *at < times.end).map(Timestamp::day).collect();
    days.push(times.end.day());
    days.dedup();
    days
}
