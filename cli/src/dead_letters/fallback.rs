//! The dead letters of the fallback queue.

use std::{collections::BTreeSet, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::json;
use shared::text::plain;

use super::{Command, Which, delivery::DeadLetter, scan::Scan, show};
use crate::{
    aws_error::AwsError,
    output::{List, Output, json, note, print},
    target::Queues,
};

/// Limit for all messages.
const ALL: usize = usize::MAX;

/// Runs the command.
///
/// # Errors
/// Fails when SQS refuses or does not answer, and on Ctrl-C.
pub async fn run(queues: &Queues, command: Command, output: Output) -> Result<ExitCode> {
    let mut scan = Scan::begin(&queues.sqs, &queues.dead_letter).context("signals cannot be listened to")?;
    let done = match command {
        Command::List { limit } => list(&mut scan, limit, output).await,
        Command::Show { id } => show(&mut scan, &id, output).await,
        Command::Redrive { which: Which { ids, .. } } => {
            redrive(queues, &mut scan, ids.into_iter().collect(), output).await
        }
    };
    scan.end().await;
    done
}

async fn list(scan: &mut Scan<'_>, limit: usize, output: Output) -> Result<ExitCode> {
    let mut dead_letters: Vec<DeadLetter> = Vec::new();
    // One more, to know whether there are more.
    while dead_letters.len() <= limit
        && let Some(more) = scan.next((limit - dead_letters.len()).saturating_add(1)).await?
    {
        dead_letters.extend(more.into_iter().map(DeadLetter::read));
    }
    let more = dead_letters.len() > limit;
    let hidden = if more { None } else { hidden(scan).await };
    dead_letters.truncate(limit);
    let more = more.then(|| format!("The first {} messages", dead_letters.len()));
    let none = if hidden.is_some() { "" } else { "No messages are in the dead-letter queue.\n" }.to_owned();
    List { items: &dead_letters, none, more }.print(output, show::json, show::table)?;
    hidden.iter().for_each(|hidden| note(hidden));
    Ok(ExitCode::SUCCESS)
}

/// Returns a note for people about messages that a complete scan could not see.
async fn hidden(scan: &Scan<'_>) -> Option<String> {
    match scan.hidden_by_others().await {
        Ok(0) => None,
        Ok(number) => Some(format!(
            "About {number} more are hidden: somebody else is reading them, or has just done so; try again in a minute."
        )),
        Err(error) => Some(format!("It is not known whether more are hidden by somebody else who reads them: {error}")),
    }
}

async fn show(scan: &mut Scan<'_>, message_id: &str, output: Output) -> Result<ExitCode> {
    while let Some(messages) = scan.next(ALL).await? {
        if let Some(message) = messages.into_iter().find(|message| message.id == message_id) {
            let dead_letter = DeadLetter::read(message);
            print(&match output {
                Output::Json => show::json(&dead_letter)?,
                Output::Table => show::in_full(&dead_letter),
            })?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!(not_found(message_id))
}

fn not_found(message_id: &str) -> String {
    format!(
        "there is no message {} in the dead-letter queue; if somebody else is reading it, try again in a minute",
        plain(message_id)
    )
}

/// Moves the messages with these ids; without any, all that can be read.
async fn redrive(
    queues: &Queues,
    scan: &mut Scan<'_>,
    mut wanted: BTreeSet<String>,
    output: Output,
) -> Result<ExitCode> {
    let all = wanted.is_empty();
    let (mut redriven, mut left) = (0_usize, 0_usize);
    while (all || !wanted.is_empty())
        && let Some(messages) = scan.next(ALL).await?
    {
        for dead_letter in messages.into_iter().map(DeadLetter::read) {
            if !all && !wanted.remove(&dead_letter.message.id) {
                continue;
            }
            let moves = !all || dead_letter.content.is_ok();
            if moves {
                move_to_fallback(queues, scan, &dead_letter).await?;
                redriven += 1;
            } else {
                left += 1;
            }
            print(&moved(&dead_letter, moves, output)?)?;
        }
    }
    if output == Output::Table && (redriven > 0 || wanted.is_empty()) {
        let left = if left > 0 { format!(", {left} left") } else { String::new() };
        print(&format!("{redriven} put into the fallback queue{left}.\n"))?;
    }
    if all {
        hidden(scan).await.iter().for_each(|hidden| note(hidden));
    }
    wanted.iter().for_each(|message_id| note(&format!("error: {}", not_found(message_id))));
    Ok(if wanted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One by one, and not by SQS itself (`StartMessageMoveTask`), which moves all or nothing.
///
/// The message is deleted only when it is in the other queue. A crash in between leaves it in both, which does no harm:
/// recording the same id twice changes nothing.
async fn move_to_fallback(queues: &Queues, scan: &mut Scan<'_>, dead_letter: &DeadLetter) -> Result<()> {
    let send = queues.sqs.send_message().queue_url(&queues.fallback).message_body(dead_letter.message.body.expose());
    send.send().await.map_err(|error| AwsError::of("the fallback queue", &error))?;
    scan.delete(&dead_letter.message).await.with_context(|| {
        format!("the message {} is in both queues now, which does no harm", plain(&dead_letter.message.id))
    })
}

fn moved(dead_letter: &DeadLetter, moved: bool, output: Output) -> Result<String> {
    let event_id = dead_letter.content.as_ref().ok().map(|delivery| delivery.received.id.to_string());
    let cause = dead_letter.content.as_ref().err().map(ToString::to_string);
    Ok(match output {
        Output::Json => json::line(&json!({
            "message_id": dead_letter.message.id, "redriven": moved, "event_id": event_id, "cause": cause,
        }))?,
        Output::Table => {
            let what = event_id.or(cause).unwrap_or_default();
            let outcome = if moved { "put into the fallback queue" } else { "left" };
            format!("{}  {outcome}: {what}\n", plain(&dead_letter.message.id))
        }
    })
}
