//! Which deliveries a command is about, and how they are found.

use std::{ops::Range, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, builder::NonEmptyStringValueParser, error::ErrorKind};
use serde::Serialize;
use shared::{Entity, EventId, Timestamp};
use store::{Cursor, Listing, Order, Page, Quarantine, Reader, StoredDelivery};

use crate::output::{
    human_time::{Moment, moment},
    text,
};

/// How many deliveries are read at once.
pub const PAGE: u16 = 200;

/// The receiver's clock may be ahead of ours.
pub const AHEAD: Duration = Duration::from_secs(60);

/// Which deliveries, as a person names them.
#[derive(Args)]
pub struct Selection {
    #[command(flatten)]
    filter: DeliveryFilter,
    /// When they came.
    #[command(flatten)]
    pub range: TimeRange,
    /// Only those that repeat an earlier one; else they are listed among the others.
    #[arg(long)]
    duplicates: bool,
}

/// When deliveries came.
#[derive(Args, Serialize)]
pub struct TimeRange {
    /// From when on: a time ago, such as 90m, 36h or 7d, or a day (its start in UTC) or moment, such as 2026-11-22 or
    /// 2026-11-22T09:30:00Z.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    since: Moment,
    /// Until when, not included; else until now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
}

/// Whose deliveries; else all.
#[derive(Args, Clone, Default, Serialize)]
#[group(multiple = false)]
pub struct DeliveryFilter {
    /// Those of an entity, such as whatsapp#972501234567, builder#523, online#eu1#523 or quarantine#2026-11-22.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub entity: Option<String>,
    /// Those that carry a reference of yours.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub reference: Option<String>,
    /// Those of a kind, such as whatsapp or quarantine. They are picked from all that came in the time, which are read for it.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub kind: Option<String>,
}

impl TimeRange {
    /// The times that are meant, as seen from now; the program ends when there are none.
    pub fn resolve(&self, now: Timestamp) -> Range<Timestamp> {
        time_range(self.since, self.until, now)
    }
}

/// From when until when, as seen from now, which is where it ends at the latest; the program ends when it is no time at all.
pub fn time_range(since: Moment, until: Option<Moment>, now: Timestamp) -> Range<Timestamp> {
    let start = since.before(now);
    let latest = now.plus(AHEAD);
    let end = until.map_or(latest, |until| until.before(now));
    if end <= start {
        clap::Error::raw(ErrorKind::ValueValidation, "--since is not before --until\n").exit()
    }
    start..end.min(latest)
}

/// Which deliveries are asked for, and where.
pub struct DeliveryQuery {
    reader: Reader,
    filter: DeliveryFilter,
    duplicates: bool,
    /// When they came.
    pub times: Range<Timestamp>,
}

/// What was found of it.
pub struct NewestDeliveries {
    /// At most as many as were asked for.
    pub deliveries: Vec<StoredDelivery>,
    /// Whether there are more.
    pub more: bool,
    /// When the newest of those came that were read, asked for or not.
    pub newest: Option<Timestamp>,
}

/// The deliveries that are asked for, as they came, page by page.
pub struct Walk<'a> {
    query: &'a DeliveryQuery,
    /// What is to be read next; `None` after the last page.
    listing: Option<Listing>,
}

impl Walk<'_> {
    /// The next of them, which may be none; `None` after the last ones.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn next_page(&mut self) -> Result<Option<Vec<StoredDelivery>>> {
        let Some(mut listing) = self.listing.take() else { return Ok(None) };
        let page = self.query.page(&listing).await?;
        if page.next.is_some() {
            listing.after = page.next;
            self.listing = Some(listing);
        }
        Ok(Some(page.items.into_iter().filter(|delivery| self.query.matches(delivery)).collect()))
    }
}

impl DeliveryQuery {
    /// The query for what came in those times.
    pub fn selected(reader: Reader, selection: Selection, times: Range<Timestamp>) -> Self {
        Self { duplicates: selection.duplicates, ..Self::new(reader, selection.filter, times) }
    }

    /// The query for what of those came in those times.
    pub fn new(reader: Reader, filter: DeliveryFilter, times: Range<Timestamp>) -> Self {
        Self { reader, filter, duplicates: false, times }
    }

    /// All of them as they came, or those that came after one of them.
    pub fn walk(&self, after: Option<&EventId>) -> Walk<'_> {
        let after = after.map(|id| Cursor::from_text(id.to_string()));
        let listing = Listing { times: self.times.clone(), order: Order::OldestFirst, after, limit: PAGE };
        Walk { query: self, listing: Some(listing) }
    }

    /// A page of the deliveries among which those are that are asked for.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn page(&self, listing: &Listing) -> Result<Page<StoredDelivery>> {
        Ok(match (&self.filter.entity, &self.filter.reference) {
            (Some(entity), _) => self.reader.history(&Entity::named(entity), listing).await?,
            (None, Some(reference)) => self.reader.by_reference(reference, listing).await?,
            (None, None) => self.reader.by_time(listing).await?,
        })
    }

    /// Whether one of those is asked for.
    pub fn matches(&self, delivery: &StoredDelivery) -> bool {
        let DeliveryFilter { entity, reference, kind } = &self.filter;
        entity.as_ref().is_none_or(|entity| *entity == delivery.entity.as_str())
            && (reference.is_none() || *reference == delivery.reference)
            && kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
            && (!self.duplicates || delivery.duplicate_of.is_some())
    }

    /// The last ones of them, the last one first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn newest(&self, limit: usize) -> Result<NewestDeliveries> {
        let picked = self.filter.kind.is_some() || self.duplicates;
        // One more, to know whether there are more.
        let page = if picked { PAGE } else { u16::try_from(limit.saturating_add(1)).unwrap_or(PAGE).min(PAGE) };
        let mut listing = Listing { times: self.times.clone(), order: Order::NewestFirst, after: None, limit: page };
        let mut found = NewestDeliveries { deliveries: Vec::new(), more: false, newest: None };
        loop {
            let page = self.page(&listing).await?;
            found.newest = found.newest.or(page.items.first().map(|delivery| delivery.received_at));
            found.deliveries.extend(page.items.into_iter().filter(|delivery| self.matches(delivery)));
            found.more = found.deliveries.len() > limit;
            listing.after = page.next;
            if found.more || listing.after.is_none() {
                found.deliveries.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// An entity that is not there is rather a wrong name than one without events.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub async fn check_entity(&self) -> Result<()> {
        let Some(entity) = &self.filter.entity else { return Ok(()) };
        // What could not be decoded has no state.
        if !Quarantine::is_entity(entity) && self.reader.state(&Entity::named(entity)).await?.is_none() {
            bail!("there is no entity {}: no event has named it", text::plain(entity));
        }
        Ok(())
    }
}
