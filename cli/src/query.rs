//! Which deliveries a command is about, and how they are found.

use std::ops::Range;

use anyhow::{Result, bail};
use clap::{Args, builder::NonEmptyStringValueParser, error::ErrorKind};
use serde::Serialize;
use shared::{
    Timestamp,
    human_time::{Moment, moment},
    text::plain,
};
use store::{DeliveryFilter, DeliveryQuery, Reader};

/// Which deliveries, as a person names them.
#[derive(Args)]
pub struct Selection {
    #[command(flatten)]
    filter: FilterArgs,
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
pub struct FilterArgs {
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
    let latest = now.plus(DeliveryQuery::CLOCK_AHEAD);
    let end = until.map_or(latest, |until| until.before(now));
    if end <= start {
        clap::Error::raw(ErrorKind::ValueValidation, "--since is not before --until\n").exit()
    }
    start..end.min(latest)
}

impl Selection {
    /// The query for what was received within a time.
    pub fn query(self, reader: Reader, times: Range<Timestamp>) -> DeliveryQuery {
        DeliveryQuery::new(reader, DeliveryFilter { duplicates: self.duplicates, ..self.filter.filter() }, times)
    }
}

impl FilterArgs {
    /// The filter that the arguments name.
    pub fn filter(self) -> DeliveryFilter {
        let Self { entity, reference, kind } = self;
        DeliveryFilter { entity, reference, kind, duplicates: false }
    }
}

/// Refuses an entity that is not there: its name is more likely wrong than without events.
///
/// # Errors
/// When it is not there, or cannot be read.
pub async fn check_entity(query: &DeliveryQuery) -> Result<()> {
    match query.unknown_entity().await? {
        Some(entity) => bail!("there is no entity {}: no event has named it", plain(entity)),
        None => Ok(()),
    }
}
