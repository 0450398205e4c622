//! `hooks replay`: sends recorded events to a consumer again.

mod checkpoint;
mod consumer;
mod destination;

use std::{
    env, io,
    ops::Range,
    pin::{Pin, pin},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{ArgGroup, Args};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;
use serde_json::json;
use shared::{
    EventId, Timestamp,
    text::{quoted, short},
};
use store::{DeliveryQuery, Reader, StoreError, StoredDelivery};
use tokio::time::{MissedTickBehavior, interval};

use self::{
    checkpoint::{Checkpoint, CheckpointFile, Counts},
    consumer::{Consumer, StoredEvent},
    destination::Destination,
};
use crate::{
    doctor,
    interrupt::interrupted,
    output::{Output, print, progress::Progress, text},
    query::{FilterArgs, TimeRange, check_entity},
    target::{Target, TargetArgs},
};

/// Sends recorded events to an HTTP endpoint of yours again, one after the other, in the order received.
#[derive(Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["ids", "since"])),
    // It has to be given.
    mut_arg("since", |since| since.hide_default_value(true)),
    after_help = "\
Each event is a POST with the body as it is recorded, in which each secret is replaced by [sealed], and with the headers webhook-id and \
webhook-received-at. The next event follows when the endpoint has answered 2xx. Any other answer, or none within 10 s, ends the \
replay. A quarantined delivery has no body, and is skipped.

A checkpoint is kept in $XDG_STATE_HOME/hooks, or ~/.local/state/hooks, until the replay is complete: --resume continues from there, \
with the time range of the first run.

An event that waited in the fallback queue is recorded under the time at which it was received. A replay that is past that time, also \
with --resume, does not go back for it. `hooks doctor` shows whether the queue is empty.
Exit code: 0 when the endpoint took every event, else 1.

Examples:
  cargo hooks replay --since 2h --to https://example.com/events
  cargo hooks replay --since 2h --to https://example.com/events --resume
  cargo hooks replay --since 2h --to - < file-with-the-url
  cargo hooks replay --stack partner-webhook --since 7d --entity whatsapp#972501234567 --rate 100 --to https://example.com/events
  cargo hooks replay 019aaaaa-0000-7000-8000-000000000000 --to http://127.0.0.1:8080/events"
)]
pub struct Replay {
    /// Ids of the events. They are sent in the order received, however they are listed.
    #[arg(value_name = "ID", conflicts_with_all = ["until", "FilterArgs"])]
    ids: Vec<EventId>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    range: TimeRange,
    /// Send duplicates too.
    #[arg(long)]
    with_duplicates: bool,
    /// URL of your endpoint: https, or http to a loopback address. Neither the provider nor this webhook. With - it is one line of
    /// standard input, as other users of this machine can read a command line.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Maximum number of events a second.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    #[command(flatten)]
    start: Start,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format of the summary. json is one object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The choice between continuing and starting over after an unfinished replay.
#[derive(Args, Clone, Copy)]
#[group(multiple = false)]
struct Start {
    /// Continue an unfinished replay after the last event that was acknowledged.
    #[arg(long)]
    resume: bool,
    /// Forget an unfinished replay, and begin again.
    #[arg(long)]
    restart: bool,
}

/// The facts that tell a replay from others. Only a hash of them is written.
#[derive(Serialize)]
struct Identity<'a> {
    webhook: &'a str,
    events_table: &'a str,
    ids: Vec<String>,
    filter: &'a FilterArgs,
    range: &'a TimeRange,
    with_duplicates: bool,
    to: &'a str,
}

