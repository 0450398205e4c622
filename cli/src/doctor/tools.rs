//! The checks of the programs that are needed beside this one.

use std::process::Stdio;

use tokio::process::Command;

use super::report::Finding;
use crate::{
    dev::cargo_lambda::CargoLambda,
    project::{Project, from_here},
    tools,
};

/// The command that fetches the tools for a deployment.
const FETCH: &str = "cargo hooks tools";

/// Cargo, which builds the functions.
pub async fn cargo() -> Finding {
    match version(Command::new("cargo").arg("--version")).await {
        Some(version) => Finding::ok(version),
        None => Finding::fail(
            "not found; it builds the functions",
            "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        ),
    }
}

/// cargo-lambda, which runs them on this machine and builds them for AWS.
pub async fn cargo_lambda(project: &Project) -> Finding {
    let version = match CargoLambda::find(project).await {
        Some(found) => version(found.command().arg("--version")).await,
        None => None,
    };
    match version {
        Some(version) => Finding::ok(version),
        None => Finding::warn(
            "not found; `cargo hooks dev` installs it for local runs, and `sam build` needs it on the PATH",
            FETCH,
        ),
    }
}

/// The SAM CLI, which deploys.
pub async fn sam(project: &Project) -> Finding {
    let fetched = tools::folder(project).join("bin/sam");
    match version(Command::new("sam").arg("--version")).await {
        Some(version) => Finding::ok(version),
        None => match version(Command::new(&fetched).arg("--version")).await {
            Some(version) => Finding::ok(format!("{version}, as {}", from_here(&fetched).display())),
            None => Finding::warn("not found; needed only to deploy", FETCH),
        },
    }
}

/// The AWS CLI 2, which puts the credentials into their secret.
pub async fn aws() -> Finding {
    const FIX: &str = "see https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
    match version(Command::new("aws").arg("--version")).await {
        Some(version) if version.starts_with("aws-cli/2.") => Finding::ok(version),
        Some(version) => Finding::warn(format!("{version}; deploying needs version 2"), FIX),
        None => Finding::warn("not found; needed only to deploy", FIX),
    }
}

/// Returns the first line of a program's version; `None` when it is missing or does not work.
async fn version(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.lines().next().unwrap_or_default().to_owned())
}
