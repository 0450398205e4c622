//! `hooks doctor`: checks every part, and suggests a fix for each failed check.

mod arrival;
mod parts;
mod registration;
mod report;
mod stack;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, error::ErrorKind};

use self::{
    arrival::Endpoint,
    parts::Functions,
    report::{Finding, Report, Verdict},
};
use crate::{
    output::{Output, print},
    project::{Project, Run},
    target::{Target, TargetArgs},
};

/// Checks the tools and the local run, or a deployed stack, and suggests a fix for each failed check.
#[derive(Args)]
#[command(after_help = "\
Without --stack it checks the tools and the local run, and sends the local run an event of kind doctor, which stays in its table. \
On a stack it changes nothing, unless --send is given: then it calls the receiver with such an event, as the gateway would, with \
the token from Secrets Manager.
Exit code: 0, or 1 when a check fails.

Examples:
  cargo hooks doctor
  cargo hooks doctor --stack partner-webhook
  cargo hooks doctor --stack partner-webhook --send --output json")]
pub struct Doctor {
    #[command(flatten)]
    target: TargetArgs,
    /// Send an event of kind doctor through the receiver of a stack. Reads the webhook's token from Secrets Manager.
    #[arg(long)]
    send: bool,
    /// Output format. json is one array on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The local run or stack that is checked.
struct Subject {
    target: Target,
    functions: Functions,
    /// The endpoint to send an event to; `None` when nothing is sent.
    endpoint: Option<Endpoint>,
    /// The command that fixes a part that does not work.
    fix: &'static str,
}

/// The names of the checks of a [`Subject`], in their order.
const SUBJECT_CHECKS: [&str; 7] =
    ["tables", "functions", "fallback queue", "dead-letter queue", "handing on", "registration", "arrival"];

/// Runs every check.
///
/// # Errors
/// Fails when the findings cannot be written.
pub async fn run(Doctor { target, send, output }: Doctor) -> Result<ExitCode> {
    if send && target.stack().is_none() {
        let message = "--send needs a deployed stack: name it with --stack. A local run is always sent an event\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
    }
    let mut report = Report::new(output);
    let (subject, missing) = match target.stack() {
        None => (local_run(&mut report).await?, "no local run is up"),
        Some(name) => (deployed(&mut report, name, &target, send).await?, "the stack was not reached"),
    };
    match subject {
        Some(subject) => examine(&mut report, &subject, &target.arguments()).await?,
        None => {
            for what in SUBJECT_CHECKS {
                report.note(what, Finding::skip(missing))?;
            }
        }
    }
    if output == Output::Json {
        print(&report.json()?)?;
    }
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Checks this machine. Returns the local run, if one is up.
async fn local_run(report: &mut Report) -> Result<Option<Subject>> {
    let project = match Project::find() {
        Ok(project) => project,
        Err(error) => {
            report.note("checkout", Finding::fail(format!("{error:#}"), "cd <the folder of the checkout>"))?;
            return Ok(None);
        }
    };
    report.note("checkout", Finding::ok(project.root().display().to_string()))?;
    report.check("cargo", tools::cargo()).await?;
    report.check("cargo-lambda", tools::cargo_lambda(&project)).await?;
    report.check("SAM CLI", tools::sam(&project)).await?;
    report.check("AWS CLI", tools::aws()).await?;
    let run = match project.running("--stack") {
        Ok(run) => run,
        Err(error) => {
            report.note("local run", Finding::warn(format!("{error:#}"), "cargo hooks dev"))?;
            return Ok(None);
        }
    };
    report.note("local run", Finding::ok(format!("its webhook is {}", run.address)))?;
    subject_of(run).map(Some)
}

fn subject_of(run: Run) -> Result<Subject> {
    let functions = Functions::of_local_run(&run);
    let target = Target::of_local_run(run)?;
    Ok(Subject {
        functions,
        endpoint: target.webhook.clone().map(|webhook| Endpoint::Local { webhook }),
        target,
        fix: "cargo hooks dev",
    })
}

/// Returns a stack, if it can be reached.
async fn deployed(report: &mut Report, name: &str, choice: &TargetArgs, send: bool) -> Result<Option<Subject>> {
    let Some(stack) = stack::reach(report, name, choice).await? else { return Ok(None) };
    let subject = || -> Result<Subject> {
        Ok(Subject {
            target: Target::of_stack(&stack, choice)?,
            functions: Functions::of_stack(&stack)?,
            endpoint: send.then(|| Endpoint::of_stack(&stack)).transpose()?,
            fix: "sam build && sam deploy",
        })
    };
    match subject() {
        Ok(subject) => {
            report.note("stack", stack::status(&stack))?;
            Ok(Some(subject))
        }
        Err(error) => {
            report.note("stack", Finding::fail(format!("{}: {error:#}", stack.status()), "sam build && sam deploy"))?;
            Ok(None)
        }
    }
}

/// Checks each part, and then the parts together. `on` are the arguments that name the stack.
async fn examine(report: &mut Report, subject: &Subject, on: &str) -> Result<()> {
    let Subject { target, functions, endpoint, fix } = subject;
    let tables = report.check("tables", parts::tables(target, fix)).await?;
    let called = report.check("functions", parts::functions(functions, fix)).await?;
    report.check("fallback queue", parts::fallback_queue(&target.queues, fix)).await?;
    report.check("dead-letter queue", parts::dead_letter_queue(&target.queues, on, fix)).await?;
    if tables == Verdict::Fail {
        report.note("handing on", Finding::skip("it needs the tables"))?;
    } else {
        report.check("handing on", parts::handing_on(target, on, fix)).await?;
    }
    if [tables, called].contains(&Verdict::Fail) {
        for what in ["registration", "arrival"] {
            report.note(what, Finding::skip("it needs the tables and the functions"))?;
        }
        return Ok(());
    }
    report.check("registration", registration::check(target, on)).await?;
    match endpoint {
        Some(endpoint) => report.check("arrival", arrival::check(endpoint, &target.reader, on)).await?,
        None => report
            .note("arrival", Finding::skip("not checked; --send sends an event of kind doctor through the receiver"))?,
    };
    Ok(())
}
