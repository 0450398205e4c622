//! The start page: deliveries, newest first.

use std::{ops::Range, time::Duration};

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use shared::{DOCTOR, Kind, Timestamp, human_time::moment, text::plain};
use store::{StoreError, named};

use super::{
    chart::{Chart, Counts},
    filter::{Asked, Fault, Found, SINCE},
    frame::{Layout, Part},
    layout::{Moment, QUARANTINE, deliveries, kind_class, now},
    live::Known,
    problem::{Problem, render},
    row::{Row, rows},
    source::{App, Shown},
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
    /// The invalid field.
    fault: Option<Fault>,
    is_narrowed: bool,
    times: Vec<Choice>,
    kinds: Vec<Choice>,
    count: Option<Count>,
    rows: Vec<Row>,
    /// The extent of the search, if there was one.
    searched: Option<String>,
    /// The link to older deliveries, and its label.
    older: Option<(String, &'static str)>,
    is_first: bool,
    /// The stream of new deliveries, for pages that show them.
    live: Option<String>,
    /// That nothing has the reference, for an empty page.
    no_reference: Option<String>,
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

/// The chart of a period, and the totals of its kinds.
#[derive(Template)]
#[template(path = "chart.html")]
pub struct Count {
    chart: Chart,
    totals: Vec<Total>,
}

/// The number of deliveries of a kind.
struct Total {
    kind: String,
    class: &'static str,
    number: u64,
    link: String,
}

impl Count {
    /// Draws the counts of a list over its period; `None` without deliveries.
    pub fn of(counts: &Counts, asked: &Asked, times: Range<Timestamp>) -> Option<Self> {
        let total = |(kind, number): (&str, u64)| Total {
            kind: plain(kind),
            class: kind_class(kind),
            number,
            link: Asked { kind: kind.to_owned(), ..asked.clone() }.link("./", ""),
        };
        let chart = Chart::of(counts, &period(asked), times)?;
        Some(Self { chart, totals: counts.kinds().into_iter().map(total).collect() })
    }
}

/// Describes the chosen period, such as "in the last hour".
fn period(asked: &Asked) -> String {
    let since = if asked.since.trim().is_empty() { SINCE } else { asked.since.trim() };
    let until = asked.until.trim();
    match TIMES.iter().find(|(value, _)| *value == since) {
        Some((_, name)) if until.is_empty() => format!("in the {}", name.to_lowercase()),
        _ if until.is_empty() => format!("since {}", plain(since)),
        _ => format!("from {} to {}", plain(since), plain(until)),
    }
}

/// The page. An invalid field has its error beside it, and the form keeps the typed text.
pub async fn page(State(shown): App, Query(mut asked): Query<Asked>) -> Result<Response, Problem> {
    let now = now();
    let unresolved = asked.resolve(&shown.source.reader).await?;
    let queried = unresolved.map_or_else(|| asked.read(), Err).and_then(|filter| {
        let query = filter.query(shown.source.reader.clone(), now)?;
        Ok((filter, query))
    });
    let (filter, query) = match queried {
        Ok(queried) => queried,
        // The form has no such field.
        Err(fault) if fault.field == "after" => return Err(fault.into()),
        Err(fault) => {
            let page = Page { fault: Some(fault), ..Page::of(&shown, asked).await? };
            return Ok((StatusCode::BAD_REQUEST, render(&page)).into_response());
        }
    };
    let found = filter.page(&query).await?;
    if filter.is_live() {
        shown.live.keep(&asked, Known::of(&found, &query));
    }
    let (wider, longer) = WIDER;
    let wider = Asked { since: wider.to_owned(), ..asked.clone() }.link("./", "");
    let newest = found.deliveries.first().map(|delivery| delivery.id.to_string()).unwrap_or_default();
    Ok(render(&Page {
        count: Count::of(&found.counts, &asked, query.times.start..query.times.end.min(now)),
        no_reference: no_reference(&shown, &asked, &found).await?,
        rows: rows(&shown.source, &found.deliveries, now).await?,
        searched: found.searched.map(|read| searched(&found, read, now)),
        older: older(&asked, &found),
        live: filter.is_live().then(|| asked.link("live", &newest)),
        wider: (query.times.start > now.minus(longer)).then_some(wider),
        ..Page::of(&shown, asked).await?
    }))
}

impl Page {
    /// The page with its form, without deliveries.
    async fn of(shown: &Shown, asked: Asked) -> Result<Self, StoreError> {
        Ok(Self {
            layout: Layout::of(shown, Part::Deliveries).await,
            fault: None,
            is_narrowed: asked.is_narrowed(),
            times: times(&asked.since),
            kinds: kinds(&asked.kind),
            count: None,
            rows: Vec::new(),
            searched: None,
            older: None,
            is_first: asked.after.is_empty(),
            live: None,
            no_reference: None,
            wider: None,
            samples: shown.source.actions.as_ref().map(|actions| actions.samples.clone()).unwrap_or_default(),
            asked,
        })
    }

    /// Returns the error of a field, if it is invalid.
    fn fault_at(&self, field: &str) -> Option<&str> {
        self.fault.as_ref().filter(|fault| fault.field == field).map(|fault| fault.why.as_str())
    }
}

/// Returns that nothing has the reference that an empty page asks for, with similar ones.
async fn no_reference(shown: &Shown, asked: &Asked, found: &Found) -> Result<Option<String>, StoreError> {
    if !found.deliveries.is_empty() || asked.reference.trim().is_empty() {
        return Ok(None);
    }
    let named = named::entities(&shown.source.reader, &asked.reference).await?;
    Ok(named.meant().is_empty().then(|| match named.suggestion() {
        Some(suggestion) => format!("No line, bot or inbox has this reference; {suggestion}"),
        None => "No line, bot or inbox has this reference.".to_owned(),
    }))
}

fn older(asked: &Asked, found: &Found) -> Option<(String, &'static str)> {
    let name = if found.searched.is_some() { "Search further back" } else { "Older" };
    found.next.as_ref().map(|next| (asked.link("./", &next.to_string()), name))
}

/// Describes the extent of a search.
fn searched(found: &Found, read: usize, now: Timestamp) -> String {
    let read = deliveries(read);
    match found.next {
        Some(id) => format!("Searched {read}, back to {}.", Moment::new(id.received_at(), now).second),
        None => format!("Searched {read}, the whole period."),
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
        let shown = plain(since);
        // The page of an invalid one says why it is invalid.
        let name = if moment(since).is_ok() { format!("Since {shown}") } else { shown };
        times.push(choice((since, &name)));
    }
    times
}

fn kinds(kind: &str) -> Vec<Choice> {
    let choice = |value: &str| Choice { value: value.to_owned(), name: plain(value), is_chosen: value == kind };
    let mut kinds: Vec<Choice> = Kind::NAMES.into_iter().chain([QUARANTINE, DOCTOR]).map(choice).collect();
    if !kind.is_empty() && kinds.iter().all(|kind| !kind.is_chosen) {
        kinds.push(choice(kind));
    }
    kinds
}
