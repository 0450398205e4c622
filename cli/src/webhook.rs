//! `hooks webhook`: manages the webhook's registration with the provider.

use std::{process::ExitCode, time::SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::{
    RegisteredUrl, Timestamp, WebhookUrl,
    human_time::{Moment, moment},
};
use store::{RegistrationLedger, RegistrationStatus, Whereabouts};

use crate::{
    consent::Consent,
    local_functions::read_answer,
    output::{Output, note, print, text},
    query::past,
    registration_status,
    target::{Target, TargetArgs},
};

/// Exit code of `plan`, `sync`, `get` and `status` when our URL is not registered. 1 is a failure, and 2 a command line that cannot be
/// read.
const NOT_OURS: u8 = 3;

/// Manages the webhook's registration with the provider, for the local run or a deployed stack.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks webhook status                                 the local run
  cargo hooks webhook status --stack partner-webhook         a deployed stack
  cargo hooks webhook status --since 7d --output json        for programs
  cargo hooks webhook plan --stack partner-webhook           exit code 3 when something is to be done
  cargo hooks webhook sync --stack partner-webhook --yes     without a question, for scripts
  cargo hooks webhook set                                    our URL
  cargo hooks webhook set https://other.example/in           another URL, after you confirm")]
pub struct Webhook {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    on: On,
}

/// The actions.
#[derive(Subcommand)]
enum Command {
    /// Shows the registered URL.
    #[command(
        after_help = "Exit code: 0 when our URL is registered; 3 when another one or none is; 1 when that is not known."
    )]
    Get,
    /// Shows what `sync` would do, and changes nothing.
    #[command(
        after_help = "Exit code: 0 when `sync` would change nothing; 3 when it would register our URL, also with a new token, or would if SyncMode \
                      were not observe; 1 when that is not known."
    )]
    Plan,
    /// Registers our URL if it is not registered, as the schedule does. Asks before it first replaces another URL.
    #[command(
        after_help = "If our URL was never registered for this partner account and another one is, that one will stop receiving the provider's events. \
                      So the command names its host and asks. In a script, give --yes.\nWith SyncMode observe it changes nothing.\n\
                      Exit code: 0 when our URL is registered; 3 when SyncMode is observe and it is not; 1 after a failure."
    )]
    Sync {
        #[command(flatten)]
        consent: Consent,
    },
    /// Registers a URL, regardless of which one is registered now.
    #[command(
        after_help = "Without a URL it registers ours, even when sync has stopped because a competing URL keeps coming back. If another URL is registered, it asks first, and keeps that URL to restore it when the stack is deleted.\nAfter you set another URL, the schedule registers ours again, unless SyncMode is observe."
    )]
    Set {
        /// URL to register. Asks first, because events will go there and no longer come here. Default: this webhook's URL, with its token.
        url: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Registers our URL with a new token. The old token stays accepted for a time.
    #[command(
        after_help = "If another URL is registered, it will stop receiving the provider's events. So the command names its host and asks. \
                      In a script, give --yes."
    )]
    Rotate {
        #[command(flatten)]
        consent: Consent,
    },
    /// Shows the registration and its ledger, as recorded in the table. Does not call the provider.
    #[command(
        after_help = "Exit code: 0, or 3 when the last check found a URL other than ours, or none.\n\"not ours from\" is the time of the last check that found our URL before the webhook may have pointed elsewhere, and \"for\" the time from then to the change. Each such period is shown once, at its last change."
    )]
    Status {
        /// Maximum number of changes to list.
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
        limit: usize,
        /// Start of the time range: a time ago (1h30m, 7d, 2w), a day (yesterday, 2026-11-22) or a moment (2026-11-22T09:30).
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = moment)]
        since: Moment,
    },
}

