use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use ureq::Agent;

use crate::{
    error::SyncError,
    limits::ANSWERING,
    report::Resolved,
    resource_request::{ResourceEvent, ResourceRequest},
};

/// Pauses before the attempts to send the answer. Without it CloudFormation waits until its timeout.
const PAUSES: [Duration; 3] = [Duration::ZERO, PAUSE, PAUSE];
/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Maximum time of one attempt.
const ATTEMPT: Duration = Duration::from_secs(3);

const _: () = assert!(PAUSES.len() as u128 * (PAUSE.as_millis() + ATTEMPT.as_millis()) <= ANSWERING.as_millis());

/// The resource's physical id. It never changes: after a change CloudFormation would delete the old id's resource.
const PHYSICAL_ID: &str = "webhook-registration";

/// Maximum number of characters of a reason: the whole answer may have 4096 bytes.
const LONGEST_REASON: usize = 1_000;

/// The answer was not accepted.
#[derive(Debug, Error)]
#[error("CloudFormation did not accept the answer: {0}")]
pub(crate) struct NotAnswered(String);

/// Reports the outcome of a request to CloudFormation, with the reason of a failure.
pub(crate) async fn send(event: &ResourceEvent, result: &Result<Resolved, SyncError>) -> Result<(), NotAnswered> {
    let (status, reason, data) = match result {
        Ok(resolved) => ("SUCCESS", String::new(), serde_json::to_value(resolved).unwrap_or_default()),
        Err(error) => ("FAILED", reason(event.request, error), Value::Null),
    };
    let mut answer = json!({
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": PHYSICAL_ID,
        "StackId": event.stack_id,
        "RequestId": event.request_id,
        "LogicalResourceId": event.logical_id,
    });
    if data.is_object() {
        answer["Data"] = data;
    }
    put(event, answer.to_string().into_bytes()).await
}

fn reason(request: ResourceRequest, error: &SyncError) -> String {
    let way_out = match request {
        ResourceRequest::Restore => {
            "; to delete the stack and leave the registration as it is: aws cloudformation delete-stack --stack-name … \
             --retain-resources Registration"
        }
        ResourceRequest::Register => "; to deploy without registering, set RegisterOnDeploy=false",
        ResourceRequest::DeployOnly | ResourceRequest::LeaveAlone => "",
    };
    let reason: String = format!("{}: {error}", error.cause()).chars().take(LONGEST_REASON).collect();
    format!("{reason}{way_out}")
}

async fn put(event: &ResourceEvent, answer: Vec<u8>) -> Result<(), NotAnswered> {
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(ATTEMPT))
        .max_idle_connections(0)
        .build();
    let agent = Agent::new_with_config(config);
    let mut fault = String::new();
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        let (agent, url, answer) = (agent.clone(), event.response_url.clone(), answer.clone());
        // S3, which takes the answer, has signed the request with an empty type.
        let put = move || agent.put(url.expose()).header("content-type", "").send(&answer[..]).map(|_| ());
        match tokio::task::spawn_blocking(put).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(ureq::Error::StatusCode(status))) => fault = format!("it answered {status}"),
            Ok(Err(ureq::Error::Timeout(_))) => fault = "it did not answer in time".to_owned(),
            Ok(Err(_)) => fault = "it could not be reached".to_owned(),
            Err(_) => fault = "the attempt was abandoned".to_owned(),
        }
    }
    Err(NotAnswered(fault))
}
