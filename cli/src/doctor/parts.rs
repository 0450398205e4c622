//! The checks of each part by itself: tables, functions, queues.

use anyhow::Result;
use aws_sdk_dynamodb::types::TableStatus;
use aws_sdk_lambda::types::{LastUpdateStatus, State};

use super::report::Finding;
use crate::{
    aws_error::AwsError,
    local_functions::LocalFunctions,
    target::{Queues, Stack, Target},
};

/// The functions of a local run or a stack.
pub enum Functions {
    Local(LocalFunctions),
    Deployed { lambda: aws_sdk_lambda::Client, names: [String; 3] },
}

impl Functions {
    /// Returns the functions of a stack.
    ///
    /// # Errors
    /// Fails when the stack has no outputs with their names.
    pub fn of_stack(stack: &Stack) -> Result<Self> {
        let output = |key| stack.output(key).map(str::to_owned);
        let names = [output("ReceiverFunctionName")?, output("RedriveFunctionName")?, output("SyncFunctionName")?];
        Ok(Self::Deployed { lambda: aws_sdk_lambda::Client::new(&stack.aws), names })
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

/// Checks that the functions can be called.
pub async fn functions(functions: &Functions, fix: &str) -> Finding {
    match functions {
        Functions::Local(caller) => match caller.is_up().await {
            Ok(()) => Finding::ok("they can be called"),
            Err(error) => Finding::fail(format!("{error:#}"), fix),
        },
        Functions::Deployed { lambda, names } => {
            for name in names {
                if let Some(fault) = fault_of(lambda, name).await {
                    return Finding::fail(format!("the function {name}: {fault}"), fix);
                }
            }
            Finding::ok(names.join(", "))
        }
    }
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

fn messages(number: u64) -> String {
    if number == 1 { "about 1 message".to_owned() } else { format!("about {number} messages") }
}
