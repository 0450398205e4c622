//! The checks that a stack can be reached, and that its last deployment succeeded.

use anyhow::Result;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use shared::Causes;

use super::report::{Finding, Report};
use crate::{
    aws_error::AwsError,
    target::{self, Stack, TargetArgs},
};

/// AWS' errors for expired credentials.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// AWS' errors for unknown credentials, or a wrong secret.
const UNKNOWN: [&str; 5] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "IncompleteSignature",
];

/// Finds the stack, and notes every finding on the way; `None` when one of them is a failure.
///
/// # Errors
/// Fails when the findings cannot be written.
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
            report.note("credentials", Finding::ok("AWS accepts them"))?;
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

/// Returns a fault of the credentials that shows before AWS has seen them.
async fn credentials_fault(aws: &SdkConfig) -> Option<Finding> {
    const FIX: &str = "aws configure, or aws sso login";
    let Some(provider) = aws.credentials_provider() else {
        return Some(Finding::fail("there are none", FIX));
    };
    let error = provider.provide_credentials().await.err()?;
    // The lines after the first one list every place that was tried.
    let message = Causes(&error).to_string();
    let first = message.lines().next().unwrap_or_default();
    Some(Finding::fail(first.trim_end_matches(" Attempted:"), FIX))
}

/// Judges the credentials and the stack by the error of DescribeStacks.
fn judge(code: Option<&str>, message: &str) -> (Finding, Finding) {
    match code {
        Some(code) if EXPIRED.contains(&code) => (
            Finding::fail(
                format!("they have expired ({code})"),
                "aws sso login, or get new credentials from where these came",
            ),
            Finding::skip("the credentials have expired"),
        ),
        Some(code) if UNKNOWN.contains(&code) => (
            Finding::fail(format!("AWS does not accept them ({code})"), "aws configure"),
            Finding::skip("AWS does not accept the credentials"),
        ),
        Some("AccessDenied" | "AccessDeniedException") => (
            Finding::ok("AWS accepts them"),
            Finding::fail(message, "give these credentials the permission cloudformation:DescribeStacks"),
        ),
        Some(_) => (
            Finding::ok("AWS accepts them"),
            Finding::fail(message, "aws cloudformation list-stacks, to see its name; else sam build && sam deploy"),
        ),
        None => (
            Finding::skip("AWS has not answered"),
            Finding::fail(message, "check that this machine can reach AWS in that region"),
        ),
    }
}

/// Checks that the last deployment succeeded.
pub fn status(stack: &Stack) -> Finding {
    const FIX: &str = "aws cloudformation describe-stack-events, to see the cause; then sam build && sam deploy";
    let status = stack.status();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Finding::ok(status),
        "UPDATE_ROLLBACK_COMPLETE" => {
            Finding::warn(format!("{status}: the last deployment failed and was undone"), FIX)
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            Finding::warn(format!("{status}: a deployment is running"), "wait until it ends, and try again")
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
