//! `hooks forward`: the handing on of events, the signing secret, and a test of the endpoint.

mod status;

use std::{process::ExitCode, time::SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use outbound::{Answer, Message, OVERLAP, SigningSecret};
use serde_json::json;
use shared::{
    DOCTOR, EventId, Timestamp,
    human_time::{Moment, ago, moment},
    text::plain,
};

use self::status::Status;
use crate::{
    consent::Consent,
    handing_on::{Forwarding, WRONG_SECRET},
    output::{Output, json, print, text, times},
    query::past,
    target::{Target, TargetArgs},
};

/// Number of bytes in a new signing secret.
const SECRET_BYTES: usize = 32;

/// Shows how events are handed on, and manages the secret that they are signed with.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks forward status --stack partner-webhook
  cargo hooks forward test --stack partner-webhook
  cargo hooks forward secret --stack partner-webhook --yes | wl-copy
  cargo hooks forward rotate --stack partner-webhook")]
pub struct Forward {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on one line.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The actions.
#[derive(Subcommand)]
enum Command {
    /// Shows the events that wait for the endpoint, and compares recorded with published events.
    #[command(after_help = "\
An event waits because the endpoint has refused it; later events of its line, bot or inbox wait behind it. Published \
events are counted by the hour of their receipt. A count can be off by a few after a fault of the publisher. An event of the last minute \
does not count as missing, and an event that you replay does not count as published.")]
    Status {
        /// Start of the period to compare recorded and published events in: a time ago (36h, 7d), a day (yesterday, 2026-11-22) or a
        /// moment (2026-11-22T09:30).
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
        since: Moment,
        /// Maximum number of waiting events, and of dead letters, to list.
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Prints the secret that your endpoint verifies signatures with. Asks first.
    #[command(
        after_help = "Anyone who has the secret can send forged events to your endpoint. The secret is written to standard output, and nowhere else."
    )]
    Secret {
        #[command(flatten)]
        consent: Consent,
    },
    /// Replaces the secret. Asks first. For 24 hours, events are signed with both the new and the replaced secret.
    #[command(
        after_help = "Give your endpoint the new secret within the 24 hours: `cargo hooks forward secret` prints it. The forwarder uses it within a minute."
    )]
    Rotate {
        #[command(flatten)]
        consent: Consent,
    },
    /// Sends a signed test event from this machine to the endpoint, and prints its answer.
    #[command(
        after_help = "The event has the kind `doctor`, and is recorded nowhere.\nExit code: 0 when the endpoint accepted the event, 1 otherwise."
    )]
    Test,
}

/// Runs the command.
///
/// # Errors
/// Fails when forwarding is off (except `status`), the person does not agree, or AWS refuses or does not answer.
pub async fn run(Forward { command, target, output }: Forward) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let now = Timestamp::from(SystemTime::now());
    match command {
        Command::Status { since, limit } => {
            let status = Status::read(&target, past(since, now)..now).await?;
            print(&match output {
                Output::Json => json::line(&status.json(limit))?,
                Output::Table => status.text(limit, now, &target.choice),
            })?;
        }
        Command::Secret { consent } => {
            let forwarding = target.forwarding()?;
            consent.ask("Show the signing secret?")?;
            let current = forwarding.secret.current().await?;
            print(&match output {
                Output::Json => {
                    json::line(&json!({ "secret": current.secret.expose(), "stored_at": current.stored_at }))?
                }
                Output::Table => format!("{}\n", current.secret.expose()),
            })?;
        }
        Command::Rotate { consent } => rotate(target.forwarding()?, &consent, output).await?,
        Command::Test => return test(target.forwarding()?, output).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the secret if the person agrees.
async fn rotate(forwarding: &Forwarding, consent: &Consent, output: Output) -> Result<()> {
    // A secret that is unusable or missing needs a new one all the more.
    let replaced_at = forwarding.secret.current().await.ok().map(|current| current.stored_at);
    let now = Timestamp::from(SystemTime::now());
    consent.ask(&match replaced_at {
        Some(at) if now.since(at) < OVERLAP => format!(
            "The secret was stored only {}. An endpoint that still verifies with the previous one will refuse every event. Replace \
             it anyway?",
            ago(at, now)
        ),
        _ => "Replace the signing secret? Your endpoint needs the new one within 24 hours.".to_owned(),
    })?;
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).context("no random bytes")?;
    forwarding.secret.replace(&SigningSecret::of_bytes(&random)?).await?;
    let both_until = Timestamp::from(SystemTime::now()).plus(OVERLAP);
    print(&match output {
        Output::Json => json::line(&json!({ "both_until": both_until }))?,
        Output::Table => format!(
            "The secret is replaced. Events are signed with both until {}.\n\
             Give your endpoint the new one before then: `cargo hooks forward secret` prints it.\n",
            times::shown(both_until)
        ),
    })?;
    Ok(())
}

/// Sends the test event, and prints the endpoint's answer.
async fn test(forwarding: &Forwarding, output: Output) -> Result<ExitCode> {
    let endpoint = forwarding.endpoint().await?;
    let now = Timestamp::from(SystemTime::now());
    let signer = forwarding.secret.signer(now).await?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("no random bytes")?;
    let body = json!({ "event": DOCTOR, "test": "sent by hooks forward test" }).to_string();
    let message = Message { id: EventId::new(now, random), received_at: now, body };
    let refusal = match endpoint.offer(&message, Some(&signer), now).await {
        Answer::Taken => None,
        Answer::Refused(refusal) => Some(refusal),
    };
    let answer = refusal.as_ref().map(|refusal| plain(&refusal.to_string()));
    let signatures = if signer.is_replacing() { 2 } else { 1 };
    print(&match output {
        Output::Json => json::line(&json!({
            "id": message.id, "endpoint": endpoint.to_string(), "taken": refusal.is_none(),
            "status": refusal.as_ref().and_then(|refusal| refusal.status()), "answer": answer, "signatures": signatures,
        }))?,
        Output::Table => text::facts(&[
            ("endpoint", endpoint.to_string()),
            ("webhook-id", message.id.to_string()),
            ("signatures", if signer.is_replacing() { "2, as the secret was replaced" } else { "1" }.to_owned()),
            ("answer", answer.clone().unwrap_or_else(|| "2xx: the endpoint accepted the event".to_owned())),
        ]),
    })?;
    match refusal {
        None => Ok(ExitCode::SUCCESS),
        Some(_) if output == Output::Json => Ok(ExitCode::FAILURE),
        Some(refusal) if matches!(refusal.status(), Some(401 | 403)) => {
            bail!("the endpoint did not accept the event; {WRONG_SECRET}")
        }
        Some(_) => bail!("the endpoint did not accept the event"),
    }
}
