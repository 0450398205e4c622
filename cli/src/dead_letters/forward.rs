//! The dead letters of the forward queue: events that the endpoint did not accept.
//!
//! A FIFO queue shows no more messages of an entity while one of them is looked at, so a list would not be complete. The forwarder's
//! records are.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    process::ExitCode,
};

use anyhow::{Context, Result};
use outbound::ForwardMessage;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::{Entity, EventId, Timestamp, text::plain};
use store::{ForwardFailure, TypedId};

use super::scan::Scan;
use crate::{
    handing_on::Forwarding,
    interrupt::{interrupted, unless},
    output::{List, Output, json, note, print, tables, text, times},
    target::Target,
};

/// Limit for all messages.
const ALL: usize = usize::MAX;

/// A dead letter as JSON. Members keep their names from version to version.
#[derive(Serialize)]
struct DeadEvent<'a> {
    event_id: EventId,
    entity: &'a Entity,
    attempts: u32,
    first_attempt_at: Timestamp,
    last_attempt_at: Timestamp,
    answer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

impl<'a> DeadEvent<'a> {
    fn of(failure: &'a ForwardFailure) -> Self {
        let ForwardFailure { id, entity, attempts, first_attempt_at, last_attempt_at, answer, .. } = failure;
        Self {
            event_id: *id,
            entity,
            attempts: *attempts,
            first_attempt_at: *first_attempt_at,
            last_attempt_at: *last_attempt_at,
            answer,
            body: None,
        }
    }
}

