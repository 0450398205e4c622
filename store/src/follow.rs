//! Follows a query: hands over each delivery once as it comes.

use std::{collections::BTreeSet, time::Duration};

use futures_util::TryStreamExt;
use shared::{EventId, Timestamp};

use crate::{DeliveryQuery, Listing, Order, PAGE, StoreError, StoredDelivery};

/// Hands over each delivery that comes, once.
pub struct Follow {
    start: Timestamp,
    newest: Timestamp,
    seen: BTreeSet<EventId>,
}

impl Follow {
    /// How far behind the newest delivery others are still looked for: they are not written in the order in which they were
    /// received, and the index has them a little later.
    pub const OVERLAP: Duration = Duration::from_secs(15);

    /// Goes on from a time, up to which everything was seen. Nothing received before the start is handed over.
    pub fn new(start: Timestamp, newest: Timestamp, seen: BTreeSet<EventId>) -> Self {
        Self { start, newest: newest.max(start), seen }
    }

    /// Reads once, and hands over each delivery not seen before, selected or not. It stops, and returns `false`, when `take`
    /// does.
    ///
    /// # Errors
    /// Fails when the deliveries cannot be read, or `take` fails. The next call finds what this one has missed.
    pub async fn look<E: From<StoreError>>(
        &mut self,
        query: &DeliveryQuery,
        now: Timestamp,
        mut take: impl FnMut(StoredDelivery) -> Result<bool, E>,
    ) -> Result<bool, E> {
        // What is dated ahead hides nothing that comes now.
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
