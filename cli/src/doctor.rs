//! `hooks doctor`: whether everything is there and works.

mod arrival;
mod finding;
mod parts;
mod registration;
mod stack;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, error::ErrorKind};

use self::{
    arrival::Entrance,
    finding::{Finding, Sheet, Verdict},
    parts::Functions,
};
use crate::{
    call::Caller,
    output::{Output, print},
    project::{Project, Run},
    target::{Choice, Target},
};

/// The kind of the events that the doctor sends to see whether they arrive.
pub const KIND: &str = "doctor";

/// What to look at, and how to show it.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    target: Choice,
    /// On a stack: have an event of kind doctor go through the receiver. Reads the webhook's token from Secrets Manager.
    #[arg(long)]
    send: bool,
    /// How to show it. As json it is an array on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What is needed for the checks that a local run and a stack have in common.
struct Patient {
    target: Target,
    functions: Functions,
    /// `None` when nothing is to be sent.
    entrance: Option<Entrance>,
    /// What mends a part that does not work.
    mend: &'static str,
}

/// What the checks of a [`Patient`] are called, in their order.
const OF_PATIENT: [&str; 6] = ["tables", "functions", "fallback queue", "dead-letter queue", "registration", "arrival"];

/// Looks at everything.
///
/// # Errors
/// When what it finds cannot be written.
pub async fn run(Doctor { target, send, output }: Doctor) -> Result<ExitCode> {
    if send && target.stack().is_none() {
        let message = "--send is about a deployed stack; name it with --stack. A local run is always sent an event\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
    }
    let mut sheet = Sheet::new(output);
    let (patient, missing) = match target.stack() {
        None => (local_run(&mut sheet).await?, "no local run is up"),
        Some(name) => (deployed(&mut sheet, name, &target, send).await?, "the stack is not there"),
    };
    match patient {
        Some(patient) => examine(&mut sheet, &patient, &target.arguments()).await?,
        None => {
            for what in OF_PATIENT {
                sheet.note(what, Finding::skip(missing))?;
            }
        }
    }
    if output == Output::Json {
        print(&sheet.json()?)?;
    }
    Ok(if sheet.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// This machine, and the local run if one is up.
async fn local_run(sheet: &mut Sheet) -> Result<Option<Patient>> {
    let project = match Project::find() {
        Ok(project) => project,
        Err(error) => {
            sheet.note("checkout", Finding::fail(format!("{error:#}"), "cd <the folder of the checkout>"))?;
            return Ok(None);
        }
    };
    sheet.note("checkout", Finding::ok(project.root().display().to_string()))?;
    sheet.check("cargo", tools::cargo()).await?;
    sheet.check("cargo-lambda", tools::cargo_lambda(&project)).await?;
    sheet.check("SAM CLI", tools::sam()).await?;
    sheet.check("AWS CLI", tools::aws()).await?;
    let run = match project.running("--stack") {
        Ok(run) => run,
        Err(error) => {
            sheet.note("local run", Finding::warn(format!("{error:#}"), "cargo hooks dev"))?;
            return Ok(None);
        }
    };
    sheet.note("local run", Finding::ok(format!("its webhook is {}", run.address)))?;
    patient_of(run).map(Some)
}

fn patient_of(run: Run) -> Result<Patient> {
    let functions = Functions::Local(Caller::at(run.functions));
    let target = Target::of_local_run(run)?;
    Ok(Patient {
        functions,
        entrance: target.webhook.clone().map(|webhook| Entrance::Local { webhook }),
        target,
        mend: "cargo hooks dev",
    })
}

/// A stack, if it can be reached.
async fn deployed(sheet: &mut Sheet, name: &str, choice: &Choice, send: bool) -> Result<Option<Patient>> {
    let Some(stack) = stack::reach(sheet, name, choice).await? else { return Ok(None) };
    let patient = || -> Result<Patient> {
        Ok(Patient {
            target: Target::of_stack(&stack, choice)?,
            functions: Functions::of_stack(&stack)?,
            entrance: send.then(|| Entrance::of_stack(&stack)).transpose()?,
            mend: "sam build && sam deploy",
        })
    };
    match patient() {
        Ok(patient) => {
            sheet.note("stack", stack::status(&stack))?;
            Ok(Some(patient))
        }
        Err(error) => {
            sheet.note("stack", Finding::fail(format!("{}: {error:#}", stack.status()), "sam build && sam deploy"))?;
            Ok(None)
        }
    }
}

/// Checks the parts, and then what they do together. `on` are the arguments that name the stack.
async fn examine(sheet: &mut Sheet, patient: &Patient, on: &str) -> Result<()> {
    let Patient { target, functions, entrance, mend } = patient;
    let tables = sheet.check("tables", parts::tables(target, mend)).await?;
    let called = sheet.check("functions", parts::functions(functions, mend)).await?;
    sheet.check("fallback queue", parts::fallback_queue(&target.queues, mend)).await?;
    sheet.check("dead-letter queue", parts::dead_letter_queue(&target.queues, on, mend)).await?;
    if [tables, called].contains(&Verdict::Fail) {
        for what in ["registration", "arrival"] {
            sheet.note(what, Finding::skip("it needs the tables and the functions"))?;
        }
        return Ok(());
    }
    sheet.check("registration", registration::check(target, on)).await?;
    match entrance {
        Some(entrance) => sheet.check("arrival", arrival::check(entrance, &target.reader, on)).await?,
        None => sheet.note(
            "arrival",
            Finding::skip("not checked; --send has an event of kind doctor go through the receiver"),
        )?,
    };
    Ok(())
}
