use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use shared::{Secret, is_safe_for_secrets};
use thiserror::Error;
use ureq::Agent;
use url::Url;

use crate::{Report, SyncError};

/// How often the answer is sent, if it does not arrive: without it CloudFormation waits until it gives up.
const ATTEMPTS: u32 = 3;
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How much of the function's time the answer may need at most.
pub(crate) const ANSWERING: Duration = Duration::from_secs(11);

/// The name of the resource, which never changes: a new one would make CloudFormation delete what it takes for another.
const PHYSICAL_ID: &str = "webhook-registration";

/// The most characters of a reason: the whole answer may have 4096 bytes.
const LONGEST_REASON: usize = 1_000;

/// What CloudFormation asks of the custom resource that stands for the registration.
#[derive(Debug)]
pub(crate) struct CustomResource {
    pub(crate) wish: Wish,
    answer_to: AnswerTo,
}

/// What CloudFormation wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The stack is new or has changed: register our URL.
    Register,
    /// The stack is going away: put back what was registered before.
    Restore,
    /// Nothing: a person sees to the registration.
    LeaveAlone,
}

/// Where the answer goes, and what CloudFormation knows its request by.
#[derive(Debug)]
struct AnswerTo {
    /// Whoever has it can answer.
    url: Secret,
    stack_id: String,
    request_id: String,
    logical_id: String,
}

/// Why an event with a `RequestType` cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCustomResource {
    /// A member is missing, or not of its type.
    #[error("the request is not as CloudFormation sends it: {0} is missing or not text")]
    Missing(&'static str),
    /// `ResponseURL` is not where CloudFormation lets an answer be put.
    #[error("ResponseURL is not an https URL")]
    ResponseUrl,
    /// `RequestType` is none of CloudFormation's.
    #[error("RequestType is neither Create nor Update nor Delete")]
    RequestType,
}

/// What became of the registration, as the stack shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resolved {
    /// `up_to_date` or `updated`, as in a report; `left_alone` when a person sees to it, or there was nothing to put back;
    /// `waiting_for_credentials` when the partner's secret has none yet.
    pub outcome: &'static str,
    /// The registered URL, masked; empty when the provider was not asked.
    pub registered: String,
}

/// The answer did not get through.
#[derive(Debug, Error)]
#[error("CloudFormation did not take the answer: {0}")]
pub(crate) struct NotAnswered(String);

impl CustomResource {
    /// Whether an event is one of CloudFormation's requests.
    pub(crate) fn is_one(event: &Value) -> bool {
        event.get("RequestType").is_some()
    }

    pub(crate) fn read(event: &Value) -> Result<Self, BadCustomResource> {
        let text = |name| event.get(name).and_then(Value::as_str).ok_or(BadCustomResource::Missing(name));
        let url = text("ResponseURL")?;
        if !Url::parse(url).is_ok_and(|url| is_safe_for_secrets(&url)) {
            return Err(BadCustomResource::ResponseUrl);
        }
        let answer_to = AnswerTo {
            url: Secret::new(url),
            stack_id: text("StackId")?.to_owned(),
            request_id: text("RequestId")?.to_owned(),
            logical_id: text("LogicalResourceId")?.to_owned(),
        };
        // CloudFormation makes texts of all values.
        let wanted = event.pointer("/ResourceProperties/RegisterOnDeploy").and_then(Value::as_str) != Some("false");
        let wish = match text("RequestType")? {
            "Create" | "Update" if wanted => Wish::Register,
            "Delete" if wanted => Wish::Restore,
            "Create" | "Update" | "Delete" => Wish::LeaveAlone,
            _ => return Err(BadCustomResource::RequestType),
        };
        Ok(Self { wish, answer_to })
    }

    /// Tells CloudFormation how it ended, and why if it failed.
    pub(crate) async fn answer(&self, result: &Result<Resolved, SyncError>) -> Result<(), NotAnswered> {
        let (status, reason, data) = match result {
            Ok(resolved) => ("SUCCESS", String::new(), serde_json::to_value(resolved).unwrap_or_default()),
            Err(error) => ("FAILED", self.reason(error), Value::Null),
        };
        let mut answer = json!({
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": PHYSICAL_ID,
            "StackId": self.answer_to.stack_id,
            "RequestId": self.answer_to.request_id,
            "LogicalResourceId": self.answer_to.logical_id,
        });
        if data.is_object() {
            answer["Data"] = data;
        }
        self.answer_to.put(answer.to_string().into_bytes()).await
    }

