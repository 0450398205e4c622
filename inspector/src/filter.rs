//! The filter of a page, and a bounded search for its deliveries.

use futures_util::{TryStreamExt, future::try_join};
use serde::Deserialize;
use shared::{
    DOCTOR, EventId, Timestamp,
    human_time::{Moment, moment},
    text::plain,
};
use store::{DeliveryFilter, DeliveryQuery, Listing, Order, Reader, SearchedText, StoreError, StoredDelivery, named};

use super::{
    chart::Counts,
    layout::{PAGE, link, sentence},
    problem::Problem,
};

/// Items per read of a long list: more would not fit into one answer of DynamoDB.
pub const READ_AT_ONCE: u16 = 1_000;

/// Maximum number of deliveries that one page searches.
const MOST_READ: usize = Counts::MOST;

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

/// A field of the form with an invalid value.
pub struct Fault {
    /// Name of the field.
    pub field: &'static str,
    /// The reason, as a sentence.
    pub why: String,
}

impl From<Fault> for Problem {
    fn from(Fault { why, .. }: Fault) -> Self {
        Self::Unclear(why)
    }
}

/// The filter that the fields mean.
pub struct Filter {
    of: DeliveryFilter,
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
    /// The deliveries of the whole period, or its newest ones.
    pub counts: Counts,
    /// Time of receipt of the newest delivery that was read, whether it matches or not.
    pub newest: Option<Timestamp>,
}

impl Asked {
    /// Replaces the typed names by those that events have. Returns the error of the entity if it names none, or several.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn resolve(&mut self, reader: &Reader) -> Result<Option<Fault>, StoreError> {
        self.kind = named::kind(&self.kind);
        self.reference = named::reference(reader, &self.reference).await?;
        if self.entity.trim().is_empty() {
            return Ok(None);
        }
        match named::entities(reader, &self.entity).await?.only(&self.entity, "entity", "the field Reference") {
            Ok(entity) => {
                self.entity = entity.to_string();
                Ok(None)
            }
            Err(why) => Ok(Some(Fault { field: "entity", why: sentence(&why) })),
        }
    }

    /// Reads the fields.
    ///
    /// # Errors
    /// Fails when a time cannot be read, or the place in the list is none.
    pub fn read(&self) -> Result<Filter, Fault> {
        let is_given = |text: &&str| !text.trim().is_empty();
        let given = |text: &str| Some(text.trim()).filter(is_given).map(str::to_owned);
        let time = |field, text: String| {
            moment(&text).map_err(|fault| Fault { field, why: format!("{:?}: {fault}.", plain(&text)) })
        };
        let of = DeliveryFilter {
            entity: given(&self.entity),
            // Events may have one with spaces around it.
            reference: Some(self.reference.as_str()).filter(is_given).map(str::to_owned),
            kind: given(&self.kind),
            text: given(&self.text).map(|text| SearchedText::new(&text)),
            // As in the command line.
            except_kind: Some(DOCTOR.to_owned()),
            ..DeliveryFilter::default()
        };
        Ok(Filter {
            of,
            since: time("since", given(&self.since).unwrap_or_else(|| SINCE.to_owned()))?,
            until: given(&self.until).map(|until| time("until", until)).transpose()?,
            after: match given(&self.after) {
                None => None,
                Some(after) => {
                    Some(after.parse().map_err(|_| Fault { field: "after", why: Problem::WRONG_PLACE.to_owned() })?)
                }
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

    /// Returns whether any field but the period is given.
    pub fn is_narrowed(&self) -> bool {
        [&self.kind, &self.entity, &self.reference, &self.text].iter().any(|field| !field.trim().is_empty())
    }
}

impl Filter {
    /// Returns whether new deliveries belong on the page.
    pub fn is_live(&self) -> bool {
        self.until.is_none() && self.after.is_none()
    }

    /// Returns the start of the period at a time.
    pub fn start(&self, now: Timestamp) -> Timestamp {
        self.since.before(now)
    }

    /// Returns the query of the store.
    ///
    /// # Errors
    /// Fails when the period is empty.
    pub fn query(&self, reader: Reader, now: Timestamp) -> Result<DeliveryQuery, Fault> {
        let start = self.start(now);
        let end = self.until.map_or(now.plus(DeliveryQuery::CLOCK_AHEAD), |until| until.before(now));
        if end <= start {
            let field = if self.until.is_some() { "until" } else { "since" };
            let why = "From must be before Until, which is now when it is empty.".to_owned();
            return Err(Fault { field, why });
        }
        Ok(DeliveryQuery::new(reader, self.of.clone(), start..end))
    }

    /// Returns a page of deliveries, and the counts of the whole period.
    ///
    /// # Errors
    /// Fails when the deliveries cannot be read.
    pub async fn page(&self, query: &DeliveryQuery) -> Result<Found, Problem> {
        let from_start = self.walk(query, None, true);
        match self.after {
            // The first page and the counts are one read.
            None => from_start.await,
            after => {
                let (page, whole) = try_join(self.walk(query, after, false), from_start).await?;
                Ok(Found { counts: whole.counts, ..page })
            }
        }
    }

    /// Reads until the page is full, or with `counts` to the end of the period, but at most [`MOST_READ`] deliveries.
    async fn walk(&self, query: &DeliveryQuery, after: Option<EventId>, counts: bool) -> Result<Found, Problem> {
        let DeliveryFilter { entity, reference, kind, text, .. } = &self.of;
        // Every other filter has an index.
        let picks = text.is_some() || kind.is_some() || (entity.is_some() && reference.is_some());
        // One more, to know whether there are more.
        let page_size = if picks || counts { READ_AT_ONCE } else { PAGE + 1 };
        let order = Order::NewestFirst;
        let listing = Listing { times: query.times.clone(), order, after, page_size };
        let mut candidates = query.candidates(&listing);
        let mut found =
            Found { deliveries: Vec::new(), next: None, searched: None, counts: Counts::default(), newest: None };
        // Deliveries read: in total, and for the page.
        let (mut read, mut for_page) = (0, 0);
        let (mut last, mut is_full) = (None, false);
        while let Some(delivery) = candidates.try_next().await? {
            if read == MOST_READ {
                found.counts.is_cut = true;
                found.next = found.next.or(last);
                break;
            }
            read += 1;
            last = Some(delivery.id);
            found.newest.get_or_insert(delivery.received_at);
            if !query.matches(&delivery) {
                continue;
            }
            found.counts.add(&delivery);
            if found.deliveries.len() < usize::from(PAGE) {
                found.deliveries.push(delivery);
                for_page = read;
            } else if !is_full {
                is_full = true;
                found.next = found.deliveries.last().map(|last| last.id);
                if !counts {
                    break;
                }
            }
        }
        if !is_full {
            for_page = read;
        }
        found.searched = picks.then_some(for_page);
        Ok(found)
    }
}
