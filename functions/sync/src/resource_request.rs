use serde_json::Value;
use shared::{Secret, is_safe_for_secrets};
use thiserror::Error;
use url::Url;

/// An event of the custom resource.
#[derive(Debug)]
pub(crate) struct ResourceEvent {
    pub(crate) request: ResourceRequest,
    /// CloudFormation's id of the stack, which no other stack ever has.
    pub(crate) stack_id: String,
    pub(crate) request_id: String,
    pub(crate) logical_id: String,
    /// The URL for the answer. Anybody who has it can answer, because it is signed.
    pub(crate) response_url: Secret,
}

/// CloudFormation's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceRequest {
    /// The stack is new or has changed: register our URL.
    Register,
    /// The stack is new or has changed, and a person registers the URL.
    DeployOnly,
    /// The stack is being deleted: restore the URL registered before.
    Restore,
    /// The stack is being deleted, and a person takes care of the registration.
    LeaveAlone,
}

/// The reason why an event with a `RequestType` cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadResourceRequest {
    /// A member is missing, or not a string.
    #[error("the request is not as CloudFormation sends it: {0} is missing or not a string")]
    Missing(&'static str),
    /// `ResponseURL` is not https.
    #[error("ResponseURL is not an https URL")]
    ResponseUrl,
    /// `RequestType` is unknown.
    #[error("RequestType is not Create, Update or Delete")]
    RequestType,
}

impl ResourceEvent {
    /// Returns whether an event is one of the custom resource.
    pub(crate) fn is_one(event: &Value) -> bool {
        event.get("RequestType").is_some()
    }

    pub(crate) fn read(event: &Value) -> Result<Self, BadResourceRequest> {
        let text = |name| event.get(name).and_then(Value::as_str).ok_or(BadResourceRequest::Missing(name));
        let response_url = text("ResponseURL")?;
        if !Url::parse(response_url).is_ok_and(|url| is_safe_for_secrets(&url)) {
            return Err(BadResourceRequest::ResponseUrl);
        }
        // CloudFormation makes strings of all values.
        let register = event.pointer("/ResourceProperties/RegisterOnDeploy").and_then(Value::as_str) != Some("false");
        let request = match (text("RequestType")?, register) {
            ("Create" | "Update", true) => ResourceRequest::Register,
            ("Create" | "Update", false) => ResourceRequest::DeployOnly,
            ("Delete", true) => ResourceRequest::Restore,
            ("Delete", false) => ResourceRequest::LeaveAlone,
            _ => return Err(BadResourceRequest::RequestType),
        };
        Ok(Self {
            request,
            stack_id: text("StackId")?.to_owned(),
            request_id: text("RequestId")?.to_owned(),
            logical_id: text("LogicalResourceId")?.to_owned(),
            response_url: Secret::new(response_url),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(change: impl FnOnce(&mut Value)) -> Result<ResourceEvent, BadResourceRequest> {
        let mut event = json!({
            "RequestType": "Create",
            "ResponseURL": "https://cloudformation.example/answer?X-Amz-Signature=s3cret",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Registration",
            "ResourceProperties": { "RegisterOnDeploy": "true" },
        });
        change(&mut event);
        ResourceEvent::read(&event)
    }

    #[test]
    fn the_request_follows_from_its_type_and_the_parameter() {
        for (kind, register, expected) in [
            ("Create", "true", ResourceRequest::Register),
            ("Update", "true", ResourceRequest::Register),
            ("Delete", "true", ResourceRequest::Restore),
            ("Create", "false", ResourceRequest::DeployOnly),
            ("Update", "false", ResourceRequest::DeployOnly),
            ("Delete", "false", ResourceRequest::LeaveAlone),
        ] {
            let request = request(|event| {
                event["RequestType"] = kind.into();
                event["ResourceProperties"]["RegisterOnDeploy"] = register.into();
            });
            assert_eq!(request.unwrap().request, expected, "{kind} {register}");
        }
        assert_eq!(
            request(|event| event["ResourceProperties"] = json!({})).unwrap().request,
            ResourceRequest::Register
        );
    }

    #[test]
    fn a_request_that_cannot_be_answered_is_refused_with_its_fault_and_without_its_url() {
        for name in ["ResponseURL", "StackId", "RequestId", "LogicalResourceId", "RequestType"] {
            assert_eq!(request(|event| event[name] = json!(1)).unwrap_err(), BadResourceRequest::Missing(name));
        }
        assert_eq!(request(|event| event["RequestType"] = "Read".into()).unwrap_err(), BadResourceRequest::RequestType);
        for url in ["http://example.com/s3cret", "file:///etc/passwd", "s3cret"] {
            let fault = request(|event| event["ResponseURL"] = url.into()).unwrap_err();
            assert_eq!(fault, BadResourceRequest::ResponseUrl);
        }
        assert!(!format!("{:?}", request(|_| ()).unwrap()).contains("s3cret"));
    }
}
