//! `hooks replay`: sends recorded events to an endpoint, the event bus or the forward queue again.

mod checkpoint;
mod destination;

use std::{
    collections::BTreeSet,
    env, io,
    ops::Range,
    pin::pin,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{ArgGroup, Args, error::ErrorKind};
use futures_util::{
    StreamExt,
    future::try_join_all,
    stream::{self, BoxStream},
};
use serde::Serialize;
use serde_json::json;
use shared::{
    DOCTOR, EventId, Timestamp,
    text::{plain, quoted, short},
};
use store::{DeliveryQuery, StoreError, StoredDelivery, TypedId};
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::{
    checkpoint::{Checkpoint, CheckpointFile, Refused},
    destination::{Destination, Offered, endpoint_url},
};
use crate::{
    interrupt::{interrupted, unless},
    named,
    output::{Output, note, print, progress::Progress, text},
    query::{FilterArgs, TimeRange},
    target::{Target, TargetArgs},
};

/// Maximum number of refused events with `--keep-going`: then the fault is not in the events.
const MOST_REFUSED: usize = 1_000;

/// Sends recorded events again, one after another, in the order received: to your HTTP endpoint, to the event bus, or to the forwarder.
#[derive(Args)]
#[command(
    group(ArgGroup::new("which").required(true).args(["ids", "since"])),
    // It has to be given.
    mut_arg("since", |since| since.hide_default_value(true)),
    after_help = "\
To a URL, each event is posted as the forwarder posts it: without members that have credentials, and signed if this command can read the \
signing secret. The next event is sent after a 2xx answer. After a 429 or 5xx the event is sent once more, after a second or the time in \
Retry-After (maximum: one minute). Any other answer, or none within 10 s, ends the replay, unless you give --keep-going. Quarantined \
deliveries have no body: they are skipped, and naming one by its id is an error.

With `--to bus`, each event is put on the event bus, marked as replayed. With `--to forward`, each event is put into the forward queue, \
and the forwarder posts it with retries. Events that the endpoint has accepted are skipped, unless you give --again. An event waits behind \
earlier ones of its line, bot or inbox that the endpoint has refused; to send it now, replay it to the endpoint's URL.

A checkpoint is kept in $XDG_STATE_HOME/hooks, or ~/.local/state/hooks, until the replay is complete. --resume continues from it, with \
the time range of the first run.

An event that waited in the fallback queue is stored under its time of receipt. A replay that is already past that time does not send \
it, even with --resume. `cargo hooks doctor` shows whether the queue is empty.
Exit code: 0 when every event was accepted, 1 otherwise.

Examples:
  cargo hooks replay --since 2h --to https://example.com/events
  cargo hooks replay --since 2h --to https://example.com/events --resume
  cargo hooks replay --since 2h --to https://example.com/events --resume --skip 019aaaaa-0000-7000-8000-000000000000
  cargo hooks replay --since 2h --to - < file-with-the-url
  cargo hooks replay --stack partner-webhook --since 3d --to bus
  cargo hooks replay --stack partner-webhook --since 3d --to forward
  cargo hooks replay --stack partner-webhook --since 7d --entity whatsapp#972501234567 --rate 100 --to https://example.com/events
  cargo hooks replay 019aaaaa-0000-7000-8000-000000000000 --to http://127.0.0.1:8080/events"
)]
pub struct Replay {
    /// Ids of the events, or their last digits. They are sent in the order received, not in the order given.
    #[arg(value_name = "ID", conflicts_with_all = ["until", "FilterArgs"])]
    ids: Vec<TypedId>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    range: TimeRange,
    /// Send duplicates too.
    #[arg(long)]
    with_duplicates: bool,
    /// Leave out the event with this id, or these last digits of an id. Can be given more than once.
    #[arg(long, value_name = "ID")]
    skip: Vec<TypedId>,
    /// URL of your endpoint: https, or http on a loopback address, but neither the provider nor this webhook. With - the URL is read as
    /// one line from standard input, because other users of this machine can read a command line. Or `bus` for the event bus, or
    /// `forward` for the forward queue.
    #[arg(long, value_name = "URL")]
    to: String,
    /// With `--to forward`: also send the events that the endpoint has already accepted.
    #[arg(long)]
    again: bool,
    /// Continue after a refused event, and list the refused events at the end. Ends after 1,000 of them.
    #[arg(long)]
    keep_going: bool,
    /// Maximum number of events per second.
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
    /// Continue an unfinished replay after the last event that was accepted.
    #[arg(long)]
    resume: bool,
    /// Discard an unfinished replay, and start over.
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
    again: bool,
    to: &'a str,
}

