//! The deliveries that a command is about: the arguments that select them, and the reads that find them.

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

/// The deliveries that a person has selected.
#[derive(Args)]
pub struct Selection {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    pub range: TimeRange,
    /// Only duplicates. Default: duplicates are listed among the others.
    #[arg(long)]
    duplicates: bool,
}

/// The time range in which deliveries were received.
#[derive(Args, Serialize)]
pub struct TimeRange {
    /// Start of the time range: a time ago (90m, 36h, 7d), a day (2026-11-22, from its start in UTC) or a moment
    /// (2026-11-22T09:30:00Z).
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    since: Moment,
    /// End of the time range, not included. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
}

/// The deliveries of one entity, reference or kind; all of them when none is given.
#[derive(Args, Clone, Default, Serialize)]
#[group(multiple = false)]
pub struct FilterArgs {
    /// Only this entity, such as whatsapp#972501234567, builder#523, online#eu1#523 or quarantine#2026-11-22.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub entity: Option<String>,
    /// Only deliveries with this reference of yours.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub reference: Option<String>,
    /// Only this kind, such as whatsapp or quarantine. Reads every delivery in the time range to find matches.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub kind: Option<String>,
}

impl TimeRange {
    /// Returns the start and end as seen from now. Ends the program with a usage error when the start is not before the end.
    pub fn resolve(&self, now: Timestamp) -> Range<Timestamp> {
        time_range(self.since, self.until, now)
    }
}

/// Returns a start and end as seen from now, with now as the latest end. Ends the program with a usage error when the start is
/// not before the end.
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
    /// Returns the query for the deliveries received within a time range.
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

/// Refuses an entity without events: its name is probably wrong.
///
/// # Errors
/// Fails when no event has named the entity, or its state cannot be read.
pub async fn check_entity(query: &DeliveryQuery) -> Result<()> {
    match query.unknown_entity().await? {
        Some(entity) => bail!("there is no entity {}: no event has named it", plain(entity)),
        None => Ok(()),
    }
}
