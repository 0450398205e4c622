//! `hooks`: runs the whole system on this machine, sends events to it, shows what it or a deployed stack received, and
//! manages the webhook's registration.

mod aws_error;
mod completions;
mod consent;
mod dead_letters;
mod dev;
mod doctor;
#[cfg(test)]
mod documented;
mod events;
mod export;
mod faults;
mod forward;
mod handing_on;
mod inspect;
mod interrupt;
mod inventory;
mod key;
mod line;
mod lines;
mod local_functions;
mod named;
mod output;
mod project;
mod quarantine;
mod query;
mod recover;
mod registration_status;
mod replay;
mod route;
mod samples;
mod send;
mod show;
mod state;
mod states;
mod stats;
mod target;
mod tools;
mod webhook;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Runs the partner webhook on this machine, shows what it or a deployed stack received, and manages the webhook's registration.
#[derive(Parser)]
#[command(name = "hooks", version, arg_required_else_help = true)]
struct Hooks {
    #[command(subcommand)]
    command: Command,
    /// Use this machine's time zone, for output and for times without a zone. Default: UTC. JSON is always in UTC.
    #[arg(long, global = true)]
    local: bool,
}

/// Each command describes itself in the file of its name.
#[derive(Subcommand)]
enum Command {
    Dev(dev::Dev),
    Send(send::SendArgs),
    Doctor(doctor::Doctor),
    Events(events::Events),
    Export(export::Export),
    Replay(replay::Replay),
    Show(show::Show),
    State(state::StateOf),
    States(states::States),
    Stats(stats::Stats),
    Key(key::Key),
    Quarantine(quarantine::QuarantineArgs),
    Dlq(dead_letters::DeadLetters),
    Forward(forward::Forward),
    Recover(recover::Recover),
    Inspect(inspect::Inspect),
    Webhook(webhook::Webhook),
    Inventory(inventory::Inventory),
    Tools(tools::Tools),
    Lines(lines::LinesArgs),
    Line(line::LineArgs),
    Completions(completions::Completions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Hooks { command, local } = Hooks::parse();
    if local && let Err(fault) = output::times::use_local() {
        output::note(&faults::told(&fault.into()));
        return ExitCode::FAILURE;
    }
    let done = match command {
        Command::Dev(dev) => dev::run(dev).await,
        Command::Send(send) => send::run(send).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
        Command::Events(events) => events::run(events).await,
        Command::Export(export) => export::run(export).await,
        Command::Replay(replay) => replay::run(replay).await,
        Command::Show(show) => show::run(show).await,
        Command::State(state) => state::run(state).await,
        Command::States(states) => states::run(states).await,
        Command::Stats(stats) => stats::run(stats).await,
        Command::Key(key) => key::run(key).await,
        Command::Quarantine(quarantine) => quarantine::run(quarantine).await,
        Command::Dlq(dead_letters) => dead_letters::run(dead_letters).await,
        Command::Forward(forward) => forward::run(forward).await,
        Command::Recover(recover) => recover::run(recover).await,
        Command::Inspect(inspect) => inspect::run(inspect).await,
        Command::Webhook(webhook) => webhook::run(webhook).await,
        Command::Inventory(inventory) => inventory::run(inventory).await,
        Command::Tools(tools) => tools::run(tools).await,
        Command::Lines(lines) => lines::run(lines).await,
        Command::Line(line) => line::run(line).await,
        Command::Completions(completions) => completions::run(Hooks::command(), &completions),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output::note(&faults::told(&error));
            ExitCode::FAILURE
        }
    }
}
