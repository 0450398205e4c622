//! The quarantine: deliveries that were not recorded as events, and their release.

use std::net::IpAddr;

use aws_sdk_dynamodb::Client;
use futures_util::{Stream, StreamExt, stream};
use shared::{Entity, Event, EventId, Timestamp, Undecodable, gunzip};

use crate::{
    delivery::{Content, Delivery, Origin, QuarantineCause, StoredDelivery, quarantined_key},
    error::StoreError,
    keys,
    read::{Listing, Order, days, deliveries, events_of_partition},
    record::{Recorded, Recorder},
    sealed::SealedReader,
    settings::Settings,
};

/// Reads quarantined deliveries, and records those that now decode as events.
#[derive(Clone, Debug)]
pub struct Quarantine {
    client: Client,
    events_table: String,
    sealed: SealedReader,
    recorder: Recorder,
}

/// The result of retrying a quarantined delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Retried {
    /// The delivery is recorded as an event, and no longer in quarantine.
    Recorded {
        /// The entity of the event.
        entity: Entity,
        /// The way in which it was recorded.
        recorded: Recorded,
    },
    /// The delivery came from this address, which is not accepted, and stays in quarantine. `None` when the gateway gave no
    /// address.
    UnlistedSource(Option<IpAddr>),
    /// The delivery still is not an event, and stays in quarantine.
    Undecodable(Undecodable),
    /// The delivery's bytes have expired.
    BytesGone,
    /// No quarantined delivery has this id.
    NotQuarantined,
}

impl Quarantine {
    /// Creates the quarantine of these tables.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self {
            client: client.clone(),
            events_table: settings.events_table.clone(),
            sealed: SealedReader::new(client.clone(), &settings.sealed_table),
            recorder: Recorder::new(client, settings),
        }
    }

    /// Returns the collective entity of the deliveries that were quarantined on a day, given a time of that day.
    pub fn entity(received_at: Timestamp) -> Entity {
        Entity::named(keys::quarantine(received_at))
    }

    /// Returns whether a name is that of such an entity, which has deliveries but no state.
    pub fn is_entity(name: &str) -> bool {
        name.starts_with(keys::QUARANTINE)
    }

    /// Lists the deliveries quarantined within a range of times, day after day.
    ///
    /// The stream ends with an error when DynamoDB does not answer, or an item cannot be read.
    pub fn list(&self, listing: &Listing) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send + use<> {
        let mut days: Vec<String> = days(&listing.remaining()).map(Timestamp::day).collect();
        days.dedup();
        if listing.order == Order::NewestFirst {
            days.reverse();
        }
        let query = self.client.query().table_name(&self.events_table).consistent_read(true);
        let listing = listing.clone();
        let of_day =
            move |day: String| events_of_partition(query.clone(), keys::PK, &keys::quarantine_of(&day), &listing);
        deliveries(stream::iter(days).flat_map(of_day))
    }

    /// Returns the quarantined delivery with an id; `None` when there is none.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn find(&self, id: &EventId) -> Result<Option<StoredDelivery>, StoreError> {
        let get = self.client.get_item().table_name(&self.events_table).set_key(Some(quarantined_key(id)));
        let answer = get.consistent_read(true).send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(StoredDelivery::from_item).transpose()
    }

    /// Decodes a quarantined delivery again. If it is an event, one transaction records it with its original id and time,
    /// and deletes the quarantined delivery and its bytes. Repeating it changes nothing.
    ///
    /// A delivery held for its source is decoded only if `accepts` returns `true` for its address.
    ///
    /// # Errors
    /// Fails when DynamoDB refuses, cannot be reached or does not answer, or an item cannot be read.
    /// [`StoreError::Conflict`] when the delivery is just expiring, or another write has it.
    pub async fn retry(&self, id: &EventId, accepts: impl Fn(Option<IpAddr>) -> bool) -> Result<Retried, StoreError> {
        let Some(stored) = self.find(id).await? else { return Ok(Retried::NotQuarantined) };
        let source_ip = stored.source_ip.parse().ok();
        let is_held = stored.cause == Some(QuarantineCause::UnlistedSource.to_string());
        if is_held && !accepts(source_ip) {
            return Ok(Retried::UnlistedSource(source_ip));
        }
        let Some(bytes) = self.sealed.quarantined(id).await? else {
            // Another retry may have been faster.
            let still_there = self.find(id).await?.is_some();
            return Ok(if still_there { Retried::BytesGone } else { Retried::NotQuarantined });
        };
        let event = match gunzip(&bytes).and_then(|body| Event::decode(&body)) {
            Ok(event) => event,
            Err(cause) => return Ok(Retried::Undecodable(cause)),
        };
        let entity = event.entity.clone();
        let corrupt = || StoreError::Corrupt {
            pk: stored.entity.to_string(),
            sk: keys::event(&stored.id),
            attribute: "fingerprint".to_owned(),
        };
        // The same delivery as the receiver would have recorded.
        let delivery = Delivery {
            id: stored.id,
            received_at: stored.received_at,
            source_ip,
            fingerprint: stored.fingerprint.parse().map_err(|_| corrupt())?,
            request_id: stored.request_id,
            origin: Origin::Delivered,
            content: Content::Event(event),
        };
        let recorded = self.recorder.release(&delivery).await?;
        Ok(Retried::Recorded { entity, recorded })
    }
}
