//! `hooks events` and `hooks show`: the deliveries, as they stand in the events table.

use std::{
    collections::BTreeSet,
    fmt::Write,
    ops::Range,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::{Args, builder::NonEmptyStringValueParser, error::ErrorKind};
use shared::{Entity, EventId, Timestamp};
use store::{Listing, Order, Page, Reader, StoredDelivery};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    dev::interrupted,
    human_time::{Moment, ago, moment, to_the_second},
    json, json_layout,
    output::{Output, print},
    show,
    target::{Choice, Target},
};

/// How many deliveries are read at once.
const PAGE: u16 = 200;

/// The receiver's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

/// How often `--follow` asks for what is new.
const POLL: Duration = Duration::from_secs(1);

/// How far behind the newest delivery `--follow` still looks for others: they are written in another order than they come,
/// and the index has them a little later.
const OVERLAP: Duration = Duration::from_secs(15);

/// Which deliveries, and how to show them.
#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    of: Of,
    /// From when on: a time ago, such as 90m, 36h or 7d, or a moment, such as 2026-11-22T09:30:00Z.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    since: Moment,
    /// Until when, not included; else until now.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "follow")]
    until: Option<Moment>,
    /// Only those that repeat an earlier one; else they are listed among the others.
    #[arg(long)]
    duplicates: bool,
    /// At most so many; with --follow, of those that are there.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Then show what comes, a line each, until Ctrl-C. Deliveries are in the order in which they came.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    target: Choice,
    /// How to show them. As json each is an object on a line of its own.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Whose deliveries; else all.
#[derive(Args)]
#[group(multiple = false)]
struct Of {
    /// Those of an entity, such as whatsapp#972501234567, builder#523, online#eu1#523 or quarantine#2026-11-22.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    entity: Option<String>,
    /// Those that carry a reference of yours.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reference: Option<String>,
    /// Those of a kind, such as whatsapp or quarantine. They are picked from all that came in the time, which are read for it.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    kind: Option<String>,
}

