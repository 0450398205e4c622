//! `hooks stats`: counts the deliveries of a time range.

use std::{collections::BTreeMap, pin::pin, process::ExitCode, time::SystemTime};

use anyhow::Result;
use clap::{Args, ValueEnum};
use futures_util::TryStreamExt;
use serde_json::json;
use shared::Timestamp;
use store::StoredDelivery;

use crate::{
    named,
    output::{json, print, progress::Progress, tables, text, times},
    query::Selection,
    target::{Target, TargetArgs},
};

/// Counts the deliveries in a time range by kind, reference or day.
#[derive(Args)]
#[command(after_help = "\
Reads every delivery in the time range. Events of `cargo hooks doctor` are counted only with --kind doctor. Days are in UTC, or with \
--local in this machine's time zone.

Examples:
  cargo hooks stats --since 30d
  cargo hooks stats --since 30d --by day --kind whatsapp --stack partner-webhook
  cargo hooks stats --since 2026-11-01 --until 2026-12-01 --by reference --output csv > november.csv")]
pub struct Stats {
    #[command(flatten)]
    selection: Selection,
    /// Property to count by.
    #[arg(long, value_enum, value_name = "PROPERTY", default_value_t = By::Kind)]
    by: By,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line, and csv has a header.
    #[arg(long, value_enum, default_value_t = StatsOutput::Table)]
    output: StatsOutput,
}

/// A fact of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Kind,
    Reference,
    Day,
}

/// The format of the counts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// The deliveries with the same fact.
#[derive(Clone, Copy, Default)]
struct Count {
    deliveries: u64,
    /// The number of those that are duplicates.
    duplicates: u64,
}

/// Counts the deliveries.
///
/// # Errors
/// Fails when they cannot be read, or no event has named the entity or has the reference.
pub async fn run(Stats { selection, by, target, output }: Stats) -> Result<ExitCode> {
    let times = selection.range.resolve(Timestamp::from(SystemTime::now()));
    let reader = Target::find(target).await?.reader;
    let query = selection.query(&reader, times).await?;
    let progress = Progress::of("counting");
    let mut counts = BTreeMap::<Option<String>, Count>::new();
    let (mut read, mut deliveries) = (0_u64, pin!(query.walk(None)));
    while let Some(delivery) = deliveries.try_next().await? {
        let count = counts.entry(by.fact(&delivery)).or_default();
        count.deliveries += 1;
        count.duplicates += u64::from(delivery.duplicate_of.is_some());
        read += 1;
        progress.reached(read, text::events(read));
    }
    drop(progress);
    if counts.is_empty() {
        named::note_unknown_kind(selection.kind());
        selection.check_reference(&reader).await?;
    }
    print(&match output {
        StatsOutput::Table => table(by, &counts),
        StatsOutput::Json => lines(by, &counts)?,
        StatsOutput::Csv => csv(by, &counts),
    })?;
    Ok(ExitCode::SUCCESS)
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Reference => "reference",
            Self::Day => "day",
        }
    }

    fn fact(self, delivery: &StoredDelivery) -> Option<String> {
        match self {
            Self::Kind => Some(delivery.kind.clone()),
            Self::Reference => delivery.reference.clone(),
            Self::Day => Some(times::shown(delivery.received_at)[..10].to_owned()),
        }
    }
}

/// Returns the counts and their sum for people.
fn table(by: By, counts: &BTreeMap<Option<String>, Count>) -> String {
    let sum = counts.values().fold(Count::default(), |sum, count| Count {
        deliveries: sum.deliveries + count.deliveries,
        duplicates: sum.duplicates + count.duplicates,
    });
    let row = |(fact, count): (Option<String>, Count)| {
        [fact.unwrap_or_else(|| "none".to_owned()), count.deliveries.to_string(), count.duplicates.to_string()]
    };
    let rows = counts.iter().map(|(fact, count)| (fact.clone(), *count)).chain([(Some("all".to_owned()), sum)]);
    tables::table([by.name(), "deliveries", "duplicates"], rows.map(row))
}

fn lines(by: By, counts: &BTreeMap<Option<String>, Count>) -> serde_json::Result<String> {
    let line = |(fact, Count { deliveries, duplicates }): (&Option<String>, &Count)| {
        json::line(&json!({ by.name(): fact, "deliveries": deliveries, "duplicates": duplicates }))
    };
    counts.iter().map(line).collect()
}

/// Returns the counts in the format of RFC 4180, without a sum. A reference comes from outside: an apostrophe in front keeps a spreadsheet
/// from taking it for a formula.
fn csv(by: By, counts: &BTreeMap<Option<String>, Count>) -> String {
    let quoted = |text: &str| {
        let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { &format!("'{text}") } else { text };
        match text.contains([',', '"', '\r', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        }
    };
    let mut csv = format!("{},deliveries,duplicates\r\n", by.name());
    for (fact, Count { deliveries, duplicates }) in counts {
        csv += &format!("{},{deliveries},{duplicates}\r\n", quoted(fact.as_deref().unwrap_or_default()));
    }
    csv
}
