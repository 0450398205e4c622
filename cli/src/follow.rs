//! What comes while somebody looks on.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use shared::{EventId, Timestamp};
use store::{Listing, Order, StoredDelivery};

use crate::query::{AHEAD, DeliveryQuery, PAGE};

/// How far behind the newest delivery others are still looked for: they are written in another order than they come, and the
/// index has them a little later.
pub const OVERLAP: Duration = Duration::from_secs(15);

/// How far it has been looked, and what was seen there.
pub struct Follow {
    start: Timestamp,
    newest: Timestamp,
    seen: BTreeSet<EventId>,
}

impl Follow {
    /// Goes on from a time, up to which everything was seen; nothing that came before the start is of interest.
    pub fn new(start: Timestamp, newest: Timestamp, seen: BTreeSet<EventId>) -> Self {
        Self { start, newest: newest.max(start), seen }
    }

    /// Looks once, and hands over each delivery that was not seen before, asked for or not, until it is told `false`: then the
    /// answer is `false` as well.
    ///
    /// # Errors
    /// When they cannot be read, then the next look finds what this one has missed; or when what they are handed to fails.
    pub async fn look(
        &mut self,
        query: &DeliveryQuery,
        now: Timestamp,
        mut take: impl FnMut(StoredDelivery) -> Result<bool>,
    ) -> Result<bool> {
        // What is dated ahead hides nothing that comes now.
        let from = self.newest.min(now).minus(OVERLAP).max(self.start);
        let mut listing = Listing { times: from..now.plus(AHEAD), order: Order::OldestFirst, after: None, limit: PAGE };
        loop {
            let page = query.page(&listing).await?;
            for delivery in page.items {
                self.newest = self.newest.max(delivery.received_at);
                if self.seen.insert(delivery.id) && !take(delivery)? {
                    return Ok(false);
                }
            }
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        self.seen.retain(|id| id.received_at() >= from);
        Ok(true)
    }
}
