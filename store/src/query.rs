//! Queries for deliveries by entity, reference or time. A filter checks the remaining criteria, which no index covers.

use std::{ops::Range, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt, future::ready, stream::BoxStream};
use shared::{Entity, EventId, Timestamp};

use crate::{
    delivery::StoredDelivery,
    error::StoreError,
    read::{Listing, Order, PAGE, Reader, first, page_size},
    searched_text::SearchedText,
};

/// Selects the deliveries that match all given criteria. The default selects all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Key of the entity.
    pub entity: Option<String>,
    /// The partner's reference.
    pub reference: Option<String>,
    /// Name of the kind.
    pub kind: Option<String>,
    /// Text in its body, its id, its entity or another of its facts.
    pub text: Option<SearchedText>,
    /// True to select only duplicates.
    pub duplicates: bool,
    /// Name of a kind that is left out, unless `kind` or `entity` asks for it.
    pub except_kind: Option<String>,
}

/// A query for the selected deliveries received within a range of times.
pub struct DeliveryQuery {
    reader: Reader,
    filter: DeliveryFilter,
    /// Range of the times of receipt.
    pub times: Range<Timestamp>,
}

/// The newest deliveries that a query found.
pub struct NewestDeliveries {
    /// The deliveries, newest first, at most as many as requested.
    pub deliveries: Vec<StoredDelivery>,
    /// True when there are more.
    pub more: bool,
    /// Time of receipt of the newest delivery that was read, selected or not.
    pub newest: Option<Timestamp>,
}

impl DeliveryQuery {
    /// Maximum time by which the receiver's clock may be ahead of ours.
    pub const CLOCK_AHEAD: Duration = Duration::from_secs(60);

    /// Creates a query for the selected deliveries received within a range of times.
    pub fn new(reader: Reader, filter: DeliveryFilter, times: Range<Timestamp>) -> Self {
        Self { reader, filter, times }
    }

    /// Makes the query use another reader from now on.
    pub fn read_from(&mut self, reader: Reader) {
        self.reader = reader;
    }

    /// Lists the selected deliveries, oldest first: all of them, or those received after a given one.
    ///
    /// The stream ends with an error as that of [`Reader::history`] does.
    pub fn walk(&self, after: Option<EventId>) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send {
        let listing = Listing { times: self.times.clone(), order: Order::OldestFirst, after, page_size: PAGE };
        self.candidates(&listing).try_filter(|delivery| ready(self.matches(delivery)))
    }

    /// Lists the deliveries that an index returns for the query; [`DeliveryQuery::matches`] checks whether one is selected.
    ///
    /// The stream ends with an error as that of [`Reader::history`] does.
    pub fn candidates(&self, listing: &Listing) -> BoxStream<'static, Result<StoredDelivery, StoreError>> {
        match (&self.filter.entity, &self.filter.reference) {
            (Some(entity), _) => self.reader.history(&Entity::named(entity), listing).boxed(),
            (None, Some(reference)) => self.reader.by_reference(reference, listing).boxed(),
            (None, None) => self.reader.by_time(listing).boxed(),
        }
    }

    /// Returns whether a delivery is selected.
    pub fn matches(&self, delivery: &StoredDelivery) -> bool {
        let DeliveryFilter { entity, reference, kind, text, duplicates, except_kind } = &self.filter;
        let is_left_out = kind.is_none() && entity.is_none() && except_kind.as_ref() == Some(&delivery.kind);
        !is_left_out
            && entity.as_ref().is_none_or(|entity| *entity == delivery.entity.as_str())
            && (reference.is_none() || *reference == delivery.reference)
            && kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
            && (!duplicates || delivery.duplicate_of.is_some())
            && text.as_ref().is_none_or(|text| text.is_in(delivery))
    }

    /// Reads the newest of the selected deliveries, at most `limit`.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn newest(&self, limit: usize) -> Result<NewestDeliveries, StoreError> {
        let DeliveryFilter { entity, reference, kind, text, duplicates, .. } = &self.filter;
        // The other conditions have an index.
        let is_picked = kind.is_some() || text.is_some() || *duplicates || (entity.is_some() && reference.is_some());
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
}