/// The target and the output format.
#[derive(Args)]
struct On {
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is the answer of the function sync on one line; `status` has an object of its own.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Runs the command.
///
/// # Errors
/// Fails when the target cannot be found, or sync fails.
pub async fn run(Webhook { command, on: On { target, output } }: Webhook) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let event = match command {
        Command::Get => json!({ "action": "get" }),
        Command::Plan => json!({ "action": "plan" }),
        Command::Sync { consent } => {
            if !target.observes {
                ask_before_replacing(&target, &consent, true).await?;
            }
            json!({ "action": "sync" })
        }
        // Our address stands for our URL, whose token is not ours to know.
        Command::Set { url, consent } => {
            // Sync refuses a text that is no URL.
            if let Some(url) = url.as_deref().and_then(|url| WebhookUrl::parse(url).ok()) {
                consent.ask(&format!("Have the provider send all events to {url} from now on?"))?;
            } else if url.is_none() {
                ask_before_replacing(&target, &consent, false).await?;
            }
            json!({ "action": "set", "url": url.as_ref().unwrap_or(&target.address) })
        }
        Command::Rotate { consent } => {
            ask_before_replacing(&target, &consent, false).await?;
            json!({ "action": "rotate" })
        }
        Command::Status { limit, since } => return status(&target.ledger, limit, since, output).await,
    };
    act(&target, &event, output).await
}

/// Asks before our URL replaces another one, which would no longer receive the events. With `only_first`, asks nothing once our URL
/// has been seen registered in this partner account.
///
/// # Errors
/// Fails when the answer is not yes, or the provider cannot be asked.
async fn ask_before_replacing(target: &Target, consent: &Consent, only_first: bool) -> Result<()> {
    let report = read_answer(&target.call_sync(&json!({ "action": "get" })).await?)?;
    if only_first && report["ours_seen"] == true {
        return Ok(());
    }
    let address = WebhookUrl::parse(&target.address).context("the address of the webhook")?;
    let Some(registered) = report["registered"].as_str() else { return Ok(()) };
    // With an older token, it is ours too.
    if RegisteredUrl::new(registered).is_none_or(|registered| registered.token_at(&address).is_some()) {
        return Ok(());
    }
    let current = match inspector::host(registered) {
        Some(host) => format!("{host} currently receives the provider's events, and will stop receiving them."),
        None => format!("{registered} is currently registered at the provider."),
    };
    consent.ask(&format!("{current} Register our URL in its place?"))
}

/// Calls sync, and shows its report.
async fn act(target: &Target, event: &Value, output: Output) -> Result<ExitCode> {
    let answer = target.call_sync(event).await?;
    let report = read_answer(&answer)?;
    let is_not_ours = event["action"] == "get" && !is_ours(&report);
    print(&match output {
        Output::Json => shared::json::compact(&answer) + "\n",
        Output::Table => {
            let report_text = text::report(&report).with_context(|| format!("not a report: {answer}"))?;
            let warning = match is_not_ours {
                true => {
                    let since = target.ledger.read().await.ok().and_then(|registration| registration.elsewhere_since);
                    registration_status::not_ours(report["registered"].as_str(), since)
                }
                false => String::new(),
            };
            warning + &report_text
        }
    })?;
    if event["action"] == "rotate" && report["verified"] == true && output == Output::Table {
        note("The old token stays accepted for TokenOverlapHours (default: 24).");
    }
    match report["outcome"].as_str() {
        Some("updated") if report["verified"] != true => {
            bail!("the provider accepted the URL but shows another one as registered")
        }
        Some("would_update") => {
            if target.observes || event["action"] == "sync" {
                let on = target.choice.arguments();
                note(&format!(
                    "SyncMode is observe, so no run registers our URL. To register it: cargo hooks webhook set{on}"
                ));
            }
            Ok(ExitCode::from(NOT_OURS))
        }
        _ if is_not_ours => Ok(ExitCode::from(NOT_OURS)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Returns whether a report of `get` or `plan` says that our URL is registered, with whichever token.
pub fn is_ours(report: &Value) -> bool {
    // A stack that was deployed before this version reports only whether the registered URL is the desired one.
    report.get("ours").unwrap_or(&report["verified"]) == true
}

/// Shows the registration and its ledger from the table.
async fn status(ledger: &RegistrationLedger, limit: usize, since: Moment, output: Output) -> Result<ExitCode> {
    let now = Timestamp::from(SystemTime::now());
    let status = RegistrationStatus::read(ledger, past(since, now)..now, 0).await?;
    print(&match output {
        Output::Json => registration_status::json(&status, limit)?,
        Output::Table => registration_status::table(&status, limit),
    })?;
    Ok(match status.whereabouts() {
        Whereabouts::Unknown | Whereabouts::Ours => ExitCode::SUCCESS,
        Whereabouts::Nowhere | Whereabouts::Elsewhere => ExitCode::from(NOT_OURS),
    })
}