    fn reason(&self, error: &SyncError) -> String {
        let way_out = match self.wish {
            Wish::Restore => {
                "; to delete the stack and leave the registration as it is: aws cloudformation delete-stack --stack-name … \
                 --retain-resources Registration"
            }
            Wish::Register => "; to deploy without registering, set RegisterOnDeploy=false",
            Wish::LeaveAlone => "",
        };
        let reason: String = format!("{}: {error}", error.cause()).chars().take(LONGEST_REASON).collect();
        format!("{reason}{way_out}")
    }
}

impl AnswerTo {
    async fn put(&self, answer: Vec<u8>) -> Result<(), NotAnswered> {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(ATTEMPT))
            .max_idle_connections(0)
            .build();
        let agent = Agent::new_with_config(config);
        let mut fault = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let (agent, url, answer) = (agent.clone(), self.url.clone(), answer.clone());
            // S3, which takes the answer, has signed the request with an empty type.
            let put = move || agent.put(url.expose()).header("content-type", "").send(&answer[..]).map(|_| ());
            match tokio::task::spawn_blocking(put).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(ureq::Error::StatusCode(status))) => fault = format!("it answers {status}"),
                Ok(Err(ureq::Error::Timeout(_))) => fault = "it does not answer in time".to_owned(),
                Ok(Err(_)) => fault = "it cannot be reached".to_owned(),
                Err(_) => fault = "the attempt was given up".to_owned(),
            }
        }
        Err(NotAnswered(fault))
    }
}

/// Logs what became of a request that was carried out, as one line.
pub(crate) fn log(resolved: &Resolved) {
    let Resolved { outcome, registered } = resolved;
    tracing::info!(outcome, registered, "the stack's registration was seen to");
}

impl Resolved {
    pub(crate) fn by(report: &Report) -> Self {
        let registered = report.registered.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { outcome: report.outcome.name(), registered }
    }

    pub(crate) fn without_asking(outcome: &'static str) -> Self {
        Self { outcome, registered: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut Value)) -> Result<CustomResource, BadCustomResource> {
        let mut event = json!({
            "RequestType": "Create",
            "ResponseURL": "https://cloudformation.example/answer?X-Amz-Signature=s3cret",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Registration",
            "ResourceProperties": { "RegisterOnDeploy": "true" },
        });
        change(&mut event);
        CustomResource::read(&event)
    }

    #[test]
    fn the_wish_follows_from_the_type_of_the_request_and_the_parameter() {
        for (kind, register, wish) in [
            ("Create", "true", Wish::Register),
            ("Update", "true", Wish::Register),
            ("Delete", "true", Wish::Restore),
            ("Create", "false", Wish::LeaveAlone),
            ("Update", "false", Wish::LeaveAlone),
            ("Delete", "false", Wish::LeaveAlone),
        ] {
            let request = request(|event| {
                event["RequestType"] = kind.into();
                event["ResourceProperties"]["RegisterOnDeploy"] = register.into();
            });
            assert_eq!(request.unwrap().wish, wish, "{kind} {register}");
        }
        assert_eq!(request(|event| event["ResourceProperties"] = json!({})).unwrap().wish, Wish::Register);
    }

    #[test]
    fn a_request_that_cannot_be_answered_is_refused_with_its_fault_and_without_its_url() {
        for name in ["ResponseURL", "StackId", "RequestId", "LogicalResourceId", "RequestType"] {
            assert_eq!(request(|event| event[name] = json!(1)).unwrap_err(), BadCustomResource::Missing(name));
        }
        assert_eq!(request(|event| event["RequestType"] = "Read".into()).unwrap_err(), BadCustomResource::RequestType);
        for url in ["http://example.com/s3cret", "file:///etc/passwd", "s3cret"] {
            let fault = request(|event| event["ResponseURL"] = url.into()).unwrap_err();
            assert_eq!(fault, BadCustomResource::ResponseUrl);
        }
        assert!(!format!("{:?}", request(|_| ()).unwrap()).contains("s3cret"));
    }
}
