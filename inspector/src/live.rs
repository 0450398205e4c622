//! Streams new deliveries to open pages: one poll of the table serves all of them, and none happens without listeners.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use askama::Template;
use axum::{
    extract::{self, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use shared::EventId;
use store::{DeliveryFilter, DeliveryQuery, Follow, Reader, StoreError, StoredDelivery};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{MissedTickBehavior, interval},
};

use super::{
    chart::Counts,
    deliveries::Count,
    filter::{Asked, Filter, Found},
    layout::{PAGE, now},
    problem::Problem,
    row::Row,
};

/// Time between two polls: each costs read units on AWS.
const ON_LOCAL_RUN: Duration = Duration::from_millis(500);
const ON_STACK: Duration = Duration::from_secs(2);

/// Maximum number of updates that wait for a slow listener.
const WAITING: usize = 1_024;

/// Polls the table for all listeners.
pub struct Live {
    /// The id of this inspector's run. A page from an earlier run may show deliveries that no longer exist.
    run: String,
    reader: Reader,
    every: Duration,
    updates: broadcast::Sender<Update>,
    is_looking: Mutex<bool>,
}

/// An update for all listeners.
#[derive(Clone)]
enum Update {
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
        }
    }

    fn listen(self: &Arc<Self>) -> broadcast::Receiver<Update> {
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

/// An open page.
struct Listener {
    asked: Asked,
    filter: Filter,
    query: DeliveryQuery,
    updates: broadcast::Receiver<Update>,
    /// The deliveries that the page shows, newest first.
    shown: Vec<StoredDelivery>,
    /// The deliveries of the page's period.
    counts: Counts,
    waiting: VecDeque<Event>,
    /// True when the page's chart is outdated.
    chart_is_old: bool,
}

/// Streams new rows, and the chart of the rows that the page then shows.
pub async fn stream(
    State(live): State<Arc<Live>>,
    headers: HeaderMap,
    extract::Query(asked): extract::Query<Asked>,
) -> Result<Response, Problem> {
    // A browser that reconnects names the last id that it has seen.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or(&asked.after).to_owned();
    let asked = Asked { after: String::new(), ..asked };
    let filter = asked.read()?;
    let updates = live.listen();
    let query = filter.query(live.reader.clone(), now())?;
    let there = filter.page(&query).await?;
    let mut listener = Listener {
        asked,
        filter,
        query,
        updates,
        shown: Vec::new(),
        counts: Counts::default(),
        waiting: VecDeque::new(),
        chart_is_old: false,
    };
    listener.waiting.push_back(Event::default().event("run").data(&live.run));
    listener.catch_up(there, seen.parse().ok());
    let events = stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

impl Listener {
    /// Queues the deliveries between the page and now. Some may be older than the last one that the page has, because the index had
    /// them later; the page skips those that it has.
    fn catch_up(&mut self, there: Found, seen: Option<EventId>) {
        let missed = there.next.zip(seen).is_some_and(|(next, seen)| next > seen);
        let from = seen.map(|seen| seen.received_at().minus(Follow::OVERLAP));
        let is_new = |delivery: &&StoredDelivery| Some(delivery.id) != seen && Some(delivery.received_at) >= from;
        let rows: Vec<Event> = there.deliveries.iter().filter(is_new).map(row).collect();
        self.waiting.extend(missed.then(|| told("missed")));
        self.chart_is_old = !rows.is_empty();
        self.waiting.extend(rows.into_iter().rev());
        self.counts = there.counts;
        self.shown = there.deliveries;
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.chart_is_old && self.updates.is_empty() {
                self.chart_is_old = false;
                self.waiting.extend(self.chart());
                continue;
            }
            match self.updates.recv().await {
                Ok(Update::Came(delivery)) => self.came(&delivery),
                Ok(Update::Trouble(cause)) => return Some(Event::default().event("trouble").data(&*cause)),
                Ok(Update::Recovered) => return Some(told("recovered")),
                Err(RecvError::Lagged(_)) => return Some(told("missed")),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn came(&mut self, delivery: &StoredDelivery) {
        let place = self.shown.partition_point(|shown| shown.id > delivery.id);
        let is_there = self.shown.get(place).is_some_and(|shown| shown.id == delivery.id);
        let is_older = place == usize::from(PAGE);
        if is_there || is_older || !self.filter.matches(&self.query, delivery) {
            return;
        }
        self.shown.insert(place, delivery.clone());
        self.counts.add(delivery);
        self.shown.truncate(usize::from(PAGE));
        self.waiting.push_back(row(delivery));
        self.chart_is_old = true;
    }

    fn chart(&self) -> Option<Event> {
        let chart = Count::of(&self.counts, &self.asked, now())?.render().ok()?;
        Some(Event::default().event("chart").data(chart))
    }
}

#[derive(Template)]
#[template(path = "row.html")]
struct Came {
    row: Row,
}

/// Returns an event without content. Browsers drop events without data, so the data repeats the name.
fn told(name: &str) -> Event {
    Event::default().event(name).data(name)
}

fn row(delivery: &StoredDelivery) -> Event {
    let html = Came { row: Row::of(delivery, now()) }.render().unwrap_or_default();
    Event::default().event("row").id(delivery.id.to_string()).data(html)
}
