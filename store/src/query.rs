//! Queries for deliveries: by entity, by reference or by time, with what no index has picked out of what was read.

use std::{ops::Range, time::Duration};

use shared::{Entity, EventId, Timestamp};

use crate::{Cursor, Listing, Order, Page, Quarantine, Reader, StoreError, StoredDelivery};

/// How many deliveries are read at once.
pub(crate) const PAGE: u16 = 200;

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

/// The deliveries of a query, oldest first, page by page.
pub struct Walk<'a> {
    query: &'a DeliveryQuery,
    /// What is to be read next; `None` after the last page.
    listing: Option<Listing>,
}

impl Walk<'_> {
    /// The next page, which may be empty; `None` after the last one.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<StoredDelivery>>, StoreError> {
        let Some(mut listing) = self.listing.take() else { return Ok(None) };
        let page = self.query.page(&listing).await?;
        if page.next.is_some() {
            listing.after = page.next;
            self.listing = Some(listing);
        }
        Ok(Some(page.items.into_iter().filter(|delivery| self.query.matches(delivery)).collect()))
    }
}

impl DeliveryQuery {
    /// How far the clock that dates deliveries may be ahead of ours.
    pub const CLOCK_AHEAD: Duration = Duration::from_secs(60);

    /// A query for the deliveries of a selection that were received within a time.
    pub fn new(reader: Reader, filter: DeliveryFilter, times: Range<Timestamp>) -> Self {
        Self { reader, filter, times }
    }

    /// All of them, or those received after one of them.
    pub fn walk(&self, after: Option<&EventId>) -> Walk<'_> {
        let after = after.map(|id| Cursor::from_text(id.to_string()));
        let listing = Listing { times: self.times.clone(), order: Order::OldestFirst, after, limit: PAGE };
        Walk { query: self, listing: Some(listing) }
    }

    /// A page of the deliveries that an index has for the query: [`DeliveryQuery::matches`] tells which of them are selected.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn page(&self, listing: &Listing) -> Result<Page<StoredDelivery>, StoreError> {
        match (&self.filter.entity, &self.filter.reference) {
            (Some(entity), _) => self.reader.history(&Entity::named(entity), listing).await,
            (None, Some(reference)) => self.reader.by_reference(reference, listing).await,
            (None, None) => self.reader.by_time(listing).await,
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

    /// The newest of them.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn newest(&self, limit: usize) -> Result<NewestDeliveries, StoreError> {
        let picked = self.filter.kind.is_some() || self.filter.duplicates;
        // One more, to know whether there are more.
        let page = if picked { PAGE } else { u16::try_from(limit.saturating_add(1)).unwrap_or(PAGE).min(PAGE) };
        let mut listing = Listing { times: self.times.clone(), order: Order::NewestFirst, after: None, limit: page };
        let mut found = NewestDeliveries { deliveries: Vec::new(), more: false, newest: None };
        loop {
            let page = self.page(&listing).await?;
            found.newest = found.newest.or(page.items.first().map(|delivery| delivery.received_at));
            found.deliveries.extend(page.items.into_iter().filter(|delivery| self.matches(delivery)));
            found.more = found.deliveries.len() > limit;
            listing.after = page.next;
            if found.more || listing.after.is_none() {
                found.deliveries.truncate(limit);
                return Ok(found);
            }
        }
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
