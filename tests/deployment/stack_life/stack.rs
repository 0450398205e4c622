//! The stack, by the SAM CLI and the project's own samconfig.toml.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Output};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    emulator::Emulator,
    http,
    tools::{Tools, root, scratch},
};

/// The name of the stack.
pub const NAME: &str = "partner-webhook-test";

/// Resources that hold data: no update replaces them. Nor does one replace the API, but of a REST API the emulator says "Conditional"
/// for every change; the steps compare its URL instead.
const KEPT: [&str; 12] = [
    "EventsTable",
    "SealedTable",
    "FallbackQueue",
    "DeadLetterQueue",
    "ScheduleDeadLetterQueue",
    "PublishFailuresQueue",
    "ForwardQueue",
    "ForwardDeadLetterQueue",
    "EventBus",
    "WebhookToken",
    "FingerprintKey",
    "ForwardSecret",
];

/// The outputs of a stack, by their names.
pub type Outputs = BTreeMap<String, String>;

/// Builds the functions and the template that can be deployed.
pub async fn build(tools: &Tools) {
    let mut sam = sam(tools, "build");
    sam.arg("--build-dir").arg(build_folder());
    succeed(&mut sam).await;
    let template = build_folder().join("template.yaml");
    let built = fs::read_to_string(&template).unwrap();
    fs::write(&template, without_metric_math(&built)).unwrap();
}

/// Has the one alarm that compares metrics watch one of them instead: the emulator refuses metric math.
fn without_metric_math(template: &str) -> String {
    let (before, rest) = template.split_once("      Metrics:\n").unwrap();
    let (_, after) = rest.split_once("\n      EvaluationPeriods:").unwrap();
    let watched =
        "MetricName: Received\n      Namespace: !Ref AWS::StackName\n      Period: 3600\n      Statistic: Sum";
    format!("{before}      {watched}\n      EvaluationPeriods:{after}")
}

/// Creates the stack, or changes it; parameters that are not given stay as they are.
///
/// # Panics
/// Panics if the change set, as SAM prints it, replaces or removes what is kept.
pub async fn deploy(tools: &Tools, emulator: &Emulator, parameters: &[(&str, &str)]) -> Outputs {
    deploy_as(NAME, tools, emulator, parameters).await
}

/// Creates or changes a stack of that name, as [`deploy`] does.
pub async fn deploy_as(name: &str, tools: &Tools, emulator: &Emulator, parameters: &[(&str, &str)]) -> Outputs {
    let mut deploy = sam(tools, "deploy");
    emulator.in_place_of_aws(&mut deploy);
    deploy.arg("--template-file").arg(build_folder().join("template.yaml"));
    deploy.args(["--stack-name", name, "--no-confirm-changeset", "--parameter-overrides"]);
    deploy.args(parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")));
    // SAM breaks the names in its tables by the width of the terminal.
    deploy.env("COLUMNS", "400");
    let printed = succeed(&mut deploy).await.stdout;
    check_changes(&String::from_utf8_lossy(&printed));
    outputs(name, tools, emulator).await
}

/// Checks the lines of a change set: `* Modify`, the logical id, the type, and whether it is replaced.
fn check_changes(printed: &str) {
    let mut changes = 0;
    for line in printed.lines() {
        let [_, action @ ("Add" | "Modify" | "Delete"), resource, _, replaced] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            continue;
        };
        changes += 1;
        let stays = action == "Add" || (action == "Modify" && replaced == "False");
        assert!(stays || !KEPT.contains(&resource), "the change set would replace or remove {resource}: {line}");
    }
    assert!(changes > 0, "SAM has printed no change set");
}

/// Deletes a stack, and what SAM has uploaded for it.
pub async fn delete(name: &str, tools: &Tools, emulator: &Emulator) {
    let mut delete = sam(tools, "delete");
    emulator.in_place_of_aws(&mut delete);
    succeed(delete.args(["--stack-name", name, "--no-prompts"])).await;
}

/// Returns the failures of the stack's resources, one a line.
pub async fn failures(emulator: &Emulator) -> Vec<String> {
    let request = format!("Action=DescribeStackEvents&Version=2010-05-15&StackName={NAME}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = http::post(&emulator.url(), &headers, request).await;
    let failed =
        |event: &&str| ["FAILED", "ROLLBACK"].iter().any(|mark| element(event, "ResourceStatus").contains(mark));
    let line = |event: &str| {
        let parts = ["Timestamp", "LogicalResourceId", "ResourceStatus", "ResourceStatusReason"];
        parts.map(|part| element(event, part)).join("  ")
    };
    answer.body.split("<member>").filter(failed).map(line).collect()
}

async fn outputs(name: &str, tools: &Tools, emulator: &Emulator) -> Outputs {
    let mut list = sam(tools, "list");
    emulator.in_place_of_aws(&mut list);
    let output = succeed(list.args(["stack-outputs", "--stack-name", name, "--output", "json"])).await;
    let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |output: &Value, name: &str| output[name].as_str().unwrap().to_owned();
    let outputs = outputs.as_array().unwrap().iter();
    outputs.map(|output| (text(output, "OutputKey"), text(output, "OutputValue"))).collect()
}

fn sam(tools: &Tools, command: &str) -> Command {
    let mut sam = tools.command("sam");
    sam.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1").arg(command);
    sam
}

fn build_folder() -> PathBuf {
    scratch().join("build")
}

/// Runs it; when it fails, what it has written is shown.
async fn succeed(command: &mut Command) -> Output {
    command.arg("--config-file").arg(root().join("samconfig.toml"));
    let output = command.output().await.unwrap();
    if !output.status.success() {
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        panic!("sam has failed: {}", output.status);
    }
    output
}

/// The text of the first element of a name in XML.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let text = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    text.map_or("", |(text, _)| text)
}