/// Which delivery, and how to show it.
#[derive(Args)]
pub struct Show {
    /// The delivery's id, as the receiver answered it.
    id: EventId,
    #[command(flatten)]
    target: Choice,
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
    let start = events.since.before(now);
    let end = events.until.map_or(now.plus(AHEAD), |until| until.before(now));
    if end <= start {
        clap::Error::raw(ErrorKind::ValueValidation, "--since is not before --until\n").exit()
    }
    let reader = Target::find(events.target).await?.reader;
    let question = Question { reader, of: events.of, duplicates: events.duplicates };
    let mut found = question.newest(start..end, events.limit).await?;
    if events.follow {
        found.deliveries.reverse();
        return tokio::select! {
            ended = follow(&question, &found, start, now, events.output) => ended,
            () = interrupted() => Ok(ExitCode::SUCCESS),
        };
    }
    if found.deliveries.is_empty() && !found.more {
        question.check_entity().await?;
    }
    let mut shown = String::new();
    match events.output {
        Output::Json => {
            for delivery in &found.deliveries {
                shown += &json::delivery(delivery)?;
            }
        }
        Output::Table => {
            let mut times = format!("since {}", to_the_second(start));
            if events.until.is_some() {
                write!(times, " and before {}", to_the_second(end))?;
            }
            match (found.deliveries.len(), found.more) {
                (0, false) => writeln!(shown, "No such events {times}.")?,
                (_, false) => writeln!(shown, "{}", show::deliveries(&found.deliveries))?,
                (number, true) => {
                    writeln!(shown, "{}", show::deliveries(&found.deliveries))?;
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
fn in_full(delivery: &StoredDelivery) -> String {
    let now = Timestamp::from(SystemTime::now());
    let mut facts = vec![
        ("id", delivery.id.to_string()),
        ("received", format!("{} ({})", delivery.received_at, ago(delivery.received_at, now))),
        ("kind", show::plain(&delivery.kind)),
        ("entity", show::plain(delivery.entity.as_str())),
    ];
    facts.extend(delivery.reference.as_deref().map(|reference| ("reference", show::plain(reference))));
    facts.extend(delivery.extra_info.as_ref().map(|extra_info| ("extra_info", extra_info.to_string())));
    facts.extend(delivery.duplicate_of.map(|of| ("duplicate of", of.to_string())));
    facts.extend([
        ("source ip", delivery.source_ip.clone()),
        ("request id", show::plain(&delivery.request_id)),
        ("fingerprint", delivery.fingerprint.clone()),
    ]);
    facts.extend(delivery.cause.as_deref().map(|cause| ("cause", show::plain(cause))));
    facts.extend(delivery.body_bytes.map(|bytes| ("body", format!("{bytes} bytes, in the sealed table"))));
    let body = delivery.body.as_deref().map(|body| format!("\n{}\n", json_layout::pretty(body)));
    show::facts(&facts) + &body.unwrap_or_default()
}

/// Which deliveries are asked for, and where.
struct Question {
    reader: Reader,
    of: Of,
    duplicates: bool,
}

/// What was found of it.
struct Found {
    /// At most as many as were asked for.
    deliveries: Vec<StoredDelivery>,
    /// Whether there are more.
    more: bool,
    /// When the newest of those came that were read, asked for or not.
    newest: Option<Timestamp>,
}

impl Question {
    /// A page of the deliveries among which those are that are asked for.
    async fn page(&self, listing: &Listing) -> Result<Page<StoredDelivery>> {
        Ok(match (&self.of.entity, &self.of.reference) {
            (Some(entity), _) => self.reader.history(&Entity::named(entity), listing).await?,
            (None, Some(reference)) => self.reader.by_reference(reference, listing).await?,
            (None, None) => self.reader.by_time(listing).await?,
        })
    }

    fn is_about(&self, delivery: &StoredDelivery) -> bool {
        self.of.kind.as_ref().is_none_or(|kind| *kind == delivery.kind)
            && (!self.duplicates || delivery.duplicate_of.is_some())
    }

    /// The last deliveries within a time, the last one first.
    async fn newest(&self, times: Range<Timestamp>, limit: usize) -> Result<Found> {
        let picked = self.of.kind.is_some() || self.duplicates;
        // One more, to know whether there are more.
        let page = if picked { PAGE } else { u16::try_from(limit.saturating_add(1)).unwrap_or(PAGE).min(PAGE) };
        let mut listing = Listing { times, order: Order::NewestFirst, after: None, limit: page };
        let mut found = Found { deliveries: Vec::new(), more: false, newest: None };
        loop {
            let page = self.page(&listing).await?;
            found.newest = found.newest.or(page.items.first().map(|delivery| delivery.received_at));
            found.deliveries.extend(page.items.into_iter().filter(|delivery| self.is_about(delivery)));
            found.more = found.deliveries.len() > limit;
            listing.after = page.next;
            if found.more || listing.after.is_none() {
                found.deliveries.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// An entity that is not there is rather a wrong name than one without events.
    async fn check_entity(&self) -> Result<()> {
        let Some(entity) = &self.of.entity else { return Ok(()) };
        // What could not be decoded has no state.
        if !entity.starts_with("quarantine#") && self.reader.state(&Entity::named(entity)).await?.is_none() {
            bail!("there is no entity {}: no event has named it", show::plain(entity));
        }
        Ok(())
    }
}

/// Shows what was found, and then what comes, until nobody reads it any more.
async fn follow(
    question: &Question,
    found: &Found,
    since: Timestamp,
    now: Timestamp,
    output: Output,
) -> Result<ExitCode> {
    let line = |delivery: &StoredDelivery| match output {
        Output::Json => Ok(json::delivery(delivery)?),
        Output::Table => anyhow::Ok(show::delivery_line(delivery)),
    };
    for delivery in &found.deliveries {
        if !print(&line(delivery)?)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // What is older than those that are shown was left out by the limit.
    let oldest = found.deliveries.first().map_or(now, |delivery| delivery.received_at);
    let start = if found.more { oldest } else { since };
    let mut newest = found.newest.unwrap_or(start).max(start);
    let mut seen: BTreeSet<EventId> = found.deliveries.iter().map(|delivery| delivery.id).collect();
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        polls.tick().await;
        let from = newest.minus(OVERLAP).max(start);
        let end = Timestamp::from(SystemTime::now()).plus(AHEAD);
        let mut listing = Listing { times: from..end, order: Order::OldestFirst, after: None, limit: PAGE };
        loop {
            let page = question.page(&listing).await?;
            for delivery in &page.items {
                newest = newest.max(delivery.received_at);
                let is_new = seen.insert(delivery.id);
                if is_new && question.is_about(delivery) && !print(&line(delivery)?)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        seen.retain(|id| id.received_at() >= from);
    }
}
