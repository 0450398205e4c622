//! Queries for deliveries: by entity, by reference or by time, with what no index has picked out of what was read.

use std::{ops::Range, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt, future::ready, stream::BoxStream};
use shared::{Entity, EventId, Timestamp};

use crate::{Listing, Order, PAGE, Quarantine, Reader, StoreError, StoredDelivery, first, page_size};

/// Selects deliveries: those that have everything that is given here. The default selects all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this entity.
    pub entity: Option<String>,
    /// With this reference of the partner's.
    pub reference: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Duplicates alone.
    pub duplicates: bool,
}

/// A query for the deliveries of a selection that were received within a time.
pub struct DeliveryQuery {
    reader: Reader,
    filter: DeliveryFilter,
    /// When the deliveries were received.
    pub times: Range<Timestamp>,
}

/// The newest deliveries that a query has found.
pub struct NewestDeliveries {
    /// The newest first, at most as many as were asked for.
    pub deliveries: Vec<StoredDelivery>,
    /// Whether there are more.
    pub more: bool,
    /// The time of the newest delivery that was read, selected or not.
    pub newest: Option<Timestamp>,
}

impl DeliveryQuery {
    /// How far the clock that dates deliveries may be ahead of ours.
    pub const CLOCK_AHEAD: Duration = Duration::from_secs(60);

    /// A query for the deliveries of a selection that were received within a time.
    pub fn new(reader: Reader, filter: DeliveryFilter, times: Range<Timestamp>) -> Self {
        Self { reader, filter, times }
    }

    /// Lists the selected deliveries, oldest first: all of them, or those received after one of them.
    ///
    /// The stream ends with an error as that of [`Reader::history`] does.
    pub fn walk(&self, after: Option<EventId>) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send {
        let listing = Listing { times: self.times.clone(), order: Order::OldestFirst, after, page_size: PAGE };
        self.candidates(&listing).try_filter(|delivery| ready(self.matches(delivery)))
    }

    /// Lists the deliveries that an index has for the query: [`DeliveryQuery::matches`] tells which of them are selected.
    ///
    /// The stream ends with an error as that of [`Reader::history`] does.
    pub fn candidates(&self, listing: &Listing) -> BoxStream<'static, Result<StoredDelivery, StoreError>> {
        match (&self.filter.entity, &self.filter.reference) {
            (Some(entity), _) => self.reader.history(&Entity::named(entity), listing).boxed(),
            (None, Some(reference)) => self.reader.by_reference(reference, listing).boxed(),
            (None, None) => self.reader.by_time(listing).boxed(),
        }
    }

    /// Whether a delivery is one of the selection.
    pub fn matches(&self, delivery: &StoredDelivery) -> bool {
        let DeliveryFilter { entity, reference, kind, duplicates } = &self.filter;
        entity.as_ref().is_none_or(|entity| *entity == delivery.entity.as_str())
            && (reference.is_none() || *reference == delivery.reference)
            && kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
            && (!duplicates || delivery.duplicate_of.is_some())
    }

    /// Reads the newest of the selected deliveries, `limit` at most.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or an item cannot be read.
    pub async fn newest(&self, limit: usize) -> Result<NewestDeliveries, StoreError> {
        let is_picked = self.filter.kind.is_some() || self.filter.duplicates;
        let page_size = if is_picked { PAGE } else { page_size(limit) };
        let listing = Listing { times: self.times.clone(), order: Order::NewestFirst, after: None, page_size };
        let mut newest = None;
        let candidates = self.candidates(&listing).inspect_ok(|delivery| {
            newest.get_or_insert(delivery.received_at);
        });
        let selected = candidates.try_filter(|delivery| ready(self.matches(delivery)));
        let (deliveries, more) = first(selected, limit).await?;
        Ok(NewestDeliveries { deliveries, more, newest })
    }

    /// The entity that is asked for, when no event has ever named it: then its name is wrong.
    ///
    /// # Errors
    /// As for [`Reader::state`].
    pub async fn unknown_entity(&self) -> Result<Option<&str>, StoreError> {
        let Some(entity) = &self.filter.entity else { return Ok(None) };
        // What could not be decoded has no state.
        let is_known = Quarantine::is_entity(entity) || self.reader.state(&Entity::named(entity)).await?.is_some();
        Ok((!is_known).then_some(entity))
    }
}
