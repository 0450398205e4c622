//! `hooks webhook`: looks after the webhook's registration with the provider.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::{Timestamp, WebhookUrl, human_time};
use store::{RegistrationLedger, RegistrationStatus};

use crate::{
    consent::Consent,
    local_functions::read_answer,
    output::{Output, print, text},
    registration_status,
    target::{Target, TargetArgs},
};

/// What `plan` ends with when something would be set. 1 is a failure, and 2 a command line that cannot be read.
const WOULD_UPDATE: u8 = 3;

/// What to do, and about what.
#[derive(Args)]
pub struct Webhook {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    on: On,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Shows which URL is registered.
    Get,
    /// Shows what `sync` would do, and does nothing.
    #[command(
        after_help = "Exit code: 0 when our URL is registered, 3 when `sync` would register it, 1 when that cannot be told."
    )]
    Plan,
    /// Registers our URL if another one is registered, as the schedule does.
    Sync,
    /// Registers a URL, whatever is registered.
    #[command(
        after_help = "Without a URL it registers ours, also when sync has given up because somebody else keeps registering another.\nAfter another URL was set, the schedule registers ours again, unless SyncMode is observe."
    )]
    Set {
        /// The URL; else that of this webhook, with its token. Asks first, as events will go there and no longer come here.
        url: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Gives our URL a new token, and registers it. The old token stays accepted for a time.
    Rotate,
    /// Shows what is known of the registration, and what has happened to it. Asks nobody but the table.
    #[command(
        after_help = "Times are UTC. \"not ours\" is the time in which the webhook may have pointed elsewhere: from the last check that found our URL to the one that found it again."
    )]
    Status {
        /// At most so many changes.
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
        /// How far to look back, such as 90m, 36h, 7d or 2w.
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = human_time::duration)]
        since: Duration,
    },
}

/// What it is about, and how to show it.
#[derive(Args)]
struct On {
    #[command(flatten)]
    target: TargetArgs,
    /// How to show it. As json it is the function's own answer, on one line; status has an object of its own.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Does it.
///
/// # Errors
/// When it fails.
pub async fn run(Webhook { command, on: On { target, output } }: Webhook) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let event = match command {
        Command::Get => json!({ "action": "get" }),
        Command::Plan => json!({ "action": "plan" }),
        Command::Sync => json!({ "action": "sync" }),
        // Our address stands for our URL, whose token is not ours to know.
        Command::Set { url, consent } => {
            // What is no URL sync refuses.
            if let Some(url) = url.as_deref().and_then(|url| WebhookUrl::parse(url).ok()) {
                consent.ask(&format!("Have the provider send all events to {url} from now on?"))?;
            }
            json!({ "action": "set", "url": url.as_ref().unwrap_or(&target.address) })
        }
        Command::Rotate => json!({ "action": "rotate" }),
        Command::Status { limit, since } => return status(&target.ledger, limit, since, output).await,
    };
    act(&target, &event, output).await
}

/// Has sync do it, and shows what it reports.
async fn act(target: &Target, event: &Value, output: Output) -> Result<ExitCode> {
    let answer = target.call_sync(event).await?;
    let report = read_answer(&answer)?;
    print(&match output {
        Output::Json => format!("{}\n", answer.trim_end()),
        Output::Table => text::report(&report).with_context(|| format!("not a report: {answer}"))?,
    })?;
    match report["outcome"].as_str() {
        Some("updated") if report["verified"] != true => {
            bail!("the provider said OK, but the URL that was set is not the one that is registered")
        }
        Some("would_update") if event["action"] == "plan" => Ok(ExitCode::from(WOULD_UPDATE)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Shows what stands in the table.
async fn status(ledger: &RegistrationLedger, limit: usize, since: Duration, output: Output) -> Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let status = RegistrationStatus::read(ledger, now.minus(since)..now, 0).await?;
    print(&match output {
        Output::Json => format!("{}\n", registration_status::json(&status, limit)),
        Output::Table => registration_status::table(&status, limit),
    })?;
    Ok(ExitCode::SUCCESS)
}