/// Sends the events, one after the other.
///
/// # Errors
/// Fails when the events cannot be read, the URL is not allowed, the same replay is unfinished, or the consumer does not take an event. The
/// message says how to continue.
pub async fn run(mut replay: Replay) -> Result<ExitCode> {
    replay.ids.sort();
    replay.ids.dedup();
    let target = Target::find(replay.target).await?;
    let to = Destination::parse(&url(replay.to)?, &target.partner_api, &target.address)?;
    let times = match &replay.ids[..] {
        [] => replay.range.resolve(Timestamp::from(SystemTime::now())),
        [first, .., last] => first.received_at()..last.received_at(),
        [only] => only.received_at()..only.received_at(),
    };
    let identity = Identity {
        webhook: &target.address,
        events_table: &target.settings.events_table,
        ids: replay.ids.iter().map(EventId::to_string).collect(),
        filter: &replay.filter,
        range: &replay.range,
        with_duplicates: replay.with_duplicates,
        to: to.expose(),
    };
    let folder = checkpoint::folder(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))?;
    let file = CheckpointFile::lock(&folder, &identity)?;
    let checkpoint = replay.start.from(file.read()?, times, &to)?;
    let with_doctors = !replay.ids.is_empty() || replay.filter.kind.as_deref() == Some(doctor::KIND);
    let query = DeliveryQuery::new(target.reader.clone(), replay.filter.filter(), checkpoint.times.clone());
    check_entity(&query).await?;
    let deliveries = match &replay.ids[..] {
        [] => query.walk(checkpoint.last).boxed(),
        ids => stream::iter(read(&target.reader, ids, checkpoint.last).await?).map(Ok).boxed(),
    };
    file.write(&checkpoint)?;
    let mut run = ReplayRun {
        consumer: Consumer::to(&to),
        rate: replay.rate,
        with_duplicates: replay.with_duplicates,
        with_doctors,
        file,
        checkpoint,
    };
    let done = run.take(deliveries).await;
    if done.is_ok() {
        run.file.clear()?;
    }
    print(&run.told(done.is_ok(), replay.output))?;
    let before = text::events(run.checkpoint.counts.handed_over);
    done.map(|()| ExitCode::SUCCESS).map_err(|stop| {
        anyhow!("{stop:#}. {before} handed over to {to} before; go on with: {}", go_on(env::args_os().skip(1)))
    })
}