/// Lists the dead letters, newest first.
///
/// # Errors
/// Fails when forwarding is off, or AWS refuses or does not answer.
pub async fn list(target: &Target, limit: usize, output: Output) -> Result<ExitCode> {
    let forwarding = target.forwarding()?;
    let mut dead = dead_letters(forwarding).await?;
    let (recorded, in_queue) = (dead.len() as u64, target.queues.waiting(&forwarding.dead_letter_queue).await?);
    let more = (dead.len() > limit).then(|| format!("{limit} of {recorded} dead letters"));
    dead.truncate(limit);
    let none = "The endpoint has no dead letters.\n".to_owned();
    List { items: &dead, none, more }.print(
        output,
        |failure| json::line(&DeadEvent::of(failure)),
        |failures| tables::forward_failures(failures),
    )?;
    if in_queue != recorded {
        note(&format!(
            "The dead-letter queue has {in_queue} messages, and {recorded} are recorded. `redrive --all` moves both kinds."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a dead letter with the body of its event.
///
/// # Errors
/// Fails when forwarding is off, there is no such dead letter, or AWS refuses or does not answer.
pub async fn show(target: &Target, id: &str, output: Output) -> Result<ExitCode> {
    let forwarding = target.forwarding()?;
    let dead = dead_letters(forwarding).await?;
    let found = event_id(id, dead.iter().map(|failure| failure.id))?;
    let failure = dead.into_iter().find(|failure| Some(failure.id) == found).with_context(|| not_found(id))?;
    let body = target.reader.event(&failure.entity, &failure.id).await?.and_then(|event| event.body);
    print(&match output {
        Output::Json => {
            let body = body.as_deref().map(shared::json::embedded);
            json::line(&DeadEvent { body, ..DeadEvent::of(&failure) })?
        }
        Output::Table => {
            let facts = text::facts(&[
                ("event", failure.id.to_string()),
                ("entity", failure.entity.to_string()),
                ("attempts", failure.attempts.to_string()),
                ("first", times::shown(failure.first_attempt_at)),
                ("last", times::shown(failure.last_attempt_at)),
                ("answer", failure.answer.clone()),
            ]);
            let body = body.map(|body| format!("\n{}\n", shared::json::pretty(&body)));
            facts + &body.unwrap_or_else(|| "\nThe event is not in the table any more.\n".to_owned())
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Puts the events with these ids back into the forward queue; without any, all of them. The forwarder sends them by a new schedule.
///
/// # Errors
/// Fails when forwarding is off, AWS refuses or does not answer, and on Ctrl-C.
pub async fn redrive(target: &Target, ids: &[String], output: Output) -> Result<ExitCode> {
    let forwarding = target.forwarding()?;
    let recorded: BTreeMap<_, _> =
        dead_letters(forwarding).await?.into_iter().map(|failure| (failure.id, failure)).collect();
    let (mut wanted, mut unknown) = (BTreeSet::new(), Vec::new());
    for typed in ids {
        if let Some(id) = event_id(typed, recorded.keys().copied())? {
            wanted.insert(id);
        } else {
            unknown.push(typed.clone());
        }
    }
    let mut redrive = Redrive { forwarding, all: ids.is_empty(), wanted, recorded, redriven: 0, output };
    let mut scan =
        Scan::begin(&target.queues.sqs, &forwarding.dead_letter_queue).context("signals cannot be listened to")?;
    let done = redrive.messages(&mut scan).await;
    scan.end().await;
    let left = done?;
    redrive.records().await?;
    let missing: Vec<String> = redrive.wanted.iter().map(EventId::to_string).chain(unknown).collect();
    if output == Output::Table && (redrive.redriven > 0 || missing.is_empty()) {
        let left = if left > 0 { format!(", {left} left") } else { String::new() };
        print(&format!("{} put into the forward queue{left}.\n", redrive.redriven))?;
    }
    missing.iter().for_each(|id| note(&format!("error: {}", not_found(id))));
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A running redrive.
struct Redrive<'a> {
    forwarding: &'a Forwarding,
    /// True for all dead letters.
    all: bool,
    /// The named events that are still to be moved.
    wanted: BTreeSet<EventId>,
    /// The recorded dead letters that are still to be moved, oldest first.
    recorded: BTreeMap<EventId, ForwardFailure>,
    redriven: usize,
    output: Output,
}

impl Redrive<'_> {
    /// Moves the messages of the dead-letter queue. Returns the number of those that cannot be read, and stay.
    async fn messages(&mut self, scan: &mut Scan<'_>) -> Result<usize> {
        let mut left = 0;
        while (self.all || !self.wanted.is_empty())
            && let Some(messages) = scan.next(ALL).await?
        {
            for message in messages {
                let Ok(named) = ForwardMessage::parse(message.body.expose()) else {
                    left += usize::from(self.all);
                    continue;
                };
                if !self.all && !self.wanted.contains(named.id()) {
                    continue;
                }
                // The message's own id: SQS could take the event's for a repetition.
                self.forwarding.send(&named, &message.id).await?;
                scan.delete(&message)
                    .await
                    .with_context(|| format!("the event {} is in both queues now, which does no harm", named.id()))?;
                self.moved(*named.id(), named.entity()).await?;
            }
        }
        Ok(left)
    }

    /// Sends the recorded dead letters whose message was not found: SQS has deleted it, or it is behind another one of its entity.
    async fn records(&mut self) -> Result<()> {
        let mut interrupted = pin!(interrupted());
        for (id, ForwardFailure { entity, last_attempt_at, .. }) in self.recorded.clone() {
            if !self.all && !self.wanted.contains(&id) {
                continue;
            }
            let deduplication_id = format!("{id}-{}", last_attempt_at.as_micros());
            // A person asks for this event, so it is sent even if the endpoint accepted it before.
            let message = ForwardMessage::new(id, entity.clone()).again();
            unless(interrupted.as_mut(), self.forwarding.send(&message, &deduplication_id)).await??;
            self.moved(id, &entity).await?;
        }
        Ok(())
    }

    async fn moved(&mut self, id: EventId, entity: &Entity) -> Result<()> {
        self.wanted.remove(&id);
        if let Some(dead_letter) = self.recorded.remove(&id) {
            self.forwarding.records.forget_dead_letter(&dead_letter).await?;
        }
        self.redriven += 1;
        print(&match self.output {
            Output::Json => json::line(&json!({ "event_id": id, "entity": entity, "redriven": true }))?,
            Output::Table => format!("{id}  put into the forward queue: {}\n", plain(entity.as_str())),
        })?;
        Ok(())
    }
}

/// Returns the recorded dead letters, newest first.
async fn dead_letters(forwarding: &Forwarding) -> Result<Vec<ForwardFailure>> {
    let mut failures = forwarding.failures().await?;
    failures.retain(is_dead);
    Ok(failures)
}

/// Returns the id that a person means, given those of the dead letters; `None` when it is none of these, nor a whole id.
fn event_id(typed: &str, dead: impl Iterator<Item = EventId>) -> Result<Option<EventId>> {
    typed.parse::<TypedId>().ok().map_or(Ok(None), |id| Ok(id.among(dead)?))
}

fn is_dead(failure: &ForwardFailure) -> bool {
    failure.next_attempt_at.is_none()
}

fn not_found(id: &str) -> String {
    format!("there is no dead letter of an event {}", plain(id))
}
