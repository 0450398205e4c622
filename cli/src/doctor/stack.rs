//! The checks that a stack can be reached, and that its last deployment succeeded.

use anyhow::Result;

use super::report::{Finding, Report};
use crate::{
    faults::{Fault, Part},
    target::{self, Stack, TargetArgs},
};

/// Finds the stack, and notes every finding on the way; `None` when one of them is a failure.
///
/// # Errors
/// Fails when the findings cannot be written.
pub async fn reach(report: &mut Report, name: &str, choice: &TargetArgs) -> Result<Option<Stack>> {
    let profile = choice.named_profile();
    let found = match target::aws(choice).await {
        Ok(aws) => {
            report.note("region", Finding::ok(aws.region().map(ToString::to_string).unwrap_or_default()))?;
            match Fault::of_credentials(&aws, profile.as_deref()).await {
                Some(fault) => Err(fault),
                None => Stack::describe(name, &aws).await,
            }
        }
        Err(fault) => Err(fault),
    };
    let Fault { part, what, fix } = match found {
        Ok(stack) => {
            report.note("credentials", Finding::ok("AWS accepts them"))?;
            return Ok(Some(stack));
        }
        Err(fault) => fault,
    };
    let failed = Finding::fail(what, fix);
    match part {
        Part::Region | Part::Profile => {
            report.note("region", failed)?;
            for what in ["credentials", "stack"] {
                report.note(what, Finding::skip("the region is not known"))?;
            }
        }
        Part::Credentials => {
            report.note("credentials", failed)?;
            report.note("stack", Finding::skip("there are no usable credentials"))?;
        }
        Part::Network => {
            report.note("credentials", Finding::skip("AWS has not answered"))?;
            report.note("stack", failed)?;
        }
        Part::Stack | Part::Tool => {
            report.note("credentials", Finding::ok("AWS accepts them"))?;
            report.note("stack", failed)?;
        }
    }
    Ok(None)
}

/// Checks that the last deployment succeeded.
pub fn status(stack: &Stack) -> Finding {
    const FIX: &str = "aws cloudformation describe-stack-events, to see the cause; then sam build && sam deploy";
    let status = stack.status();
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Finding::ok(status),
        "UPDATE_ROLLBACK_COMPLETE" => {
            Finding::warn(format!("{status}: the last deployment failed and was rolled back"), FIX)
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            Finding::warn(format!("{status}: a deployment is running"), "wait until it ends, and try again")
        }
        _ => Finding::fail(status, FIX),
    }
}
