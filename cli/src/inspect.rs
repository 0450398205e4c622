//! `hooks inspect`: the page on this machine for looking at what arrives.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Result, ensure};
use clap::Args;
use inspector::{Actions, Inspector, Source};
use serde_json::json;

use crate::{
    interrupt::interrupted,
    local_functions::read_answer,
    output::{note, print},
    project::Project,
    samples, send,
    target::{Target, TargetArgs},
};

/// The usual port of the page.
const PORT: u16 = 9010;

/// Opens a page in the browser that shows what the local run or a deployed stack receives.
///
/// The page shows new deliveries as they come, the state and history of every entity, and the registration with its ledger.
#[derive(Args)]
#[command(after_help = "\
The page listens on 127.0.0.1 only, and shows nothing without the token in its address. Secrets were removed before the events were \
recorded.

Examples:
  cargo hooks inspect                              the local run
  cargo hooks inspect --stack partner-webhook      a deployed stack")]
pub struct Inspect {
    #[command(flatten)]
    target: TargetArgs,
    /// Port on 127.0.0.1. Default: 9010, or a free one if that is taken.
    #[arg(long)]
    port: Option<u16>,
}

/// Serves the page until Ctrl-C.
///
/// # Errors
/// Fails when the target cannot be found, or no port is free.
pub async fn run(Inspect { target, port }: Inspect) -> Result<ExitCode> {
    let inspector = start(Target::find(target).await?, port).await?;
    print(&format!(
        "{}\n\nOpen it in a browser on this machine. Anyone with the address can read along. It ends with Ctrl-C.\n",
        inspector.url()
    ))?;
    interrupted().await;
    Ok(ExitCode::SUCCESS)
}

/// Starts the pages of a target on a port, or without one on the usual port or a free one. Those of a local run can also send samples
/// and run sync.
///
/// # Errors
/// Fails when the checkout with the samples cannot be found, or the port is taken.
pub async fn start(target: Target, port: Option<u16>) -> Result<Inspector> {
    let actions = target.webhook.clone().map(|webhook| {
        let project = Arc::new(Project::find()?);
        anyhow::Ok((samples::names(&project), project, webhook))
    });
    let target = Arc::new(target);
    let actions = actions.transpose()?.map(|(samples, project, webhook)| {
        let sync_target = Arc::clone(&target);
        Actions {
            samples,
            send: Box::new(move |sample: String| {
                let (project, webhook) = (Arc::clone(&project), webhook.clone());
                Box::pin(async move { send::post(webhook, samples::body(&project, &sample)?).await })
            }),
            sync: Box::new(move |()| {
                let target = Arc::clone(&sync_target);
                Box::pin(async move { read_answer(&target.call_sync(&json!({ "action": "sync" })).await?) })
            }),
        }
    });
    let source = Source {
        reader: target.reader.clone(),
        ledger: target.ledger.clone(),
        forward_records: target.forwarding().ok().map(|forwarding| forwarding.records.clone()),
        dedup_window: target.settings.dedup_window,
        stack: target.choice.stack().map(str::to_owned),
        arguments: target.choice.arguments(),
        actions,
    };
    let inspector = Inspector::start(source, port.unwrap_or(PORT)).await?;
    match port {
        Some(port) => ensure!([0, inspector.port()].contains(&port), "port {port} of 127.0.0.1 is taken"),
        None if inspector.port() != PORT => note(&format!("Port {PORT} is taken: the page is on {}", inspector.port())),
        None => {}
    }
    Ok(inspector)
}
