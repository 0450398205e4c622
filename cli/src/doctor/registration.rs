//! The check that our URL is registered.

use std::time::SystemTime;

use anyhow::Result;
use serde_json::{Value, json};
use shared::{Timestamp, human_time::ago};

use super::report::Finding;
use crate::{local_functions::read_answer, output::times, target::Target, webhook::is_ours};

/// Asks sync to compare the registered URL with ours. `on` are the arguments that name the stack.
pub async fn check(target: &Target, on: &str) -> Finding {
    let status = format!("cargo hooks webhook status{on}");
    let report = match plan(target).await {
        Ok(report) => report,
        Err(error) => return Finding::fail(format!("{error:#}"), status),
    };
    let registered = report["registered"].as_str().unwrap_or("nothing");
    if !is_ours(&report) {
        let action = if target.observes { "set" } else { "sync" };
        return Finding::fail(
            format!("{registered} is registered, which is not ours"),
            format!("cargo hooks webhook {action}{on}"),
        );
    }
    let registration = match target.ledger.read().await {
        Ok(registration) => registration,
        Err(error) => {
            return Finding::fail(format!("ours, but the registration's record cannot be read: {error}"), status);
        }
    };
    let now = Timestamp::from(SystemTime::now());
    let checked = registration.checked_at.map(|at| format!("last checked {}", ago(at, now)));
    let checked = checked.unwrap_or_else(|| "never checked by the schedule".to_owned());
    match (registration.failing_since, registration.failure) {
        (Some(since), Some(failure)) => Finding::warn(
            format!("ours, but scheduled runs have failed since {}: {failure}", times::shown(since)),
            status,
        ),
        _ if report["outcome"] != "up_to_date" => {
            Finding::ok(format!("ours ({registered}), a change of its token is due, {checked}"))
        }
        _ => Finding::ok(format!("ours ({registered}), {checked}")),
    }
}

async fn plan(target: &Target) -> Result<Value> {
    read_answer(&target.call_sync(&json!({ "action": "plan" })).await?)
}
