//! `hooks inspect`: the page on this machine for looking at what arrives.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use inspector::{Actions, ForwardedAddress, Inspector, PageToken, Source};
use serde_json::json;
use store::SealedReader;

use crate::{
    interrupt::interrupted,
    lines,
    local_functions::read_answer,
    output::{note, print},
    project::Project,
    quarantine, samples, send,
    target::{Target, TargetArgs},
};

/// The usual port of the page.
const PORT: u16 = 9010;

/// Serves pages for the browser that show what the local run or a deployed stack receives, and prints their address.
///
/// They show new deliveries as they arrive, the state and history of every entity, all lines, and the URL that received the events.
#[derive(Args)]
#[command(after_help = "\
The command listens on 127.0.0.1 only, and shows nothing without the token in the printed address. Secrets were removed before the \
events were recorded.

From another machine, forward the port: ssh -L 9010:127.0.0.1:9010 <host>. If the port is the same on both sides, nothing else is needed. \
Otherwise name the address that the browser uses with --address. In GitHub Codespaces, it is detected. While `cargo hooks dev` \
runs, its own page has port 9010: start it with --address to see that page, or forward the port that this command prints.

Examples:
  cargo hooks inspect                                      the local run
  cargo hooks inspect --stack partner-webhook              a deployed stack
  cargo hooks inspect --address http://localhost:8080      through the tunnel that it prints")]
pub struct Inspect {
    #[command(flatten)]
    target: TargetArgs,
    /// Port on 127.0.0.1. Default: 9010, or a free one if that is taken.
    #[arg(long)]
    port: Option<u16>,
    /// Address under which the browser reaches the page when its port is forwarded, such as http://localhost:8080.
    #[arg(long, value_name = "URL")]
    address: Option<ForwardedAddress>,
}

/// Serves the page until Ctrl-C.
///
/// # Errors
/// Fails when the target cannot be found, or no port is free.
pub async fn run(Inspect { target, port, address }: Inspect) -> Result<ExitCode> {
    let tunnel = address.as_ref().and_then(ForwardedAddress::loopback_port);
    let is_forwarded = address.is_some() || in_codespaces(PORT).is_some();
    let inspector = start(Target::find(target).await?, port, PageToken::random()?, address).await?;
    let way = match (tunnel, inspector.port()) {
        (Some(there), here) => {
            format!("Run `ssh -L {there}:127.0.0.1:{here} <host>` on the browser's machine, then open it there.")
        }
        (None, here) if is_forwarded => format!("Open it in a browser. It must reach port {here} of this machine."),
        (None, _) => "Open it in a browser on this machine.".to_owned(),
    };
    print(&format!("{}\n\n{way} Anyone with the address can read it. Press Ctrl-C to stop.\n", inspector.url()))?;
    interrupted().await;
    Ok(ExitCode::SUCCESS)
}

/// Starts the pages of a target on a port, or without one on the usual port or a free one. Those of a local run can also send samples
/// and run sync.
///
/// # Errors
/// Fails when the checkout with the samples cannot be found, or the port is taken.
pub async fn start(
    target: Target,
    port: Option<u16>,
    token: PageToken,
    address: Option<ForwardedAddress>,
) -> Result<Inspector> {
    let actions = target.webhook.clone().map(|webhook| {
        let project = Arc::new(Project::find()?);
        anyhow::Ok((samples::names(&project), project, webhook))
    });
    let target = Arc::new(target);
    let actions = actions.transpose()?.map(|(samples, project, webhook)| {
        let (sync_target, raw_target, retry_target) = (Arc::clone(&target), Arc::clone(&target), Arc::clone(&target));
        Actions {
            samples,
            send: Box::new(move |sample: String| {
                let (project, webhook) = (Arc::clone(&project), webhook.clone());
                Box::pin(async move { send::post(webhook, samples::body(&project, &sample)?).await })
            }),
            raw: Box::new(move |id| {
                let target = Arc::clone(&raw_target);
                Box::pin(async move {
                    let sealed = SealedReader::new(target.dynamodb.clone(), &target.settings.sealed_table);
                    Ok(sealed.quarantined(&id).await?)
                })
            }),
            retry: Box::new(move |id| {
                let target = Arc::clone(&retry_target);
                Box::pin(async move { quarantine::accept(&target, &id).await })
            }),
            sync: Box::new(move |()| {
                let target = Arc::clone(&sync_target);
                Box::pin(async move { read_answer(&target.call_sync(&json!({ "action": "sync" })).await?) })
            }),
        }
    });
    let source = Source {
        reader: target.reader.clone(),
        lines: lines::reader(&target),
        ledger: target.ledger.clone(),
        forward_records: target.forwarding().ok().map(|forwarding| forwarding.records.clone()),
        dedup_window: target.settings.dedup_window,
        stack: target.choice.stack().map(str::to_owned),
        arguments: target.choice.arguments(),
        actions,
    };
    let forwarded = |port| address.or_else(|| in_codespaces(port));
    let inspector = Inspector::start(source, port.unwrap_or(PORT), token, forwarded).await?;
    match port {
        Some(port) => ensure!([0, inspector.port()].contains(&port), "port {port} of 127.0.0.1 is taken"),
        None if inspector.port() != PORT => note(&format!("Port {PORT} is taken: the page is on {}", inspector.port())),
        None => {}
    }
    Ok(inspector)
}

/// Returns the token of the local runs of a checkout. The first run creates it, and open pages stay valid in later runs. Only this user can
/// read it.
///
/// # Errors
/// Fails when its file cannot be read or written.
pub fn kept_token(project: &Project) -> Result<PageToken> {
    let path = project.scratch()?.join("inspector-token");
    if let Some(token) = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()) {
        return Ok(token);
    }
    let token = PageToken::random()?;
    let write = || {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(token.expose().as_bytes())
    };
    write().with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(token)
}

/// Returns the address under which GitHub Codespaces forwards a port; `None` elsewhere.
fn in_codespaces(port: u16) -> Option<ForwardedAddress> {
    let (name, domain) = (env::var("CODESPACE_NAME").ok()?, env::var("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN").ok()?);
    format!("https://{name}-{port}.{domain}").parse().ok()
}
