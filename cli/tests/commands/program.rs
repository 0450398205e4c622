use std::{
    fs::{self, File},
    mem,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Output, Stdio},
};

use emulators::{dynamodb::DynamoDb, sqs::Sqs};
use serde_json::json;
use tokio::process::Command;

/// The exit code and the output of a finished program.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An empty checkout.
pub fn project(name: &str) -> PathBuf {
    let project = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Removes the folder of an earlier run of the test.
    let _ = fs::remove_dir_all(&project);
    fs::create_dir_all(project.join("functions/receiver")).unwrap();
    fs::create_dir_all(project.join("target/hooks")).unwrap();
    fs::write(project.join("template.yaml"), "").unwrap();
    project
}

/// Leaves in a checkout what `hooks dev` leaves for the commands beside it.
pub fn remember(
    project: &Path,
    (address, partner_api): (&str, &str),
    functions: SocketAddr,
    dynamodb: &DynamoDb,
    sqs: &Sqs,
) {
    let run = json!({
        "pid": process::id(),
        "webhook": format!("{address}/Webhook-Token-0123456789"),
        "address": address,
        "partner_api": partner_api,
        "functions": functions,
        "dynamodb": dynamodb.url(),
        "events_table": dynamodb.events_table(),
        "sealed_table": dynamodb.sealed_table(),
        "dedup_window_seconds": "600",
        "retention_days": "0",
        "allowed_source_ips": "34.165.99.212/32,10.0.0.0/8",
        "sqs": sqs.url(),
        "fallback_queue": sqs.queue_url(),
        "dead_letter_queue": sqs.dead_letter_queue_url(),
    });
    let file = project.join("target/hooks/run.json");
    fs::write(&file, run.to_string()).unwrap();
    let file = File::open(file).unwrap();
    file.try_lock().unwrap();
    // The lock says that the run is up. It stays until the test's process ends.
    mem::forget(file);
}

/// The program in a folder, with these arguments, and with these variables alone.
pub fn hooks(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut hooks = Command::new(env!("CARGO_BIN_EXE_hooks"));
    hooks.args(arguments).current_dir(folder).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    hooks
}

/// Runs it to its end.
pub async fn run(mut hooks: Command) -> Ended {
    let Output { status, stdout, stderr } = hooks.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}
