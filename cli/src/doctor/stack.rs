//! Whether a stack can be reached, and how its last deployment ended.

use anyhow::Result;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use shared::Causes;

use super::finding::{Finding, Sheet};
use crate::target::{self, Choice, Refusal, Stack};

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
pub async fn reach(sheet: &mut Sheet, name: &str, choice: &Choice) -> Result<Option<Stack>> {
    let aws = match target::aws(choice).await {
        Ok(aws) => aws,
        Err(error) => {
            sheet.note("region", Finding::fail(format!("{error:#}"), "export AWS_REGION=<region>"))?;
            for what in ["credentials", "stack"] {
                sheet.note(what, Finding::skip("the region is not known"))?;
            }
            return Ok(None);
        }
    };
    sheet.note("region", Finding::ok(aws.region().map(ToString::to_string).unwrap_or_default()))?;
    if let Some(fault) = credentials_fault(&aws).await {
        sheet.note("credentials", fault)?;
        sheet.note("stack", Finding::skip("there are no credentials"))?;
        return Ok(None);
    }
    match Stack::describe(name, &aws).await {
        Ok(stack) => {
            sheet.note("credentials", Finding::ok("AWS takes them"))?;
            Ok(Some(stack))
        }
        Err(error) => {
            let code = error.downcast_ref::<Refusal>().and_then(|refusal| refusal.code.as_deref());
            let (credentials, stack) = judge(code, &format!("{error:#}"));
            sheet.note("credentials", credentials)?;
            sheet.note("stack", stack)?;
            Ok(None)
        }
    }
}

/// What is wrong with the credentials before AWS has seen them.
async fn credentials_fault(aws: &SdkConfig) -> Option<Finding> {
    const MEND: &str = "aws configure, or aws sso login";
    let Some(provider) = aws.credentials_provider() else {
        return Some(Finding::fail("there are none", MEND));
    };
    let error = provider.provide_credentials().await.err()?;
    // After the first line comes everywhere that was looked.
    let message = Causes(&error).to_string();
    let first = message.lines().next().unwrap_or_default();
    Some(Finding::fail(first.trim_end_matches(" Attempted:"), MEND))
}

/// What the answer to a question for the stack says of the credentials, and of the stack.
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
    const MEND: &str = "aws cloudformation describe-stack-events, to see the cause; then sam build && sam deploy";
    let status = stack.status();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Finding::ok(status),
        "UPDATE_ROLLBACK_COMPLETE" => {
            Finding::warn(format!("{status}: the last deployment failed and was undone"), MEND)
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            Finding::warn(format!("{status}: a deployment is going on"), "wait for its end, and try again")
        }
        _ => Finding::fail(status, MEND),
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
            let mut sheet = Sheet::new(Output::Json);
            sheet.note("credentials", credentials).unwrap();
            sheet.note("stack", stack).unwrap();
            let lines: Value = serde_json::from_str(&sheet.json().unwrap()).unwrap();
            assert_eq!(json!([lines[0]["verdict"], lines[1]["verdict"]]), json!(verdicts), "{code:?}");
        }
    }
}
