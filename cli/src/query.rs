//! The deliveries that a command is about: the arguments that select them, and the reads that find them.

use std::ops::Range;

use anyhow::Result;
use clap::{
    Args,
    builder::{NonEmptyStringValueParser, TypedValueParser},
    error::ErrorKind,
};
use serde::Serialize;
use shared::{
    DOCTOR, Timestamp,
    human_time::{Moment, moment},
};
use store::{DeliveryFilter, DeliveryQuery, Reader, SearchedText};

use crate::{named, output::times};

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
    /// Start of the time range: a time ago (30s, 1h30m, 7d, 2w), a day (yesterday, 2026-11-22) or a moment (2026-11-22T09:30,
    /// 2026-11-22T09:30:00Z).
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    since: Moment,
    /// End of the time range, not included. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
}

/// The deliveries that match all of these; all of them when none is given.
#[derive(Args, Clone, Default, Serialize)]
pub struct FilterArgs {
    /// Only this entity: its name, such as whatsapp#972501234567, builder#523, online#eu1#523 or quarantine#2026-11-22, or its number
    /// or reference alone.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub entity: Option<String>,
    /// Only deliveries with this reference.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub reference: Option<String>,
    /// Only this kind, such as whatsapp or quarantine. Reads every delivery in the time range to find matches.
    #[arg(long, value_parser = NonEmptyStringValueParser::new().map(|kind| store::named::kind(&kind)))]
    pub kind: Option<String>,
    /// Only deliveries with this text in the body, the id, the entity, the reference or the source address. Ignores case; … stands for
    /// any text. Reads every delivery in the time range.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
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
    let start = times::resolve(since, now);
    let latest = now.plus(DeliveryQuery::CLOCK_AHEAD);
    let end = until.map_or(latest, |until| times::resolve(until, now));
    if end <= start {
        let fault = match until {
            Some(_) => "--since is not before --until\n".to_owned(),
            None => format!(
                "--since {} is in the future; times without a zone are in UTC, or with --local in this machine's time zone\n",
                times::shown(start)
            ),
        };
        clap::Error::raw(ErrorKind::ValueValidation, fault).exit()
    }
    start..end.min(latest)
}

/// Describes a time range; its end only if a person gave it.
pub fn period(times: &Range<Timestamp>, until: Option<Moment>) -> String {
    let since = format!("since {}", times::shown(times.start));
    if until.is_none() { since } else { format!("{since} and before {}", times::shown(times.end)) }
}

/// Returns a start as seen from now. Ends the program with a usage error when it is in the future.
pub fn past(since: Moment, now: Timestamp) -> Timestamp {
    time_range(since, None, now).start.min(now)
}

impl Selection {
    /// Returns the kind that was asked for.
    pub fn kind(&self) -> Option<&str> {
        self.filter.kind.as_deref()
    }

    /// Checks the reference that was asked for, when nothing was found.
    ///
    /// # Errors
    /// As for [`named::check_reference`].
    pub async fn check_reference(&self, reader: &Reader) -> Result<()> {
        named::check_reference(reader, self.filter.reference.as_deref()).await
    }

    /// Returns the query for the deliveries received within a time range, without those of `hooks doctor` unless they are asked for.
    ///
    /// # Errors
    /// As for [`FilterArgs::filter`].
    pub async fn query(&self, reader: &Reader, times: Range<Timestamp>) -> Result<DeliveryQuery> {
        let except_kind = Some(DOCTOR.to_owned());
        let filter = self.filter.filter(reader).await?;
        let filter = DeliveryFilter { duplicates: self.duplicates, except_kind, ..filter };
        Ok(DeliveryQuery::new(reader.clone(), filter, times))
    }
}

impl FilterArgs {
    /// Returns the filter that the arguments name.
    ///
    /// # Errors
    /// Fails when no event has named the entity, or it cannot be read.
    pub async fn filter(&self, reader: &Reader) -> Result<DeliveryFilter> {
        let entity = match &self.entity {
            Some(typed) => Some(named::entity(reader, typed, "--reference").await?.to_string()),
            None => None,
        };
        let reference = match &self.reference {
            Some(typed) => Some(store::named::reference(reader, typed).await?),
            None => None,
        };
        let (kind, text) = (self.kind.clone(), self.text.as_deref().map(SearchedText::new));
        Ok(DeliveryFilter { entity, reference, kind, text, ..DeliveryFilter::default() })
    }
}
