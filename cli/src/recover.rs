//! `hooks recover`: records lost events from the receiver's log.

mod lost;

use std::{fs, io, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use shared::{Entity, Event, EventId, Integer, SourceIps, Timestamp, TokenHash, text::plain};
use store::{AcceptedToken, AcceptedTokens, Content, Delivery, Origin, Reader, Recorded, Recorder};

use self::lost::{LostEvent, Token};
use crate::{
    consent::Consent,
    output::{
        List, Output, json, note, print,
        tables::{self, Column},
        text, times,
    },
    target::{Queues, Target, TargetArgs},
};

/// Records events that were lost, from the receiver's log.
///
/// An event is lost when neither DynamoDB nor SQS answers: the receiver answers 503, and logs the event without its secrets. This command
/// lists the lost events of a log and, after you confirm, records each under its original id and time, with the body as logged. An event
/// that is already recorded is left unchanged, so it is safe to run this again. If the receiver could not check an event's token, this
/// command does.
#[derive(Args)]
#[command(after_help = "\
The secrets of an event are not in the log. Take a line's API key from the provider's list getWhatsApp. A body that was not JSON is not \
in the log either.
Exit code: 0 when every event is recorded (with --dry-run: can be recorded), 1 otherwise.

Examples:
  aws logs filter-log-events --log-group-name /aws/lambda/partner-webhook-receiver --start-time 1795340000000 \\
    --filter-pattern '{ $.message = \"delivery not recorded\" }' --output json > lost.json
  cargo hooks recover lost.json --stack partner-webhook --dry-run
  cargo hooks recover lost.json --stack partner-webhook
  cargo hooks recover < log-lines.txt --yes                the local run")]
pub struct Recover {
    /// File with the log: plain lines, or the JSON of `aws logs filter-log-events` or `get-query-results`. Default: standard input.
    file: Option<PathBuf>,
    /// Only list the events.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Lists the lost events of a log, and records them if the person agrees.
///
/// # Errors
/// Fails when the log cannot be read or has no lost events, the person does not agree, or a read or write fails.
pub async fn run(Recover { file, dry_run, consent, target, output }: Recover) -> Result<ExitCode> {
    let log = match &file {
        Some(file) => fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
        None => io::read_to_string(io::stdin()).context("standard input cannot be read")?,
    };
    let lost = lost::read(&log);
    ensure!(
        !lost.is_empty(),
        "this log has no lost event: no line has the message \"delivery not recorded\"; \
         `cargo hooks recover --help` shows how to export them"
    );
    let target = Target::find(target).await?;
    let tokens = AcceptedTokens::new(target.dynamodb.clone(), &target.settings.events_table).read().await?;
    let source_ips = target.source_ips()?;
    let mut recovery = Recovery { events: Vec::new(), output };
    for event in lost {
        recovery.events.push(LostDelivery::of(event, &tokens, source_ips.as_ref(), &target.reader).await?);
    }
    if dry_run || output == Output::Table {
        recovery.print_all()?;
    }
    if !dry_run {
        let planned = recovery.events.iter().filter(|event| matches!(event.outcome, Outcome::Planned(_))).count();
        if planned > 0 {
            warn_of_waiting_messages(&target.queues).await;
            consent.ask(&format!("Record {}?", text::events(planned as u64)))?;
        }
        recovery.record(&Recorder::new(target.dynamodb, target.settings)).await?;
    }
    let is_good = |event: &LostDelivery| !matches!(event.outcome, Outcome::Impossible(_));
    Ok(if recovery.events.iter().all(is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An event in the fallback queue has its secrets: redrive has to be first.
async fn warn_of_waiting_messages(queues: &Queues) {
    match queues.waiting(&queues.fallback).await {
        Ok(0) => {}
        Ok(number) => note(&format!(
            "About {number} messages wait in the fallback queue. If one of these events is among them, redrive records it with its \
             secrets: say no, and try again when `cargo hooks doctor` shows that the queue is empty."
        )),
        Err(error) => note(&format!("It is not known whether the fallback queue is empty: {error}")),
    }
}

/// The lost events of a log.
struct Recovery {
    events: Vec<LostDelivery>,
    output: Output,
}

impl Recovery {
    fn print_all(&self) -> Result<()> {
        let list = List { items: &self.events, none: String::new(), more: None };
        let header = [
            Column::time("received"),
            Column::id("id"),
            Column::entity("entity"),
            Column::from("update").optional(1),
            Column::from("outcome"),
        ];
        list.print(self.output, LostDelivery::json, |events| {
            tables::table(header, events.iter().map(LostDelivery::row))
        })
    }

    /// Records each event that can be, in the order received, and prints each outcome that is new.
    async fn record(&mut self, recorder: &Recorder) -> Result<()> {
        for event in &mut self.events {
            let is_new = event.record(recorder).await.with_context(|| {
                format!("the events from {} on were not recorded; run the same command again", event.id)
            })?;
            match self.output {
                Output::Json => print(&event.json()?)?,
                Output::Table if is_new => print(&event.line())?,
                Output::Table => continue,
            };
        }
        Ok(())
    }
}

/// A lost event, and what can be done or was done about it.
struct LostDelivery {
    id: EventId,
    received_at: Timestamp,
    entity: Option<Entity>,
    update: Option<Integer>,
    secrets_missing: bool,
    outcome: Outcome,
}

/// The outcome of a lost event.
enum Outcome {
    /// It can be recorded as this.
    Planned(Box<Delivery>),
    /// It was recorded by this command.
    Recorded { duplicate_of: Option<EventId> },
    /// It was recorded before.
    RecordedBefore { duplicate_of: Option<EventId> },
    /// It cannot be recorded, for this cause.
    Impossible(String),
}

impl LostDelivery {
    /// Returns what can be done about an event.
    ///
    /// # Errors
    /// Fails when the table cannot be read.
    async fn of(
        event: LostEvent,
        tokens: &[AcceptedToken],
        source_ips: Option<&SourceIps>,
        reader: &Reader,
    ) -> Result<Self> {
        let LostEvent { id, received_at, source_ip, request_id, fingerprint, token, held, body } = event;
        let is_listed = source_ips.zip(source_ip).is_some_and(|(list, address)| list.contains(address));
        let lost = |outcome| Self { id, received_at, entity: None, update: None, secrets_missing: false, outcome };
        if let Some(stored) = reader.delivery(&id).await? {
            let outcome = Outcome::RecordedBefore { duplicate_of: stored.duplicate_of };
            return Ok(Self { entity: Some(stored.entity), update: stored.extra_info, ..lost(outcome) });
        }
        let refusal = match token {
            Token::Accepted if held && !is_listed => Some("its source address is not in AllowedSourceIps"),
            Token::Accepted => None,
            Token::Unchecked(presented) => {
                let presented = presented.parse::<TokenHash>().context("a token's hash in the log")?;
                let is_accepted = tokens.iter().any(|token| token.lets_in(&presented, received_at));
                match is_accepted {
                    false => Some("it came with a token that was not accepted: it is forged"),
                    true if held && !is_listed => Some("its source address is not in AllowedSourceIps"),
                    true => None,
                }
            }
            Token::Unknown => Some("the log does not say whether its token was checked"),
        };
        if let Some(cause) = refusal {
            return Ok(lost(Outcome::Impossible(cause.to_owned())));
        }
        let body = match body {
            Ok(body) => body,
            Err(cause) => return Ok(lost(Outcome::Impossible(cause.to_string()))),
        };
        let mut event = match Event::decode(body.as_bytes()) {
            Ok(event) => event,
            Err(cause) => return Ok(lost(Outcome::Impossible(cause.to_string()))),
        };
        if event.body == body {
            // Nothing in the log is a secret: there is nothing to seal.
            event.sealed = None;
        }
        let (entity, update) = (Some(event.entity.clone()), event.fields.extra_info().cloned());
        let secrets_missing = body.contains(r#""[sealed]""#);
        let content = Content::Event(event);
        let origin = Origin::Delivered;
        let delivery = Delivery { id, received_at, source_ip, request_id, fingerprint, origin, content };
        Ok(Self { entity, update, secrets_missing, ..lost(Outcome::Planned(Box::new(delivery))) })
    }

    /// Records it if that is planned. Returns whether it was.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    async fn record(&mut self, recorder: &Recorder) -> Result<bool> {
        let Outcome::Planned(delivery) = &self.outcome else { return Ok(false) };
        let duplicate_of = match recorder.record(delivery).await? {
            Recorded::Duplicate { of } => Some(of),
            Recorded::Event | Recorded::Quarantined => None,
        };
        self.outcome = Outcome::Recorded { duplicate_of };
        Ok(true)
    }

    fn row(&self) -> [String; 5] {
        [
            times::shown(self.received_at),
            self.id.to_string(),
            self.entity.as_ref().map(Entity::to_string).unwrap_or_default(),
            self.update.as_ref().map(Integer::to_string).unwrap_or_default(),
            self.in_words(),
        ]
    }

    fn line(&self) -> String {
        format!("{}  {}\n", self.id, plain(&self.in_words()))
    }

    fn in_words(&self) -> String {
        let secrets = if self.secrets_missing { "; its secrets are not in the log" } else { "" };
        let duplicate = |of: &Option<EventId>| of.map(|of| format!(", a duplicate of {of}")).unwrap_or_default();
        match &self.outcome {
            Outcome::Planned(_) => format!("can be recorded{secrets}"),
            Outcome::Recorded { duplicate_of } => format!("recorded{}{secrets}", duplicate(duplicate_of)),
            Outcome::RecordedBefore { duplicate_of } => format!("recorded before{}", duplicate(duplicate_of)),
            Outcome::Impossible(cause) => format!("cannot be recorded: {cause}"),
        }
    }

    /// Returns one line of JSON. Its members keep their names from version to version.
    fn json(&self) -> serde_json::Result<String> {
        let (outcome, duplicate_of, cause) = match &self.outcome {
            Outcome::Planned(_) => ("can_be_recorded", None, None),
            Outcome::Recorded { duplicate_of } => ("recorded", duplicate_of.as_ref(), None),
            Outcome::RecordedBefore { duplicate_of } => ("recorded_before", duplicate_of.as_ref(), None),
            Outcome::Impossible(cause) => ("not_recorded", None, Some(cause)),
        };
        json::line(&serde_json::json!({
            "id": self.id, "received_at": self.received_at, "entity": self.entity, "extra_info": self.update,
            "outcome": outcome, "duplicate_of": duplicate_of, "secrets_missing": self.secrets_missing, "cause": cause,
        }))
    }
}
