//! `hooks events`: lists deliveries.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use clap::Args;
use shared::Timestamp;
use store::{DeliveryQuery, Follow, NewestDeliveries, StoreError, StoredDelivery};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    faults::with_fix,
    interrupt::interrupted,
    named,
    output::{List, Output, is_read, json, note, print, tables, text},
    query::{Selection, period},
    target::{Target, TargetArgs},
};

/// Pause between two polls of `--follow`.
const POLL: Duration = Duration::from_secs(1);

/// Lists the deliveries that the local run or a deployed stack received, newest first.
#[derive(Args)]
#[command(after_help = "\
Times are in UTC, or with --local in this machine's time zone. Credentials were replaced by [sealed] before the events were recorded. \
Filters combine. Events of `cargo hooks doctor` are listed only with --kind doctor or --entity doctor#-.

Examples:
  cargo hooks events                                         the local run's last day
  cargo hooks events --stack partner-webhook --since 7d      a deployed stack
  cargo hooks events --entity 972501234567                   one line
  cargo hooks events --kind whatsapp --text shop --since yesterday --local
  cargo hooks events --kind quarantine --since 2026-11-01T00:00:00Z
  cargo hooks events --follow --limit 0                      new events only
  cargo hooks events --output json --limit 1000 | jq .body   for programs

--follow shows each new event within seconds, but not one that was received before and waited in the fallback queue.")]
pub struct Events {
    #[command(flatten)]
    selection: Selection,
    /// Maximum number of events to list. With --follow, this counts only events that are already recorded.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
    limit: usize,
    /// Keep running until Ctrl-C, and print each new event on one line, in the order received.
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Lists deliveries.
///
/// # Errors
/// Fails when they cannot be read, or no event has named the entity or has the reference.
pub async fn run(events: Events) -> Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let range = events.selection.range.resolve(now);
    let reader = Target::find(events.target.clone()).await?.reader;
    let query = events.selection.query(&reader, range).await?;
    let mut found = query.newest(events.limit).await?;
    if found.deliveries.is_empty() {
        named::note_unknown_kind(events.selection.kind());
        // Somebody may wait for the first event of a client.
        if !events.follow {
            events.selection.check_reference(&reader).await?;
        }
    }
    if events.follow {
        found.deliveries.reverse();
        return tokio::select! {
            ended = follow(query, &found, now, &events.target, events.output) => ended,
            () = interrupted() => Ok(ExitCode::SUCCESS),
        };
    }
    let period = period(&query.times, events.selection.range.until);
    let more = found.more.then(|| format!("The last {} {period}", found.deliveries.len()));
    let none = format!("No such events {period}.\n");
    List { items: &found.deliveries, none, more }.print(events.output, json::delivery, tables::deliveries)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the deliveries that were found, and then each new one, until nobody reads on. A read that fails is repeated by the next poll. If
/// the local run has ended, it continues with the next one.
async fn follow(
    mut query: DeliveryQuery,
    found: &NewestDeliveries,
    now: Timestamp,
    target: &TargetArgs,
    output: Output,
) -> Result<ExitCode> {
    let line = |delivery: &StoredDelivery| match output {
        Output::Json => Ok(json::delivery(delivery)?),
        Output::Table => anyhow::Ok(text::delivery_line(delivery)),
    };
    for delivery in &found.deliveries {
        if !print(&line(delivery)?)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // An older delivery was left out by the limit, unless it is new.
    let oldest = found.deliveries.first().map_or(now, |delivery| delivery.received_at.min(now));
    let start = if found.more { oldest } else { query.times.start };
    let seen = found.deliveries.iter().map(|delivery| delivery.id).collect();
    // Everything up to now has just been read, however old the newest delivery is.
    let read = now.minus(Follow::OVERLAP);
    let mut follow = Follow::new(start, found.newest.map_or(read, |newest| newest.max(read)), seen);
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        polls.tick().await;
        if !is_read() {
            return Ok(ExitCode::SUCCESS);
        }
        let show = |delivery| anyhow::Ok(!query.matches(&delivery) || print(&line(&delivery)?)?);
        match follow.look(&query, SystemTime::now().into(), show).await {
            Ok(true) if is_failing => note("New events can be read again."),
            Ok(true) => {}
            Ok(false) => return Ok(ExitCode::SUCCESS),
            Err(mut error) if error.is::<StoreError>() => {
                if target.stack().is_none() {
                    match Target::find(target.clone()).await {
                        Ok(run) => query.read_from(run.reader),
                        Err(no_run) => error = no_run,
                    }
                }
                if !is_failing {
                    note(&format!("New events cannot be read, trying again every second: {}", with_fix(&error)));
                }
                is_failing = true;
                continue;
            }
            Err(error) => return Err(error),
        }
        is_failing = false;
    }
}