/// Returns the URL of the consumer; for `-` one line of standard input.
fn url(to: String) -> Result<String> {
    if to != "-" {
        return Ok(to);
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("standard input")?;
    Ok(line.trim().to_owned())
}

impl Start {
    /// Returns the checkpoint to start from, given that of an unfinished run.
    fn from(self, left: Option<Checkpoint>, times: Range<Timestamp>, to: &Destination) -> Result<Checkpoint> {
        match left {
            Some(left) if self.resume => Ok(left),
            Some(left) if !self.restart => {
                let last = left.last.map(|id| format!(", the last one {id}")).unwrap_or_default();
                let handed_over = text::events(left.counts.handed_over);
                bail!(
                    "this replay was started before and has not come to its end: {handed_over} handed over to {to}{last}; \
                     --resume goes on after that, --restart begins anew"
                )
            }
            None if self.resume => {
                bail!(
                    "there is nothing to resume: no replay of these events to {to} is unfinished; leave out --resume to start it"
                )
            }
            _ => Ok(Checkpoint::start(times)),
        }
    }
}

/// Reads the named events that are not done yet. All of them are read before one is sent.
async fn read(reader: &Reader, ids: &[EventId], done: Option<EventId>) -> Result<Vec<StoredDelivery>> {
    let mut deliveries = Vec::new();
    for id in ids.iter().filter(|id| done.is_none_or(|done| **id > done)) {
        let found = reader.delivery(id).await?;
        deliveries.push(found.with_context(|| format!("there is no event {id}; if it came just now, try again"))?);
    }
    Ok(deliveries)
}

/// A running replay.
struct ReplayRun {
    consumer: Consumer,
    /// Events a second.
    rate: u32,
    with_duplicates: bool,
    /// True when events of `hooks doctor` are asked for, and sent.
    with_doctors: bool,
    file: CheckpointFile,
    checkpoint: Checkpoint,
}

impl ReplayRun {
    /// Sends the events, up to the first that is not taken.
    async fn take(&mut self, mut deliveries: BoxStream<'_, Result<StoredDelivery, StoreError>>) -> Result<()> {
        let start = self.checkpoint.times.start;
        let micros = |at: Timestamp| u64::try_from(at.since(start).as_micros()).unwrap_or(u64::MAX);
        let progress = Progress::to(micros(self.checkpoint.times.end));
        let began = std::time::Instant::now();
        let mut ticks = interval(Duration::from_secs(1) / self.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interrupted = pin!(interrupted());
        let mut number = 0_u32;
        while let Some(delivery) = unless(interrupted.as_mut(), deliveries.next()).await? {
            let delivery = delivery?;
            let received_at = delivery.received_at;
            let Some(event) = self.pack(delivery) else { continue };
            let id = event.id;
            unless(interrupted.as_mut(), ticks.tick()).await?;
            self.consumer.send(event).await.with_context(|| format!("event {id} was not taken"))?;
            self.checkpoint.last = Some(id);
            self.checkpoint.counts.handed_over += 1;
            self.file.write(&self.checkpoint)?;
            number += 1;
            let rate = f64::from(number) / began.elapsed().as_secs_f64();
            let message =
                format!("{}, {rate:.1}/s, last {}", text::events(self.checkpoint.counts.handed_over), short(&id));
            progress.reached(micros(received_at), message);
        }
        Ok(())
    }

    /// Returns the summary. For people it is empty when the replay is incomplete, as the error has it then.
    fn told(&self, complete: bool, output: Output) -> String {
        let Checkpoint { last, counts, .. } = &self.checkpoint;
        match output {
            Output::Json => json(counts, *last, complete),
            Output::Table if complete => sentence(counts),
            Output::Table => String::new(),
        }
    }

    /// Returns the event of a delivery; `None` when it is skipped, which is counted.
    fn pack(&mut self, delivery: StoredDelivery) -> Option<StoredEvent> {
        if delivery.duplicate_of.is_some() && !self.with_duplicates {
            self.checkpoint.counts.duplicates += 1;
            return None;
        }
        if delivery.kind == doctor::KIND && !self.with_doctors {
            self.checkpoint.counts.doctor += 1;
            return None;
        }
        let StoredDelivery { id, received_at, body, .. } = delivery;
        if body.is_none() {
            self.checkpoint.counts.undecodable += 1;
        }
        body.map(|body| StoredEvent { id, received_at, body })
    }
}

/// Waits for a future, unless Ctrl-C comes first.
async fn unless<T>(interrupted: Pin<&mut impl Future<Output = ()>>, something: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted => bail!("interrupted"),
        done = something => Ok(done),
    }
}

/// Returns the summary for people.
fn sentence(counts: &Counts) -> String {
    let duplicates = match counts.duplicates {
        1 => "1 duplicate".to_owned(),
        number => format!("{number} duplicates"),
    };
    let reasons = [
        (counts.duplicates, duplicates),
        (counts.undecodable, format!("{} undecodable", counts.undecodable)),
        (counts.doctor, format!("{} of hooks doctor", counts.doctor)),
    ];
    let reasons: Vec<String> =
        reasons.into_iter().filter(|(number, _)| *number > 0).map(|(_, reason)| reason).collect();
    let handed_over = text::events(counts.handed_over);
    match counts.duplicates + counts.undecodable + counts.doctor {
        0 => format!("{handed_over} handed over\n"),
        skipped => format!("{handed_over} handed over, {skipped} skipped ({})\n", reasons.join(", ")),
    }
}

/// Returns the summary as JSON. Its members keep their names from version to version.
fn json(counts: &Counts, last: Option<EventId>, complete: bool) -> String {
    let summary = json!({
        "handed_over": counts.handed_over,
        "skipped": { "duplicates": counts.duplicates, "undecodable": counts.undecodable, "doctor": counts.doctor },
        "last": last.map(|id| id.to_string()),
        "complete": complete,
    });
    format!("{summary}\n")
}

/// Returns the command line that continues a replay, from the arguments of this one. The URL is left out: it may have a token.
fn go_on(arguments: impl Iterator<Item = std::ffi::OsString>) -> String {
    let mut command = "cargo hooks".to_owned();
    let mut is_url = false;
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let shown = match &*argument {
            "--resume" | "--restart" => continue,
            url if is_url && url != "-" => "URL".to_owned(),
            to if to.starts_with("--to=") && to != "--to=-" => "--to URL".to_owned(),
            other => quoted(other),
        };
        is_url = argument == "--to";
        command += " ";
        command += &shown;
    }
    command + " --resume"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_has_no_url() {
        let go_on = |arguments: &str| go_on(arguments.split('|').map(Into::into));
        for (arguments, command) in [
            ("replay|--since|2h|--to|https://a.example/s3cret", "replay --since 2h --to URL --resume"),
            ("replay|--to=https://a.example/s3cret|--since=2h|--restart", "replay --to URL --since=2h --resume"),
            (
                "replay|--since|1d|--entity|whatsapp#1|--to|x|--resume",
                "replay --since 1d --entity whatsapp#1 --to URL --resume",
            ),
            ("replay|--since|1d|--to|-", "replay --since 1d --to - --resume"),
            ("replay|--since|1d|--to=-", "replay --since 1d --to=- --resume"),
            (
                "replay|--since|1d|--reference|it's; me|--to|x",
                r"replay --since 1d --reference 'it'\''s; me' --to URL --resume",
            ),
        ] {
            assert_eq!(go_on(arguments), format!("cargo hooks {command}"));
        }
    }

    #[test]
    fn the_outcome_is_a_sentence() {
        let counts = |handed_over, duplicates, undecodable| Counts { handed_over, duplicates, undecodable, doctor: 0 };
        for (counts, expected) in [
            (counts(0, 0, 0), "0 events handed over\n"),
            (counts(1, 1, 0), "1 event handed over, 1 skipped (1 duplicate)\n"),
            (counts(2, 0, 3), "2 events handed over, 3 skipped (3 undecodable)\n"),
            (counts(2, 2, 3), "2 events handed over, 5 skipped (2 duplicates, 3 undecodable)\n"),
        ] {
            assert_eq!(sentence(&counts), expected);
        }
    }
}
