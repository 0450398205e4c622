//! The filter of a page, and a bounded search for its deliveries.

use futures_util::TryStreamExt;
use serde::Deserialize;
use shared::{
    EventId, Timestamp,
    human_time::{Moment, moment},
};
use store::{DeliveryFilter, DeliveryQuery, Listing, Order, Reader, StoredDelivery};

use super::{
    body::pieces,
    layout::{PAGE, link},
    problem::Problem,
};

/// Deliveries per read of a search.
const READ_AT_ONCE: u16 = 200;

/// Maximum number of deliveries that one page searches.
const MOST_READ: usize = 1_000;

/// The default of From.
pub const SINCE: &str = "24h";

/// The form's fields as received.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub kind: String,
    pub entity: String,
    pub reference: String,
    pub text: String,
    pub since: String,
    pub until: String,
    pub after: String,
}

/// The filter that the fields mean.
pub struct Filter {
    of: DeliveryFilter,
    /// In lower case.
    text: Option<String>,
    since: Moment,
    until: Option<Moment>,
    after: Option<EventId>,
}

/// The deliveries that a page has found.
pub struct Found {
    /// Newest first.
    pub deliveries: Vec<StoredDelivery>,
    /// The start of the next page.
    pub next: Option<EventId>,
    /// Deliveries that were read, when it was a search.
    pub searched: Option<usize>,
}

impl Asked {
    /// Reads the fields.
    ///
    /// # Errors
    /// Fails when a time cannot be read.
    pub fn read(&self) -> Result<Filter, Problem> {
        let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let time = |text: String| moment(&text).map_err(|fault| Problem::Unclear(format!("{text:?}: {fault}.")));
        let of = DeliveryFilter {
            entity: given(&self.entity),
            reference: given(&self.reference),
            kind: given(&self.kind),
            ..DeliveryFilter::default()
        };
        Ok(Filter {
            of,
            text: given(&self.text).map(|text| text.to_lowercase()),
            since: time(given(&self.since).unwrap_or_else(|| SINCE.to_owned()))?,
            until: given(&self.until).map(time).transpose()?,
            after: match given(&self.after) {
                None => None,
                Some(after) => Some(after.parse().map_err(|_| Problem::wrong_place())?),
            },
        })
    }

    /// Returns a link with the same fields to another page, or to another start.
    pub fn link(&self, page: &str, after: &str) -> String {
        let Self { kind, entity, reference, text, since, until, .. } = self;
        link(
            page,
            &[
                ("kind", kind),
                ("entity", entity),
                ("reference", reference),
                ("text", text),
                ("since", since),
                ("until", until),
                ("after", after),
            ],
        )
    }

    /// Tells whether any field but the period is given.
    pub fn is_narrowed(&self) -> bool {
        [&self.kind, &self.entity, &self.reference, &self.text].iter().any(|field| !field.trim().is_empty())
    }
}

impl Filter {
    /// Tells whether new deliveries belong on the page.
    pub fn is_live(&self) -> bool {
        self.until.is_none() && self.after.is_none()
    }

    /// Returns the query of the store.
    ///
    /// # Errors
    /// Fails when the period is empty.
    pub fn query(&self, reader: Reader, now: Timestamp) -> Result<DeliveryQuery, Problem> {
        let start = self.since.before(now);
        let end = self.until.map_or(now.plus(DeliveryQuery::CLOCK_AHEAD), |until| until.before(now));
        if end <= start {
            return Err(Problem::Unclear("From must be before Until, which is now when it is empty.".to_owned()));
        }
        Ok(DeliveryQuery::new(reader, self.of.clone(), start..end))
    }

    /// Tells whether a delivery passes the filter.
    pub fn matches(&self, query: &DeliveryQuery, delivery: &StoredDelivery) -> bool {
        query.matches(delivery) && self.text.as_ref().is_none_or(|text| has(delivery, text))
    }

    /// Returns a page of deliveries.
    ///
    /// # Errors
    /// Fails when the deliveries cannot be read.
    pub async fn page(&self, query: &DeliveryQuery) -> Result<Found, Problem> {
        let DeliveryFilter { entity, reference, kind, .. } = &self.of;
        // Every other filter has an index.
        let picks = self.text.is_some() || kind.is_some() || (entity.is_some() && reference.is_some());
        // One more, to know whether there are more.
        let page_size = if picks { READ_AT_ONCE } else { PAGE + 1 };
        let (order, after) = (Order::NewestFirst, self.after);
        let listing = Listing { times: query.times.clone(), order, after, page_size };
        let mut candidates = query.candidates(&listing);
        let (mut deliveries, mut read, mut searched) = (Vec::<StoredDelivery>::new(), 0, 0);
        let mut last = None;
        while let Some(delivery) = candidates.try_next().await? {
            if picks && read == MOST_READ {
                return Ok(Found { deliveries, next: last, searched: Some(read) });
            }
            read += 1;
            last = Some(delivery.id);
            if !self.matches(query, &delivery) {
                continue;
            }
            if deliveries.len() == usize::from(PAGE) {
                let next = deliveries.last().map(|last| last.id);
                return Ok(Found { deliveries, next, searched: picks.then_some(searched) });
            }
            deliveries.push(delivery);
            searched = read;
        }
        Ok(Found { deliveries, next: None, searched: picks.then_some(read) })
    }
}

/// Tells whether a delivery contains a text.
fn has(delivery: &StoredDelivery, text: &str) -> bool {
    let places = [
        Some(delivery.entity.as_str()),
        delivery.reference.as_deref(),
        delivery.body.as_deref(),
        delivery.cause.as_deref(),
        Some(&delivery.request_id),
        Some(&delivery.source_ip),
    ];
    delivery.id.to_string().contains(text)
        || places.into_iter().flatten().any(|place| place.to_lowercase().contains(text))
        || delivery.body.as_deref().is_some_and(|body| says(body, text))
}

/// Tells whether a string of a body contains a text behind escapes such as `\u05e9` or `https:\/\/`.
fn says(body: &str, text: &str) -> bool {
    let said = |spelled: &str| serde_json::from_str::<String>(spelled).ok();
    body.contains('\\')
        && pieces(body).iter().filter_map(|piece| said(&piece.text)).any(|said| said.to_lowercase().contains(text))
}
