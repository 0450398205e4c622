//! `hooks quarantine`: the deliveries that were not recorded as events, and their release.

mod outcome;

use std::{collections::BTreeSet, net::IpAddr, ops::Range, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures_util::{TryStreamExt, future::try_join_all};
use shared::{
    EventId, Timestamp,
    human_time::{Moment, moment},
};
use store::{Listing, Order, PAGE, Quarantine, Reader, Retried, SealedReader, StoreError, TypedId, first, page_size};

use self::outcome::RetryOutcome;
use crate::{
    consent::Consent,
    output::{List, Output, json, print, print_bytes, progress::Progress, tables},
    query::{period, time_range},
    show::in_full,
    target::{Target, TargetArgs},
};

/// Lists, shows and retries quarantined deliveries.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks quarantine list --stack partner-webhook --since 30d
  cargo hooks quarantine show 019aaaaa-0000-7000-8000-000000000000
  cargo hooks quarantine show 019aaaaa-0000-7000-8000-000000000000 --raw | xxd
  cargo hooks quarantine retry 019aaaaa-0000-7000-8000-000000000000
  cargo hooks quarantine retry --since 30d                       all deliveries of 30 days")]
pub struct QuarantineArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The actions.
#[derive(Subcommand)]
enum Command {
    /// Lists quarantined deliveries, newest first.
    List {
        /// Start of the time range: a time ago (30s, 1h30m, 7d, 2w), a day (yesterday, 2026-11-22) or a moment (2026-11-22T09:30,
        /// 2026-11-22T09:30:00Z).
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment)]
        since: Moment,
        /// End of the time range, not included. Default: now.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Moment>,
        /// Maximum number of deliveries to list.
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Shows everything about one quarantined delivery, or its bytes.
    #[command(
        mut_arg("yes", |yes| yes.requires("raw")),
        after_help = "Exit code: 0, or 1 when no quarantined delivery has this id."
    )]
    Show {
        /// Id of the delivery, as in the receiver's answer, or its last digits.
        id: TypedId,
        /// Write only the bytes as received, regardless of --output. Asks first, because they may contain secrets.
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Tries to record quarantined deliveries as events.
    ///
    /// A delivery that could not be decoded is decoded again, for instance after an upgrade. A delivery that is held for its unlisted source
    /// address is recorded once the address is in the stack's AllowedSourceIps.
    #[command(after_help = "\
An event keeps its id and its time of receipt. It changes the state like an event that arrived late. A delivery that still cannot be \
recorded stays in quarantine, and can be retried any number of times.
Exit code: 0; or 1 when an id is neither in quarantine nor that of an event, or an item cannot be read.

Examples:
  cargo hooks quarantine retry 019aaaaa-0000-7000-8000-000000000000
  cargo hooks quarantine retry --since 7d --stack partner-webhook      all deliveries of 7 days
  cargo hooks quarantine retry 019aaaaa-0000-7000-8000-000000000000 --accept-source")]
    Retry {
        #[command(flatten)]
        which: RetryArgs,
        /// End of the time range of --since, not included. Default: now.
        #[arg(long, value_name = "TIME", requires = "since", conflicts_with = "ids", value_parser = moment)]
        until: Option<Moment>,
        /// Record a held delivery even if its source address is not in AllowedSourceIps.
        #[arg(long)]
        accept_source: bool,
    },
}

/// The deliveries to retry.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct RetryArgs {
    /// Ids of the deliveries, or their last digits.
    ids: Vec<TypedId>,
    /// Every delivery received since then: a time ago (30s, 1h30m, 7d, 2w), a day (yesterday, 2026-11-22) or a moment
    /// (2026-11-22T09:30, 2026-11-22T09:30:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
}

/// Runs the command.
///
/// # Errors
/// Fails when the target cannot be found, or a read or write fails.
pub async fn run(QuarantineArgs { command, target, output }: QuarantineArgs) -> Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let target = Target::find(target).await?;
    let quarantine = Quarantine::new(target.dynamodb.clone(), target.settings.clone());
    match command {
        Command::List { since, until, limit } => {
            let times = time_range(since, until, now);
            let period = period(&times, until);
            list(&quarantine, times, &period, limit, output).await
        }
        Command::Show { id, raw: false, .. } => show(&quarantine, &id.find(&target.reader, now).await?, output).await,
        Command::Show { id, raw: true, consent } => {
            let id = id.find(&target.reader, now).await?;
            let sealed = SealedReader::new(target.dynamodb, target.settings.sealed_table);
            show_bytes(&sealed, &id, &consent).await
        }
        Command::Retry { which: RetryArgs { ids, since }, until, accept_source } => {
            let mut ids = match since {
                Some(since) => received(&quarantine, time_range(since, until, now)).await?,
                None => try_join_all(ids.iter().map(|id| id.find(&target.reader, now))).await?,
            };
            let mut seen = BTreeSet::new();
            ids.retain(|id| seen.insert(*id));
            let listed = target.source_ips()?;
            let is_listed = |source_ip| listed.as_ref().is_some_and(|listed| listed.contains(source_ip));
            let accepts = |source_ip: Option<IpAddr>| accept_source || source_ip.is_some_and(is_listed);
            Retry { quarantine, reader: target.reader, accepts }.run(&ids, output).await
        }
    }
}

