//! The start page: deliveries, newest first.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use shared::{Timestamp, text::plain};

use super::{
    chart::{Chart, Extent},
    filter::{Asked, Found, SINCE},
    layout::{KINDS, Layout, Moment, Part, QUARANTINE, now},
    problem::{Problem, render},
    row::{Row, rows},
    source::App,
};

/// The periods to choose from, and their names.
const TIMES: [(&str, &str); 6] = [
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
    ("365d", "Last year"),
];

/// The longer period that an empty page offers.
const WIDER: (&str, Duration) = ("30d", Duration::from_secs(30 * 24 * 3_600));

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Page {
    layout: Layout,
    asked: Asked,
    is_narrowed: bool,
    times: Vec<Choice>,
    kinds: Vec<Choice>,
    chart: Option<Chart>,
    rows: Vec<Row>,
    /// The extent of the search, if there was one.
    searched: Option<String>,
    /// The link to older deliveries, and its label.
    older: Option<(String, &'static str)>,
    is_first: bool,
    /// The stream of new deliveries, for pages that show them.
    live: Option<String>,
    /// The link to a longer period, for an empty page.
    wider: Option<String>,
    /// The samples to send, on the local run.
    samples: Vec<String>,
}

/// An option of a field.
struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

/// The page.
pub async fn page(State(shown): App, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let now = now();
    let filter = asked.read()?;
    let query = filter.query(shown.source.reader.clone(), now)?;
    let found = filter.page(&query).await?;
    let is_live = filter.is_live();
    let is_first = asked.after.is_empty();
    let extent = match (is_first, &found.next) {
        (true, None) => Extent::All,
        (true, Some(_)) => Extent::Last,
        (false, _) => Extent::Page,
    };
    let (wider, longer) = WIDER;
    let wider = Asked { since: wider.to_owned(), ..asked.clone() }.link("./", "");
    let newest = found.deliveries.first().map(|delivery| delivery.id.to_string()).unwrap_or_default();
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Deliveries),
        is_narrowed: asked.is_narrowed(),
        times: times(&asked.since),
        kinds: kinds(&asked.kind),
        chart: Chart::of(&found.deliveries, extent, now),
        rows: rows(&shown.source, &found.deliveries, now).await?,
        searched: found.searched.map(|read| searched(&found, read, now)),
        older: older(&asked, &found),
        is_first,
        live: is_live.then(|| asked.link("live", &newest)),
        wider: (query.times.start > now.minus(longer)).then_some(wider),
        samples: shown.source.actions.as_ref().map(|actions| actions.samples.clone()).unwrap_or_default(),
        asked,
    }))
}

fn older(asked: &Asked, found: &Found) -> Option<(String, &'static str)> {
    let name = if found.searched.is_some() { "Search further back" } else { "Older" };
    found.next.as_ref().map(|next| (asked.link("./", &next.to_string()), name))
}

/// Describes the extent of a search.
fn searched(found: &Found, read: usize, now: Timestamp) -> String {
    let deliveries = if read == 1 { "1 delivery".to_owned() } else { format!("{read} deliveries") };
    match found.next {
        Some(id) => format!("Searched {deliveries}, back to {}.", Moment::new(id.received_at(), now).second),
        None => format!("Searched {deliveries}, the whole period."),
    }
}

fn times(since: &str) -> Vec<Choice> {
    let since = if since.is_empty() { SINCE } else { since };
    let choice = |(value, name): (&str, &str)| Choice {
        value: value.to_owned(),
        name: name.to_owned(),
        is_chosen: value == since,
    };
    let mut times: Vec<Choice> = TIMES.into_iter().map(choice).collect();
    if times.iter().all(|time| !time.is_chosen) {
        times.push(choice((since, &format!("Since {}", plain(since)))));
    }
    times
}

fn kinds(kind: &str) -> Vec<Choice> {
    let choice = |value: &str| Choice { value: value.to_owned(), name: plain(value), is_chosen: value == kind };
    let mut kinds: Vec<Choice> = KINDS.into_iter().chain([QUARANTINE]).map(choice).collect();
    if !kind.is_empty() && kinds.iter().all(|kind| !kind.is_chosen) {
        kinds.push(choice(kind));
    }
    kinds
}
