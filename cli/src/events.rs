//! `hooks events` and `hooks show`: the deliveries, as they stand in the events table.

use std::{
    fmt::Write,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use clap::Args;
use shared::{
    EventId, Timestamp,
    human_time::{ago, to_the_second},
    text::plain,
};
use store::{DeliveryQuery, Follow, NewestDeliveries, StoredDelivery};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    interrupt::interrupted,
    output::{Output, json, print, tables, text},
    query::{Selection, check_entity},
    target::{Target, TargetArgs},
};

/// How often `--follow` asks for what is new.
const POLL: Duration = Duration::from_secs(1);

/// Which deliveries, and how to show them.
#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    selection: Selection,
    /// At most so many; with --follow, of those that are there.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Then show what comes, a line each, until Ctrl-C. Deliveries are in the order in which they came.
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// How to show them. As json each is an object on a line of its own.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Selection delivery, and how to show it.
#[derive(Args)]
pub struct Show {
    /// The delivery's id, as the receiver answered it.
    id: EventId,
    #[command(flatten)]
    target: TargetArgs,
    /// How to show it. As json it is an object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Lists deliveries.
///
/// # Errors
/// When they cannot be read, or an entity never had one.
pub async fn list(events: Events) -> Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let until_now = events.selection.range.until.is_none();
    let times = events.selection.range.resolve(now);
    let query = events.selection.query(Target::find(events.target).await?.reader, times);
    let mut found = query.newest(events.limit).await?;
    if events.follow {
        found.deliveries.reverse();
        return tokio::select! {
            ended = follow(&query, &found, now, events.output) => ended,
            () = interrupted() => Ok(ExitCode::SUCCESS),
        };
    }
    if found.deliveries.is_empty() && !found.more {
        check_entity(&query).await?;
    }
    let mut shown = String::new();
    match events.output {
        Output::Json => {
            for delivery in &found.deliveries {
                shown += &json::delivery(delivery)?;
            }
        }
        Output::Table => {
            let mut times = format!("since {}", to_the_second(query.times.start));
            if !until_now {
                write!(times, " and before {}", to_the_second(query.times.end))?;
            }
            match (found.deliveries.len(), found.more) {
                (0, false) => writeln!(shown, "No such events {times}.")?,
                (_, false) => writeln!(shown, "{}", tables::deliveries(&found.deliveries))?,
                (number, true) => {
                    writeln!(shown, "{}", tables::deliveries(&found.deliveries))?;
                    writeln!(shown, "The last {number} {times}; --limit shows more.")?;
                }
            }
        }
    }
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows one delivery.
///
/// # Errors
/// When it is not there, or cannot be read.
pub async fn show(Show { id, target, output }: Show) -> Result<ExitCode> {
    let reader = Target::find(target).await?.reader;
    let found = reader.delivery(&id).await?;
    let delivery = found.with_context(|| format!("there is no event {id}; if it came just now, try again"))?;
    print(&match output {
        Output::Json => json::delivery(&delivery)?,
        Output::Table => in_full(&delivery),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Everything about a delivery, for people.
pub fn in_full(delivery: &StoredDelivery) -> String {
    let now = Timestamp::from(SystemTime::now());
    let mut facts = vec![
        ("id", delivery.id.to_string()),
        ("received", format!("{} ({})", delivery.received_at, ago(delivery.received_at, now))),
        ("kind", plain(&delivery.kind)),
        ("entity", plain(delivery.entity.as_str())),
    ];
    facts.extend(delivery.reference.as_deref().map(|reference| ("reference", plain(reference))));
    facts.extend(delivery.extra_info.as_ref().map(|extra_info| ("extra_info", extra_info.to_string())));
    facts.extend(delivery.duplicate_of.map(|of| ("duplicate of", of.to_string())));
    facts.extend([
        ("source ip", delivery.source_ip.clone()),
        ("request id", plain(&delivery.request_id)),
        ("fingerprint", delivery.fingerprint.clone()),
    ]);
    facts.extend(delivery.cause.as_deref().map(|cause| ("cause", plain(cause))));
    facts.extend(delivery.body_bytes.map(|bytes| ("body", format!("{bytes} bytes, in the sealed table"))));
    let body = delivery.body.as_deref().map(|body| format!("\n{}\n", shared::json::pretty(body)));
    text::facts(&facts) + &body.unwrap_or_default()
}

/// Shows what was found, and then what comes, until nobody reads it any more.
async fn follow(query: &DeliveryQuery, found: &NewestDeliveries, now: Timestamp, output: Output) -> Result<ExitCode> {
    let line = |delivery: &StoredDelivery| match output {
        Output::Json => Ok(json::delivery(delivery)?),
        Output::Table => anyhow::Ok(text::delivery_line(delivery)),
    };
    for delivery in &found.deliveries {
        if !print(&line(delivery)?)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // What is older than those that are shown was left out by the limit, but for what comes now.
    let oldest = found.deliveries.first().map_or(now, |delivery| delivery.received_at.min(now));
    let start = if found.more { oldest } else { query.times.start };
    let seen = found.deliveries.iter().map(|delivery| delivery.id).collect();
    // All that there was has just been read, however long ago the newest came.
    let read = now.minus(Follow::OVERLAP);
    let mut follow = Follow::new(start, found.newest.map_or(read, |newest| newest.max(read)), seen);
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        polls.tick().await;
        let show = |delivery| anyhow::Ok(!query.matches(&delivery) || print(&line(&delivery)?)?);
        if !follow.look(query, SystemTime::now().into(), show).await? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