/// Tries to record a quarantined delivery, even one that is held for its address. Returns the outcome in words.
///
/// # Errors
/// Fails when a read or write fails.
pub async fn accept(target: &Target, id: &EventId) -> Result<String> {
    let quarantine = Quarantine::new(target.dynamodb.clone(), target.settings.clone());
    let retry = Retry { quarantine, reader: target.reader.clone(), accepts: |_: Option<IpAddr>| true };
    Ok(retry.retry(id).await?.to_string())
}

async fn list(
    quarantine: &Quarantine,
    times: Range<Timestamp>,
    period: &str,
    limit: usize,
    output: Output,
) -> Result<ExitCode> {
    let listing = Listing { times, order: Order::NewestFirst, after: None, page_size: page_size(limit) };
    let (found, more) = first(quarantine.list(&listing), limit).await?;
    let more = more.then(|| format!("The last {} {period}", found.len()));
    let none = format!("Nothing was quarantined {period}.\n");
    List { items: &found, none, more }.print(output, json::delivery, tables::quarantined)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(quarantine: &Quarantine, id: &EventId, output: Output) -> Result<ExitCode> {
    let found = quarantine.find(id).await?;
    let delivery = found.with_context(|| format!("there is nothing in quarantine with the id {id}"))?;
    print(&match output {
        Output::Json => json::delivery(&delivery)?,
        Output::Table => in_full(&delivery, None),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn show_bytes(sealed: &SealedReader, id: &EventId, consent: &Consent) -> Result<ExitCode> {
    consent.ask(&format!("Show the body of {id}? It may hold secrets."))?;
    let bytes = sealed.quarantined(id).await?;
    print_bytes(&bytes.with_context(|| format!("there are no bytes in quarantine with the id {id}"))?)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the ids of all quarantined deliveries in a time range, oldest first: of two with the same body the second is the duplicate.
async fn received(quarantine: &Quarantine, times: Range<Timestamp>) -> Result<Vec<EventId>> {
    let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: PAGE };
    Ok(quarantine.list(&listing).map_ok(|delivery| delivery.id).try_collect().await?)
}

/// The number of deliveries by their outcome.
#[derive(Default)]
struct RetryCounts {
    recorded: usize,
    held: usize,
    undecodable: usize,
    failed: usize,
}

/// A retry of quarantined deliveries.
struct Retry<A> {
    quarantine: Quarantine,
    reader: Reader,
    /// Returns whether a held delivery from an address may be recorded.
    accepts: A,
}

impl<A: Fn(Option<IpAddr>) -> bool> Retry<A> {
    async fn run(&self, ids: &[EventId], output: Output) -> Result<ExitCode> {
        let mut counts = RetryCounts::default();
        let progress = Progress::to(ids.len() as u64);
        for (done, id) in (1..).zip(ids) {
            let outcome = self.retry(id).await?;
            match outcome {
                RetryOutcome::Tried(Retried::Recorded { .. }) => counts.recorded += 1,
                RetryOutcome::Tried(Retried::UnlistedSource(_)) => counts.held += 1,
                RetryOutcome::Tried(Retried::Undecodable(_) | Retried::BytesGone) => counts.undecodable += 1,
                RetryOutcome::RecordedBefore(_) => {}
                RetryOutcome::Tried(Retried::NotQuarantined) | RetryOutcome::Unreadable(_) => counts.failed += 1,
            }
            progress.print(&match output {
                Output::Json => json::line(&outcome.json(id))?,
                Output::Table => format!("{id}  {outcome}\n"),
            })?;
            progress.reached(done, format!("{done} of {}", ids.len()));
        }
        if output == Output::Table {
            progress.print(&counts.sentence())?;
        }
        Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn retry(&self, id: &EventId) -> Result<RetryOutcome> {
        match self.quarantine.retry(id, &self.accepts).await {
            Ok(Retried::NotQuarantined) => {
                let event = self.reader.delivery(id).await?.filter(|delivery| delivery.body.is_some());
                Ok(event.map_or(RetryOutcome::Tried(Retried::NotQuarantined), |event| {
                    RetryOutcome::RecordedBefore(Box::new(event))
                }))
            }
            Ok(retried) => Ok(RetryOutcome::Tried(retried)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Conflict)) => Ok(RetryOutcome::Unreadable(error)),
            Err(error) => Err(error)
                .with_context(|| format!("the deliveries from {id} on were not retried; run the same command again")),
        }
    }
}

impl RetryCounts {
    /// Returns a sentence for people. Held deliveries are left out when there are none.
    fn sentence(&self) -> String {
        let Self { recorded, held, undecodable, .. } = self;
        let held = if *held > 0 { format!("{held} still held, ") } else { String::new() };
        format!("{recorded} recorded, {held}{undecodable} still undecodable.\n")
    }
}
