//! The checks of each part by itself: tables, functions, queues.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::TableStatus;
use aws_sdk_lambda::types::{LastUpdateStatus, State};
use serde_json::json;
use shared::{Timestamp, human_time::ago};

use super::report::Finding;
use crate::{
    aws_error::AwsError,
    local_functions::{LocalFunctions, read_answer},
    project::Run,
    target::{Queues, Stack, Target},
};

/// Maximum time for the answer of a local function, which may have to be built first.
const ANSWER: Duration = Duration::from_secs(30);

/// Wait of an event that is reported, as by the alarm forward-queue-age.
const LONG_WAIT: Duration = Duration::from_secs(60 * 60);

/// The alias of the receiver that the API calls.
pub const LIVE: &str = "live";

/// The functions of a local run or a stack.
pub enum Functions {
    /// Sync is not among them: the check of the registration calls it.
    Local { caller: LocalFunctions, names: Vec<&'static str> },
    Deployed {
        lambda: aws_sdk_lambda::Client,
        names: Vec<String>,
        /// Those of them that an event source mapping calls.
        mapped: Vec<String>,
    },
}

impl Functions {
    /// Returns the functions of a local run.
    pub fn of_local_run(run: &Run) -> Self {
        let mut names = vec!["receiver", "redrive"];
        if let Some(handing_on) = &run.handing_on {
            names.push("publisher");
            names.extend(handing_on.forward.as_ref().map(|_| "forwarder"));
        }
        Self::Local { caller: LocalFunctions::at(run.functions), names }
    }

    /// Returns the functions of a stack.
    ///
    /// # Errors
    /// Fails when the stack has no outputs with their names.
    pub fn of_stack(stack: &Stack) -> Result<Self> {
        let output = |key| stack.output(key).map(str::to_owned);
        let receiver = format!("{}:{LIVE}", output("ReceiverFunctionName")?);
        let sync = output("SyncFunctionName")?;
        let mut mapped = vec![output("RedriveFunctionName")?];
        // A stack has them since version 0.2.0, and the forwarder only with an endpoint.
        mapped
            .extend(["PublisherFunctionName", "ForwarderFunctionName"].into_iter().filter_map(|key| output(key).ok()));
        let names = [&[receiver, sync.clone()], &mapped[..]].concat();
        // With LineWebhookUrl, a queue of new keys calls sync.
        mapped.extend(stack.output("LineWebhookMode").ok().map(|_| sync));
        Ok(Self::Deployed { lambda: aws_sdk_lambda::Client::new(&stack.aws), names, mapped })
    }
}

/// Checks that DynamoDB answers, and that both tables can be used.
pub async fn tables(target: &Target, fix: &str) -> Finding {
    let tables = [&target.settings.events_table, &target.settings.sealed_table];
    for name in tables {
        let described = match target.dynamodb.describe_table().table_name(name).send().await {
            Ok(described) => described,
            Err(error) => return Finding::fail(AwsError::of(&format!("the table {name}"), &error).to_string(), fix),
        };
        let status = described.table().and_then(|table| table.table_status());
        // A table can be used while it is updated.
        if !matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
            return Finding::fail(
                format!("the table {name} is {}", status.map_or("not known", TableStatus::as_str)),
                fix,
            );
        }
    }
    Finding::ok(tables.map(String::as_str).join(", "))
}

/// Checks that the functions of a local run answer, and that those of a stack are ready.
pub async fn functions(functions: &Functions, fix: &str) -> Finding {
    match functions {
        Functions::Local { caller, names } => {
            for name in names {
                if let Err(error) = call_for_nothing(caller, name).await {
                    return Finding::fail(format!("{error:#}"), fix);
                }
            }
            Finding::ok(format!("{} answer", names.join(", ")))
        }
        Functions::Deployed { lambda, names, mapped } => {
            for name in names {
                if let Some(fault) = fault_of(lambda, name).await {
                    return Finding::fail(format!("the function {name}: {fault}"), fix);
                }
            }
            for name in mapped {
                if let Err((fault, own)) = event_source_mapping(lambda, name).await {
                    return Finding::fail(
                        format!("the function {name}: {fault}"),
                        own.unwrap_or_else(|| fix.to_owned()),
                    );
                }
            }
            Finding::ok(names.join(", "))
        }
    }
}

/// Calls a local function with an event that it answers without doing anything.
async fn call_for_nothing(caller: &LocalFunctions, name: &str) -> Result<()> {
    // The receiver answers a call without a path by 404; the others handle an empty batch.
    let (event, member) =
        if name == "receiver" { (json!({}), "statusCode") } else { (json!({ "Records": [] }), "batchItemFailures") };
    let answer = tokio::time::timeout(ANSWER, caller.call(name, &event)).await;
    let answer =
        answer.with_context(|| format!("the function {name} does not answer within {} s", ANSWER.as_secs()))??;
    let answer = read_answer(&answer).with_context(|| format!("the function {name}"))?;
    answer.get(member).map(|_| ()).with_context(|| format!("the function {name} answers {answer}"))
}