/// Sends the events, one after the other.
///
/// # Errors
/// Fails when the events cannot be read, the URL is not allowed, the same replay is unfinished, or the destination does not accept an event.
/// The message says how to continue.
pub async fn run(replay: Replay) -> Result<ExitCode> {
    if replay.again && replay.to != "forward" {
        clap::Error::raw(ErrorKind::ArgumentConflict, "--again needs --to forward\n").exit()
    }
    let target = Target::find(replay.target).await?;
    let now = Timestamp::from(SystemTime::now());
    let whole = |ids: Vec<TypedId>| {
        let reader = &target.reader;
        async move { try_join_all(ids.iter().map(|id| id.find(reader, now))).await }
    };
    let ids = Vec::from_iter(BTreeSet::from_iter(whole(replay.ids).await?));
    let skip = whole(replay.skip).await?;
    let to = destination(&target, replay.to, replay.again).await?;
    let times = match &ids[..] {
        [] => replay.range.resolve(now),
        [first, .., last] => first.received_at()..last.received_at(),
        [only] => only.received_at()..only.received_at(),
    };
    let identity = Identity {
        webhook: &target.address,
        events_table: &target.settings.events_table,
        ids: ids.iter().map(EventId::to_string).collect(),
        filter: &replay.filter,
        range: &replay.range,
        with_duplicates: replay.with_duplicates,
        again: replay.again,
        to: to.identity(),
    };
    let folder = checkpoint::folder(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))?;
    let file = CheckpointFile::lock(&folder, &identity)?;
    let checkpoint = replay.start.from(file.read()?, times, &to)?;
    let with_doctors = !ids.is_empty() || replay.filter.kind.as_deref() == Some(DOCTOR);
    named::check_reference(&target.reader, replay.filter.reference.as_deref()).await?;
    let filter = replay.filter.filter(&target.reader).await?;
    let query = DeliveryQuery::new(target.reader.clone(), filter, checkpoint.times());
    let deliveries = match &ids[..] {
        [] => query.walk(checkpoint.last).boxed(),
        ids => {
            let ids = ids.iter().filter(|id| checkpoint.last.is_none_or(|done| **id > done));
            stream::iter(read(&target, ids, &skip, replay.with_duplicates).await?).map(Ok).boxed()
        }
    };
    file.write(&checkpoint)?;
    let mut run = ReplayRun {
        to,
        rate: replay.rate,
        with_duplicates: replay.with_duplicates,
        skip,
        keep_going: replay.keep_going,
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
    done.map_err(|stop| {
        let go_on = go_on(env::args_os().skip(1));
        anyhow!("{stop:#}. {before} handed over to {} before; continue with: {go_on}", run.to)
    })?;
    Ok(if run.checkpoint.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the destination that the argument names; for `-` it is one line of standard input.
async fn destination(target: &Target, to: String, again: bool) -> Result<Destination<'_>> {
    let url = match to.as_str() {
        "bus" => return Ok(Destination::Bus(target.event_bus()?)),
        "forward" => {
            let nonce = format!("replay-{:016x}", getrandom::u64().context("no random number")?);
            return Ok(Destination::Forward { forwarding: target.forwarding()?, again, nonce });
        }
        "-" => {
            let mut line = String::new();
            io::stdin().read_line(&mut line).context("standard input")?;
            line.trim().to_owned()
        }
        _ => to,
    };
    let url = endpoint_url(&url, &target.partner_api, &target.address)?;
    let signer = async { anyhow::Ok(target.forwarding()?.secret.signer(SystemTime::now().into()).await?) }.await;
    if let Err(fault) = &signer {
        note(&format!("The events are not signed: {fault:#}"));
    }
    Destination::endpoint(url, signer.ok())
}

impl Start {
    /// Returns the checkpoint to start from, given that of an unfinished run.
    fn from(self, left: Option<Checkpoint>, times: Range<Timestamp>, to: &Destination<'_>) -> Result<Checkpoint> {
        match left {
            Some(left) if self.resume => Ok(left),
            Some(left) if !self.restart => {
                let last = left.last.map(|id| format!(", the last one {id}")).unwrap_or_default();
                let handed_over = text::events(left.counts.handed_over);
                bail!(
                    "this replay was started before and has not come to its end: {handed_over} handed over to {to}{last}; \
                     --resume continues after that, --restart starts from the beginning"
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

/// Reads named events before one of them is sent.
///
/// # Errors
/// Fails when one of them cannot be sent, unless it is skipped.
async fn read(
    target: &Target,
    ids: impl Iterator<Item = &EventId>,
    skip: &[EventId],
    with_duplicates: bool,
) -> Result<Vec<StoredDelivery>> {
    let mut deliveries = Vec::new();
    for id in ids {
        let found = target.reader.delivery(id).await?;
        let found = found.with_context(|| format!("there is no event {id}; if it came just now, try again"))?;
        let is_sent = !skip.contains(id);
        if found.body.is_none() && is_sent {
            let on = target.choice.arguments();
            bail!(
                "{id} is in quarantine, and has no body to send; `cargo hooks quarantine retry {id}{on}` tries to record it"
            )
        }
        if let Some(of) = found.duplicate_of.filter(|_| !with_duplicates && is_sent) {
            bail!("{id} is a duplicate of {of}; --with-duplicates sends it too")
        }
        deliveries.push(found);
    }
    Ok(deliveries)
}

/// A running replay.
struct ReplayRun<'a> {
    to: Destination<'a>,
    /// Events a second.
    rate: u32,
    with_duplicates: bool,
    /// Events to leave out.
    skip: Vec<EventId>,
    /// True to continue after a refused event.
    keep_going: bool,
    /// True when events of `hooks doctor` are asked for, and sent.
    with_doctors: bool,
    file: CheckpointFile,
    checkpoint: Checkpoint,
}

impl ReplayRun<'_> {
    /// Sends the events, up to the first that is refused unless it keeps going.
    async fn take(&mut self, mut deliveries: BoxStream<'_, Result<StoredDelivery, StoreError>>) -> Result<()> {
        // Nobody knows how many events there are, and they need not be spread evenly over the time range.
        let progress = Progress::of("reading");
        let began = std::time::Instant::now();
        let mut ticks = interval(Duration::from_secs(1) / self.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interrupted = pin!(interrupted());
        let (mut number, mut refused) = (0_u32, 0);
        while let Some(delivery) = unless(interrupted.as_mut(), deliveries.next()).await? {
            let event = delivery?;
            if !self.selects(&event) {
                continue;
            }
            let id = event.id;
            unless(interrupted.as_mut(), ticks.tick()).await?;
            let mut offered = self.to.offer(&event, SystemTime::now().into()).await?;
            if let Offered::Refused { retry_after: Some(wait), .. } = offered {
                unless(interrupted.as_mut(), sleep(wait)).await?;
                offered = self.to.offer(&event, SystemTime::now().into()).await?;
            }
            match offered {
                Offered::Taken => self.checkpoint.counts.handed_over += 1,
                Offered::TakenBefore => self.checkpoint.counts.taken_before += 1,
                Offered::Refused { cause, is_for_content: true, .. } if !self.keep_going => {
                    bail!("event {id} was not accepted: {cause}. Leave it out with --skip {id}")
                }
                Offered::Refused { cause, .. } if !self.keep_going => {
                    bail!("event {id} was not accepted: {cause}. Check {} first", self.to)
                }
                Offered::Refused { cause, .. } => {
                    refused += 1;
                    self.checkpoint.refused.push(Refused { id, answer: cause });
                }
            }
            self.checkpoint.last = Some(id);
            self.file.write(&self.checkpoint)?;
            if refused == MOST_REFUSED {
                bail!(
                    "{MOST_REFUSED} events were refused, the last one, {id}, with: {}. --resume does not send them again, --restart does",
                    self.last_answer()
                );
            }
            number += 1;
            let rate = f64::from(number) / began.elapsed().as_secs_f64();
            let message =
                format!("{}, {rate:.1}/s, last {}", text::events(self.checkpoint.counts.handed_over), short(&id));
            progress.reached(number.into(), message);
        }
        Ok(())
    }

    /// Returns the summary. For people it is empty when the replay is incomplete and nothing was refused, because the error contains it.
    fn told(&self, complete: bool, output: Output) -> String {
        match output {
            Output::Json => json(&self.checkpoint, complete),
            Output::Table if complete || !self.checkpoint.refused.is_empty() => sentence(&self.checkpoint),
            Output::Table => String::new(),
        }
    }

    fn last_answer(&self) -> &str {
        self.checkpoint.refused.last().map_or("", |refused| refused.answer.as_str())
    }

    /// Returns whether an event is sent, and counts it when it is not.
    fn selects(&mut self, event: &StoredDelivery) -> bool {
        let counts = &mut self.checkpoint.counts;
        let skipped = if self.skip.contains(&event.id) {
            &mut counts.named
        } else if event.duplicate_of.is_some() && !self.with_duplicates {
            &mut counts.duplicates
        } else if event.kind == DOCTOR && !self.with_doctors {
            &mut counts.doctor
        } else if event.body.is_none() {
            &mut counts.undecodable
        } else {
            return true;
        };
        *skipped += 1;
        false
    }
}

/// Returns the summary for people, with the refused events.
fn sentence(Checkpoint { counts, refused, .. }: &Checkpoint) -> String {
    let duplicates = match counts.duplicates {
        1 => "1 duplicate".to_owned(),
        number => format!("{number} duplicates"),
    };
    let reasons = [
        (counts.duplicates, duplicates),
        (counts.undecodable, format!("{} undecodable", counts.undecodable)),
        (counts.doctor, format!("{} of kind doctor", counts.doctor)),
        (counts.named, format!("{} named by --skip", counts.named)),
        (counts.taken_before, format!("{} accepted before", counts.taken_before)),
    ];
    let skipped: u64 = reasons.iter().map(|(number, _)| number).sum();
    let reasons: Vec<String> =
        reasons.into_iter().filter(|(number, _)| *number > 0).map(|(_, reason)| reason).collect();
    let mut sentence = format!("{} handed over", text::events(counts.handed_over));
    if skipped > 0 {
        sentence += &format!(", {skipped} skipped ({})", reasons.join(", "));
    }
    if !refused.is_empty() {
        sentence += &format!(", {} refused:", refused.len());
    }
    let refused = refused.iter().map(|refused| format!("  {}  {}\n", refused.id, plain(&refused.answer)));
    sentence + "\n" + &refused.collect::<String>()
}

/// Returns the summary as JSON. Its members keep their names from version to version.
fn json(Checkpoint { counts, last, refused, .. }: &Checkpoint, complete: bool) -> String {
    let summary = json!({
        "handed_over": counts.handed_over,
        "skipped": {
            "duplicates": counts.duplicates, "undecodable": counts.undecodable, "doctor": counts.doctor,
            "named": counts.named, "taken_before": counts.taken_before,
        },
        "refused": refused,
        "last": last,
        "complete": complete,
    });
    format!("{summary}\n")
}

/// The values of `--to` that are no URL.
const NAMES: [&str; 3] = ["-", "bus", "forward"];

/// Returns the command line that continues a replay, from the arguments of this one. The URL is left out: it may have a token.
fn go_on(arguments: impl Iterator<Item = std::ffi::OsString>) -> String {
    let mut command = "cargo hooks".to_owned();
    let mut is_url = false;
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let shown = match &*argument {
            "--resume" | "--restart" => continue,
            url if is_url && !NAMES.contains(&url) => "URL".to_owned(),
            to if to.strip_prefix("--to=").is_some_and(|url| !NAMES.contains(&url)) => "--to URL".to_owned(),
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
    use super::{checkpoint::Counts, *};

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
            ("replay|--since|1d|--to|bus", "replay --since 1d --to bus --resume"),
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
        let at = Timestamp::from_micros(1_795_339_800_000_000);
        let counts =
            |handed_over, duplicates, undecodable| Counts { handed_over, duplicates, undecodable, ..Counts::default() };
        let checkpoint = |counts| Checkpoint { counts, ..Checkpoint::start(at..at) };
        for (counts, expected) in [
            (counts(0, 0, 0), "0 events handed over\n"),
            (counts(1, 1, 0), "1 event handed over, 1 skipped (1 duplicate)\n"),
            (counts(2, 0, 3), "2 events handed over, 3 skipped (3 undecodable)\n"),
            (counts(2, 2, 3), "2 events handed over, 5 skipped (2 duplicates, 3 undecodable)\n"),
            (
                Counts { named: 1, taken_before: 7, ..counts(2, 0, 0) },
                "2 events handed over, 8 skipped (1 named by --skip, 7 accepted before)\n",
            ),
        ] {
            assert_eq!(sentence(&checkpoint(counts)), expected);
        }
        let refused = Refused { id: EventId::new(at, [7; 8]), answer: "400: no\n".to_owned() };
        let expected = format!("2 events handed over, 1 refused:\n  {}  400: no\\n\n", refused.id);
        assert_eq!(sentence(&Checkpoint { refused: vec![refused], ..checkpoint(counts(2, 0, 0)) }), expected);
    }
}
