//! Follows a query: passes on each new delivery once.

use std::{collections::BTreeSet, time::Duration};

use futures_util::TryStreamExt;
use shared::{EventId, Timestamp};

use crate::{
    delivery::StoredDelivery,
    error::StoreError,
    query::DeliveryQuery,
    read::{Listing, Order, PAGE},
};

/// Passes on each new delivery of a query once.
pub struct Follow {
    start: Timestamp,
    newest: Timestamp,
    seen: BTreeSet<EventId>,
}

impl Follow {
    /// Time before the newest delivery in which others are still looked for. Deliveries are not written in the order of
    /// receipt, and the index has them a little later.
    pub const OVERLAP: Duration = Duration::from_secs(15);

    /// Continues from a time up to which everything was seen. Nothing received before `start` is passed on.
    pub fn new(start: Timestamp, newest: Timestamp, seen: BTreeSet<EventId>) -> Self {
        Self { start, newest: newest.max(start), seen }
    }

    /// Reads once, and passes each unseen delivery to `take`, selected or not. It stops and returns `false` when `take` does.
    ///
    /// # Errors
    /// Fails when the deliveries cannot be read, or `take` fails. The next call finds the deliveries that this one missed.
    pub async fn look<E: From<StoreError>>(
        &mut self,
        query: &DeliveryQuery,
        now: Timestamp,
        mut take: impl FnMut(StoredDelivery) -> Result<bool, E>,
    ) -> Result<bool, E> {
        // A delivery dated in the future must not hide present ones.
        let from = self.newest.min(now).minus(Self::OVERLAP).max(self.start);
        let times = from..now.plus(DeliveryQuery::CLOCK_AHEAD);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: PAGE };
        let mut candidates = query.candidates(&listing);
        while let Some(delivery) = candidates.try_next().await? {
            self.newest = self.newest.max(delivery.received_at);
            if self.seen.insert(delivery.id) && !take(delivery)? {
                return Ok(false);
            }
        }
        self.seen.retain(|id| id.received_at() >= from);
        Ok(true)
    }
}
