//! A newcomer who deploys beside a live webhook: the commands of docs/deploying.md, one after another, on a stack of their own.

use std::{fs, process::Stdio};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::deploy::CREDENTIALS;
use crate::{
    progress::{say, wait_for},
    provider,
    stack::{self, Outputs},
    tools::root,
    world::World,
};

/// The stack in the documents.
const STACK: &str = "partner-webhook";
/// The webhook that is registered at first, in the documents too.
const OLD: &str = "https://old.example.com/webhook";
/// The newcomer's endpoint in the documents.
const ENDPOINT: &str = "https://example.com/events";

/// Commands that do not end with 0: our URL is not registered yet, or lines are only observed.
const OTHER_CODES: [(&str, i32); 3] = [("webhook plan", 3), ("doctor", 1), ("lines", 3)];
/// Commands that ask a person.
const ASKING: [&str; 2] = ["webhook set", "forward secret"];

pub async fn deploys_beside_a_live_webhook_as_documented(world: &mut World) {
    say("the commands of docs/deploying.md, beside a live webhook");
    world.partner.register(Some(OLD));
    let mut outputs = Outputs::new();
    for line in documented() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["sam", "build"] => {}
            ["sam", "deploy", "--parameter-overrides", ref overrides @ ..] => {
                outputs = deploy(world, overrides).await;
            }
            ["cargo", "hooks", ref arguments @ ..] => run(world, arguments).await,
            _ => panic!("the section has another command: {line}"),
        }
        match line.as_str() {
            line if line.contains("SyncMode=observe") => {
                assert_eq!(outputs["Registration"], "left_alone");
                assert_eq!(world.partner.registered().as_deref(), Some(OLD), "the trial has touched the registration");
            }
            "cargo hooks webhook set --stack partner-webhook" => {
                the_first_event_is_with_the_endpoint(world, &outputs).await
            }
            line if line.contains(OLD) => {
                assert_eq!(world.partner.registered().as_deref(), Some(OLD), "there is no way back");
            }
            _ => {}
        }
    }
    assert!(world.registered().starts_with(&outputs["WebhookUrl"]), "our URL is not registered in the end");
    stack::delete(STACK, &world.tools, &world.emulator).await;
    assert_eq!(world.partner.registered().as_deref(), Some(OLD), "what was registered before is not again");
    say("they lead from a trial to a registered webhook, and back");
}

/// The commands of the section, in order.
fn documented() -> Vec<String> {
    let document = fs::read_to_string(root().join("docs/deploying.md")).unwrap();
    let (_, section) = document.split_once("\n## Alongside an existing webhook\n").expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

async fn deploy(world: &World, overrides: &[&str]) -> Outputs {
    let secrets = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let secret = secrets.describe_secret().secret_id(CREDENTIALS).send().await.unwrap().arn.unwrap();
    let (partner_api, line_api) = (world.partner.url(), world.partner.line_api_url());
    let mut parameters = vec![("PartnerApiBaseUrl", partner_api.as_str()), ("LineApiBaseUrl", line_api.as_str())];
    let endpoint = world.endpoint.url();
    for text in overrides {
        let (name, value) = text.split_once('=').expect("a parameter with its value");
        // The role for access logs is the account's, and would outlive this stack.
        if name == "AccessLogs" {
            continue;
        }
        let value = match value {
            "<ARN>" => secret.as_str(),
            ENDPOINT => endpoint.as_str(),
            value => value,
        };
        parameters.push((name, value));
    }
    stack::deploy_as(STACK, &world.tools, &world.emulator, &parameters).await
}

/// Runs `hooks`, and checks its exit code. A command that follows is ended once it has shown an event.
async fn run(world: &World, arguments: &[&str]) {
    let all = arguments.join(" ");
    let mut hooks = world.tools.command("cargo");
    world.emulator.in_place_of_aws(&mut hooks);
    hooks.arg("hooks").args(arguments).args(["--region", "us-east-1"]);
    if ASKING.iter().any(|asking| all.starts_with(asking)) {
        hooks.arg("--yes");
    }
    if arguments.contains(&"--follow") {
        let mut following = hooks.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().expect("it shows no event").contains("whatsapp") {}
        return;
    }
    let output = hooks.output().await.unwrap();
    let expected = OTHER_CODES.iter().find(|(command, _)| all.starts_with(command)).map_or(0, |(_, code)| *code);
    let told =
        || world.secrets.masked(&String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()));
    assert_eq!(output.status.code(), Some(expected), "hooks {all}: {}", told());
}

/// The provider delivers an event to the URL that is registered now, and the newcomer's own system has it.
async fn the_first_event_is_with_the_endpoint(world: &World, outputs: &Outputs) {
    assert!(world.registered().starts_with(&outputs["WebhookUrl"]), "the switch has not registered our URL");
    let body = json!({"event": "whatsapp", "whatsapp": "972501119999", "whatsapp_extra_info": 5}).to_string();
    let answer = provider::post(&world.emulator, &world.registered(), provider::ADDRESS, body).await;
    let id = answer.id().to_string();
    let taken = async || world.endpoint.taken().contains(&id).then_some(());
    wait_for("the newcomer's endpoint has the first event", super::hand_on::PATIENCE, taken).await;
    say("after the switch, the first event is with the newcomer's endpoint");
}
