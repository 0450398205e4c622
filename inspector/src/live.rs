//! Looks for new deliveries: one poll of the table serves all open pages, and none happens without listeners.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shared::Timestamp;
use store::{DeliveryFilter, DeliveryQuery, Follow, Reader, StoreError, StoredDelivery};
use tokio::{
    sync::broadcast,
    time::{MissedTickBehavior, interval},
};

use super::{
    chart::Counts,
    filter::{Asked, Found},
    layout::now,
};

/// Time between two polls: each costs read units on AWS.
const ON_LOCAL_RUN: Duration = Duration::from_millis(500);
const ON_STACK: Duration = Duration::from_secs(2);

/// Maximum number of updates that wait for a slow listener.
const WAITING: usize = 1_024;

/// Maximum number of filters whose counts are kept.
const KEPT: usize = 16;

/// Polls the table for all listeners.
pub struct Live {
    /// The id of this inspector's run. A page from an earlier run may show deliveries that no longer exist.
    pub run: String,
    pub reader: Reader,
    every: Duration,
    updates: broadcast::Sender<Update>,
    is_looking: Mutex<bool>,
    /// The counts of the pages that were closed or hidden last, by their filter.
    kept: Mutex<VecDeque<(String, Known)>>,
}

/// The deliveries of a filter that were read.
#[derive(Clone)]
pub struct Known {
    /// The number of deliveries, by their time.
    pub counts: Counts,
    /// Time of receipt of the newest delivery that was read. The deliveries after it, and shortly before it, are still to be read.
    pub newest: Timestamp,
}

/// An update for all listeners.
#[derive(Clone)]
pub enum Update {
    /// A new delivery.
    Came(Arc<StoredDelivery>),
    /// The table cannot be read; the cause.
    Trouble(Arc<str>),
    /// The table can be read again.
    Recovered,
}

impl Live {
    /// Polls a table while somebody listens.
    pub fn new(reader: Reader, is_local: bool) -> Self {
        let every = if is_local { ON_LOCAL_RUN } else { ON_STACK };
        Self {
            run: now().to_string(),
            reader,
            every,
            updates: broadcast::Sender::new(WAITING),
            is_looking: Mutex::new(false),
            kept: Mutex::default(),
        }
    }

    /// Keeps what is known of a filter, so that its next stream need not read it again.
    pub fn keep(&self, asked: &Asked, known: Known) {
        let filter = asked.link("", "");
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = |(other, older): &(String, Known)| *other != filter || older.newest <= known.newest;
        if kept.iter().all(is_older) {
            kept.retain(|(other, _)| *other != filter);
            kept.push_back((filter, known));
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
    }

    /// Returns what is known of a filter.
    pub fn kept(&self, asked: &Asked) -> Option<Known> {
        let filter = asked.link("", "");
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, _)| *other == filter).map(|(_, known)| known.clone())
    }

    /// Returns the updates from now on.
    pub fn listen(self: &Arc<Self>) -> broadcast::Receiver<Update> {
        let mut is_looking = self.is_looking.lock().unwrap_or_else(PoisonError::into_inner);
        let updates = self.updates.subscribe();
        if !*is_looking {
            *is_looking = true;
            tokio::spawn(Arc::clone(self).look());
        }
        updates
    }

    /// Polls until nobody listens.
    async fn look(self: Arc<Self>) {
        let start = now().minus(Follow::OVERLAP);
        let mut follow = Follow::new(start, start, BTreeSet::new());
        let query = DeliveryQuery::new(self.reader.clone(), DeliveryFilter::default(), start..start);
        let mut looks = interval(self.every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_trouble = false;
        loop {
            looks.tick().await;
            if self.is_left() {
                return;
            }
            // Sending fails when nobody listens any more.
            let tell = |update| drop(self.updates.send(update));
            let came = |delivery| {
                tell(Update::Came(Arc::new(delivery)));
                Ok::<_, StoreError>(true)
            };
            let looked = follow.look(&query, now(), came).await;
            match &looked {
                Err(error) => tell(Update::Trouble(format!("{error:#}").into())),
                Ok(_) if in_trouble => tell(Update::Recovered),
                Ok(_) => {}
            }
            in_trouble = looked.is_err();
        }
    }

    /// Returns whether nobody listens. The next listener then starts a new poll.
    fn is_left(&self) -> bool {
        let mut is_looking = self.is_looking.lock().unwrap_or_else(PoisonError::into_inner);
        *is_looking = self.updates.receiver_count() > 0;
        !*is_looking
    }
}

impl Known {
    /// Returns the deliveries that the first read of a period has found.
    pub fn of(found: &Found, query: &DeliveryQuery) -> Self {
        Self { counts: found.counts.clone(), newest: found.newest.unwrap_or(query.times.start) }
    }

    /// Adds what a later read has found.
    pub fn and(mut self, later: Self) -> Self {
        self.counts.extend(later.counts);
        Self { newest: self.newest.max(later.newest), ..self }
    }
}

#[cfg(test)]
mod tests {
    use emulators::dynamodb;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn polling_ends_when_nobody_listens() {
        // The table is not there: without a listener nothing is read.
        let reader = Reader::new(dynamodb::client("http://127.0.0.1:9"), "events");
        let live = Arc::new(Live::new(reader, true));
        *live.is_looking.lock().unwrap() = true;
        timeout(Duration::from_secs(60), Arc::clone(&live).look()).await.unwrap();
        assert!(!*live.is_looking.lock().unwrap(), "the next listener starts another poll");
    }
}
