//! Streams new deliveries to an open page.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

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
use store::{DeliveryQuery, Follow, StoredDelivery};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, timeout_at},
};

use super::{
    deliveries::Count,
    filter::{Asked, Filter, Found},
    layout::{PAGE, now},
    live::{Known, Live, Update},
    problem::Problem,
    row::Row,
    source::App,
};

/// Time between two drawings of a page's chart while nothing comes. A busy page gets its chart at least as often.
const DRAWN_EVERY: Duration = Duration::from_secs(1);

/// An open page.
struct Listener {
    live: Arc<Live>,
    asked: Asked,
    filter: Filter,
    query: DeliveryQuery,
    updates: broadcast::Receiver<Update>,
    known: Known,
    waiting: VecDeque<Event>,
    /// The chart as the page has it.
    drawn: String,
    /// True when a delivery has come since.
    chart_is_old: bool,
    /// Time at which the chart is drawn again: deliveries leave the period, and its axis ends with the present.
    next_drawing: Instant,
}

/// Streams new rows, and the chart of the page's period. Only what is not known from the page itself or an earlier stream is read.
pub async fn stream(
    State(shown): App,
    headers: HeaderMap,
    extract::Query(asked): extract::Query<Asked>,
) -> Result<Response, Problem> {
    let live = Arc::clone(&shown.live);
    // A browser that reconnects names the last id that it has seen.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or(&asked.after).parse().ok();
    let asked = Asked { after: String::new(), ..asked };
    let filter = asked.read()?;
    let updates = live.listen();
    let now = now();
    let mut query = filter.query(live.reader.clone(), now)?;
    let kept = live.kept(&asked);
    if let Some(Known { counts, newest }) = &kept {
        // Another page with the same filter may have had rows that this one lacks.
        let lacked = counts.first_after(seen).map_or(*newest, |id| id.received_at());
        query.times.start = query.times.start.max(lacked.min(*newest).min(now).minus(Follow::OVERLAP));
    }
    let found = filter.page(&query).await?;
    let read = Known::of(&found, &query);
    let known = match kept {
        None => read,
        Some(known) => known.and(read),
    };
    let mut waiting = VecDeque::from([Event::default().event("run").data(&live.run)]);
    waiting.extend(missed(&found, seen));
    let listener = Listener {
        live,
        asked,
        filter,
        query,
        updates,
        known,
        waiting,
        drawn: String::new(),
        chart_is_old: true,
        next_drawing: Instant::now(),
    };
    let events = stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Returns the rows between the page and now. Some may be older than the last one that the page has, because the index had them later; the
/// page skips those that it has.
fn missed(found: &Found, seen: Option<EventId>) -> impl Iterator<Item = Event> {
    let are_too_many = found.next.zip(seen).is_some_and(|(next, seen)| next > seen);
    let from = seen.map(|seen: EventId| seen.received_at().minus(Follow::OVERLAP));
    let is_new = move |delivery: &&StoredDelivery| Some(delivery.id) != seen && Some(delivery.received_at) >= from;
    are_too_many.then(|| told("missed")).into_iter().chain(found.deliveries.iter().rev().filter(is_new).map(row))
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let is_due = Instant::now() >= self.next_drawing;
            if is_due {
                self.next_drawing = Instant::now() + DRAWN_EVERY;
            }
            if is_due || (self.chart_is_old && self.updates.is_empty()) {
                self.chart_is_old = false;
                if let Some(chart) = self.chart().filter(|chart| *chart != self.drawn) {
                    self.drawn.clone_from(&chart);
                    self.waiting.push_back(Event::default().event("chart").data(chart));
                }
                continue;
            }
            match timeout_at(self.next_drawing, self.updates.recv()).await {
                Err(_) => {}
                Ok(Ok(Update::Came(delivery))) => self.came(&delivery),
                Ok(Ok(Update::Trouble(cause))) => return Some(Event::default().event("trouble").data(&*cause)),
                Ok(Ok(Update::Recovered)) => return Some(told("recovered")),
                // The browser connects again, and gets what is left out here.
                Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => return None,
            }
        }
    }

    fn came(&mut self, delivery: &StoredDelivery) {
        let Known { counts, newest } = &mut self.known;
        *newest = delivery.received_at.max(*newest);
        if self.query.matches(delivery) && counts.add(delivery) {
            self.chart_is_old = true;
            if counts.number_after(delivery.id) < usize::from(PAGE) {
                self.waiting.push_back(row(delivery));
            }
        }
    }

    /// Draws the chart, without the deliveries that have left the period.
    fn chart(&mut self) -> Option<String> {
        let now = now();
        let start = self.filter.start(now);
        self.known.counts.start_at(start);
        match Count::of(&self.known.counts, &self.asked, start..now) {
            Some(chart) => chart.render().ok(),
            // Not empty: browsers drop events without data.
            None => Some(" ".to_owned()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.live.keep(&self.asked, self.known.clone());
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
