//! Whether a stack can be reached, and how its last deployment ended.

use anyhow::Result;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use shared::Causes;

use super::report::{Finding, Report};
use crate::target::{self, AwsError, Stack, TargetArgs};

/// What AWS answers to credentials whose time is over.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// What it answers to credentials that it does not know, or whose secret is wrong.
const UNKNOWN: [&str; 5] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "IncompleteSignature",
];

/// Finds the stack; `None` when something on the way to it fails, which is noted.
///
/// # Errors
/// When what is found cannot be written.
pub async fn reach(report: &mut Report, name: &str, choice: &TargetArgs) -> Result<Option<Stack>> {
    let aws = match target::aws(choice).await {
        Ok(aws) => aws,
        Err(error) => {
            report.note("region", Finding::fail(format!("{error:#}"), "export AWS_REGION=<region>"))?;
            for what in ["credentials", "stack"] {
                report.note(what, Finding::skip("the region is not known"))?;
            }
            return Ok(None);
        }
    };
    report.note("region", Finding::ok(aws.region().map(ToString::to_string).unwrap_or_default()))?;
    if let Some(fault) = credentials_fault(&aws).await {
        report.note("credentials", fault)?;
        report.note("stack", Finding::skip("there are no credentials"))?;
        return Ok(None);
    }
    match Stack::describe(name, &aws).await {
        Ok(stack) => {
            report.note("credentials", Finding::ok("AWS takes them"))?;
            Ok(Some(stack))
        }
        Err(error) => {
            let code = error.downcast_ref::<AwsError>().and_then(|refusal| refusal.code.as_deref());
            let (credentials, stack) = judge(code, &format!("{error:#}"));
            report.note("credentials", credentials)?;
            report.note("stack", stack)?;
            Ok(None)
        }
    }
}

/// What is wrong with the credentials before AWS has seen them.
async fn credentials_fault(aws: &SdkConfig) -> Option<Finding> {
    const FIX: &str = "aws configure, or aws sso login";
    let Some(provider) = aws.credentials_provider() else {
        return Some(Finding::fail("there are none", FIX));
    };
    let error = provider.provide_credentials().await.err()?;
    // After the first line comes everywhere that was looked.
    let message = Causes(&error).to_string();
    let first = message.lines().next().unwrap_or_default();
    Some(Finding::fail(first.trim_end_matches(" Attempted:"), FIX))
}

/// What the answer to a request for the stack says of the credentials, and of the stack.
fn judge(code: Option<&str>, message: &str) -> (Finding, Finding) {
    match code {
        Some(code) if EXPIRED.contains(&code) => (
            Finding::fail(
                format!("they have expired ({code})"),
                "aws sso login, or get new ones the way that these came",
            ),
            Finding::skip("the credentials have expired"),
        ),
        Some(code) if UNKNOWN.contains(&code) => (
            Finding::fail(format!("AWS does not take them ({code})"), "aws configure"),
            Finding::skip("AWS does not take the credentials"),
        ),
        Some("AccessDenied" | "AccessDeniedException") => (
            Finding::ok("AWS takes them"),
            Finding::fail(message, "have the permission cloudformation:DescribeStacks given to these credentials"),
        ),
        Some(_) => (
            Finding::ok("AWS takes them"),
            Finding::fail(message, "aws cloudformation list-stacks, to see its name; else sam build && sam deploy"),
        ),
        None => (
            Finding::skip("AWS has not answered"),
            Finding::fail(message, "see to it that this machine reaches AWS in that region"),
        ),
    }
}

/// How its last deployment ended.
pub fn status(stack: &Stack) -> Finding {
    const FIX: &str = "aws cloudformation describe-stack-events, to see the cause; then sam build && sam deploy";
    let status = stack.status();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Finding::ok(status),
        "UPDATE_ROLLBACK_COMPLETE" => {
            Finding::warn(format!("{status}: the last deployment failed and was undone"), FIX)
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            Finding::warn(format!("{status}: a deployment is going on"), "wait for its end, and try again")
        }
        _ => Finding::fail(status, FIX),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::Output;

    #[test]
    fn the_refusal_of_aws_tells_credentials_from_a_missing_stack() {
        for (code, verdicts) in [
            (Some("ExpiredToken"), ["fail", "skip"]),
            (Some("InvalidClientTokenId"), ["fail", "skip"]),
            (Some("AccessDenied"), ["ok", "fail"]),
            (Some("ValidationError"), ["ok", "fail"]),
            (None, ["skip", "fail"]),
        ] {
            let (credentials, stack) = judge(code, "message");
            let mut report = Report::new(Output::Json);
            report.note("credentials", credentials).unwrap();
            report.note("stack", stack).unwrap();
            let lines: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
            assert_eq!(json!([lines[0]["verdict"], lines[1]["verdict"]]), json!(verdicts), "{code:?}");
        }
    }
}