async fn fault_of(lambda: &aws_sdk_lambda::Client, name: &str) -> Option<String> {
    let configuration = match lambda.get_function_configuration().function_name(name).send().await {
        Ok(configuration) => configuration,
        Err(error) => return Some(AwsError::of("its configuration", &error).to_string()),
    };
    // Lambda makes a function inactive that is not called for weeks, and active again with the next call.
    let state = configuration.state().filter(|state| !matches!(state, State::Active | State::Inactive));
    let update = configuration.last_update_status().filter(|update| **update != LastUpdateStatus::Successful);
    let state = state.map(|state| format!("is {}", state.as_str()));
    state.or_else(|| update.map(|update| format!("its last update is {}", update.as_str())))
}

/// Checks that a queue or the stream calls a function. Returns the fault otherwise, with its fix if it has one of its own.
async fn event_source_mapping(lambda: &aws_sdk_lambda::Client, name: &str) -> Result<(), (String, Option<String>)> {
    let listed = lambda.list_event_source_mappings().function_name(name).send().await;
    let listed = listed.map_err(|error| (AwsError::of("its event source mapping", &error).to_string(), None))?;
    let mappings = listed.event_source_mappings();
    if mappings.is_empty() {
        let fault = "it has no event source mapping, so nothing calls it".to_owned();
        return Err((fault, Some("see docs/runbook.md, nothing-published".to_owned())));
    }
    for mapping in mappings {
        let state = mapping.state().unwrap_or_default();
        if !["Enabled", "Enabling", "Creating", "Updating"].contains(&state) {
            let fault = format!("its event source mapping is {state}, so nothing calls it");
            let uuid = mapping.uuid().unwrap_or_default();
            return Err((fault, Some(format!("aws lambda update-event-source-mapping --enabled --uuid {uuid}"))));
        }
    }
    Ok(())
}

/// Checks that no delivery waits in the fallback queue. While DynamoDB works it should be empty.
pub async fn fallback_queue(queues: &Queues, fix: &str) -> Finding {
    match queues.waiting(&queues.fallback).await {
        Ok(0) => Finding::ok("empty"),
        Ok(number) => Finding::warn(
            format!("{} to be recorded", messages(number)),
            "wait until redrive has recorded them; if their number does not fall, see docs/runbook.md",
        ),
        Err(refusal) => Finding::fail(refusal.to_string(), fix),
    }
}

/// Checks that no message is in the dead-letter queue. `on` are the arguments that name the stack.
pub async fn dead_letter_queue(queues: &Queues, on: &str, fix: &str) -> Finding {
    match queues.waiting(&queues.dead_letter).await {
        Ok(0) => Finding::ok("empty"),
        Ok(number) => Finding::warn(
            format!("{} that could not be recorded", messages(number)),
            format!("cargo hooks dlq list{on}"),
        ),
        Err(refusal) => Finding::fail(refusal.to_string(), fix),
    }
}

/// Checks that events reach the endpoint: none is a dead letter, and none has waited for long. `on` are the arguments that name the
/// stack.
pub async fn handing_on(target: &Target, on: &str, fix: &str) -> Finding {
    let Ok(forwarding) = target.forwarding() else {
        return Finding::skip("there is no endpoint: events are only on the event bus");
    };
    match target.queues.waiting(&forwarding.dead_letter_queue).await {
        Ok(0) => {}
        Ok(number) => return not_accepted(&messages(number), on),
        Err(refusal) => return Finding::fail(refusal.to_string(), fix),
    }
    let failures = match forwarding.failures().await {
        Ok(failures) => failures,
        Err(error) => return Finding::fail(error.to_string(), fix),
    };
    let now = Timestamp::from(SystemTime::now());
    let (waiting, dead): (Vec<_>, Vec<_>) = failures.iter().partition(|failure| failure.next_attempt_at.is_some());
    if !dead.is_empty() {
        let dead = if dead.len() == 1 { "1 dead letter".to_owned() } else { format!("{} dead letters", dead.len()) };
        return not_accepted(&dead, on);
    }
    match waiting.iter().min_by_key(|failure| failure.first_attempt_at) {
        Some(oldest) if now.since(oldest.first_attempt_at) >= LONG_WAIT => Finding::warn(
            format!(
                "an event still waits for your endpoint; first attempt {}, last answer: {}",
                ago(oldest.first_attempt_at, now),
                oldest.answer
            ),
            format!("cargo hooks forward status{on}"),
        ),
        Some(_) => {
            Finding::ok("no event has waited for your endpoint for an hour; those that it refused are tried again")
        }
        None => Finding::ok("no event waits for your endpoint, and no dead letter of the last 14 days is left"),
    }
}

fn not_accepted(what: &str, on: &str) -> Finding {
    Finding::warn(
        format!("{what} that your endpoint did not accept"),
        format!("cargo hooks dlq list --queue forward{on}"),
    )
}

fn messages(number: u64) -> String {
    if number == 1 { "about 1 message".to_owned() } else { format!("about {number} messages") }
}
