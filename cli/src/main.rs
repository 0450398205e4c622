//! `hooks`: runs the whole system on this machine, sends events to it, shows what arrived there or on a deployed stack, and looks after
//! the webhook's registration.

mod completions;
mod consent;
mod dead_letters;
mod dev;
mod doctor;
#[cfg(test)]
mod documented;
mod events;
mod export;
mod inspect;
mod interrupt;
mod key;
mod local_functions;
mod output;
mod project;
mod quarantine;
mod query;
mod registration_status;
mod replay;
mod samples;
mod send;
mod states;
mod target;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

/// Partner webhook: run it on this machine, look at it, send events to it, look after its registration.
#[derive(Parser)]
#[command(name = "hooks", version, arg_required_else_help = true)]
struct Hooks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(dev::Dev),
    /// Posts a sample event to the webhook of the local run.
    #[command(
        after_help = "Examples:\n  cargo hooks send whatsapp                     events/bodies/whatsapp.json\n  cargo hooks send my-event.json                a body of your own\n  cargo hooks send online --url https://…       to another webhook"
    )]
    Send {
        /// The name of a file in events/bodies, such as whatsapp, or the path of a file with a body.
        event: String,
        /// Where to; else the URL that the local run has registered.
        #[arg(long)]
        url: Option<String>,
    },
    /// Checks that everything is there and works, on this machine or on a deployed stack, and says what mends what does not.
    #[command(
        after_help = "Locally it looks for the tools and for the run that `hooks dev` has up, and sends that an event of kind doctor, which stays in its table. On a stack it changes nothing, unless --send is given: then it calls the receiver with such an event, as the gateway would, with the token from Secrets Manager.\nExit code: 0, or 1 when a check fails.\n\nExamples:\n  cargo hooks doctor\n  cargo hooks doctor --stack partner-webhook\n  cargo hooks doctor --stack partner-webhook --send --output json"
    )]
    Doctor(doctor::Doctor),
    /// Lists the events that were received, the last one first, on the local run or on a deployed stack.
    #[command(
        after_help = "Times are UTC. Secrets were taken out before the events were stored, and are not shown.\n\nExamples:\n  cargo hooks events                                         of the last day, on the local run\n  cargo hooks events --stack partner-webhook --since 7d      of a deployed stack\n  cargo hooks events --entity whatsapp#972501234567          of a line\n  cargo hooks events --kind quarantine --since 2026-11-01T00:00:00Z\n  cargo hooks events --follow --limit 0                      what comes from now on\n  cargo hooks events --output json --limit 1000 | jq .body   for programs\n\n--follow shows each event within seconds, but not one that was received before and waited in the fallback queue."
    )]
    Events(events::Events),
    /// Writes all events that were received in a time, the first one first, for programs: a JSON object on each line.
    #[command(
        after_help = "The objects are those of `hooks events --output json`. How many there were, and how far it is, goes to standard error.\n\nAn event that waited in the fallback queue is recorded under the time at which it came: an export that was made before has not got it. `hooks doctor` tells whether the queue is empty. Exports that are to join end to end, end with an --until a minute ago, as the index has each event a moment after it was recorded.\n\nExamples:\n  cargo hooks export --since 30d > events.jsonl\n  cargo hooks export --stack partner-webhook --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z > november.jsonl\n  cargo hooks export --reference client-7 | jq -c .body"
    )]
    Export(export::Export),
    /// Hands stored events to a consumer of yours once more, one after the other, as they came.
    #[command(
        after_help = "Each is a POST with the body as it is stored, in which secrets stand as [sealed], and the headers webhook-id and webhook-received-at. The next one follows when the consumer has answered with a 2xx; what it has not taken within 10 s, or answers with anything else, ends the replay. What could not be decoded has no body, and is skipped.\n\nUntil it has come to its end, a checkpoint is kept in $XDG_STATE_HOME/hooks, or ~/.local/state/hooks: --resume goes on from there, with the times that were meant at the start.\n\nAn event that waited in the fallback queue is recorded under the time at which it came: a replay that is past that, also with --resume, does not come back for it. `hooks doctor` tells whether the queue is empty.\nExit code: 0 when all were taken, else 1.\n\nExamples:\n  cargo hooks replay --since 2h --to https://example.com/events\n  cargo hooks replay --since 2h --to https://example.com/events --resume\n  cargo hooks replay --since 2h --to - < url-of-the-consumer\n  cargo hooks replay --stack partner-webhook --since 7d --entity whatsapp#972501234567 --rate 100 --to https://example.com/events\n  cargo hooks replay 019aaaaa-0000-7000-8000-000000000000 --to http://127.0.0.1:8080/events"
    )]
    Replay(replay::Replay),
    /// Shows everything about one event: when and from where it came, what it repeats, and its body.
    #[command(
        after_help = "Exit code: 0, or 1 when there is no such event.\n\nExamples:\n  cargo hooks show 019aaaaa-0000-7000-8000-000000000000\n  cargo hooks show 019aaaaa-0000-7000-8000-000000000000 --output json | jq .body"
    )]
    Show(events::Show),
    /// Shows the state of a line, bot or inbox: the last known value of each of its fields.
    #[command(
        after_help = "Fields that the provider does not document have the prefix other.\nExit code: 0, or 1 when no event has named the entity.\n\nExamples:\n  cargo hooks state whatsapp#972501234567\n  cargo hooks state builder#523 --stack partner-webhook --output json"
    )]
    State(states::StateOf),
    /// Lists the states of a kind, in no particular order.
    #[command(
        after_help = "Examples:\n  cargo hooks states --kind whatsapp\n  cargo hooks states --kind whatsapp --status 2 --stack partner-webhook --output json"
    )]
    States(states::States),
    /// Shows the API key of a line: the last one that an event has brought. Asks first.
    #[command(
        after_help = "Whoever has the key can send messages as the client. It goes to standard output, and nowhere else.\nExit code: 0, or 1 when no event has brought one, or the answer is not yes.\n\nExamples:\n  cargo hooks key whatsapp#972501234567\n  cargo hooks key whatsapp#972501234567 --stack partner-webhook --yes | wl-copy"
    )]
    Key(key::Key),
    /// Looks at what could not be decoded when it came, and tries it again.
    #[command(
        after_help = "Examples:\n  cargo hooks quarantine list --stack partner-webhook --since 30d\n  cargo hooks quarantine show 019aaaaa-0000-7000-8000-000000000000\n  cargo hooks quarantine show 019aaaaa-0000-7000-8000-000000000000 --raw | xxd\n  cargo hooks quarantine retry 019aaaaa-0000-7000-8000-000000000000\n  cargo hooks quarantine retry --since 30d                       all that came since"
    )]
    Quarantine(quarantine::QuarantineArgs),
    /// Looks at the dead-letter queue, in which ends what redrive could not record, and sends it through redrive again.
    #[command(
        after_help = "A message that is looked at is hidden from others for a moment, and counts as received once more.\n\nExamples:\n  cargo hooks dlq list --stack partner-webhook\n  cargo hooks dlq show 3f2b7c1e-0000-4000-8000-000000000000\n  cargo hooks dlq redrive 3f2b7c1e-0000-4000-8000-000000000000\n  cargo hooks dlq redrive --all --stack partner-webhook"
    )]
    Dlq(dead_letters::DeadLetters),
    /// Shows what arrives on a page in the browser, for the local run or a deployed stack: the deliveries as they come, the state
    /// and history of every entity, and the registration with its ledger.
    #[command(
        after_help = "It listens on 127.0.0.1 alone, and shows nothing without the token in its address. Secrets were taken out before the events were stored.\n\nExamples:\n  cargo hooks inspect                              the local run\n  cargo hooks inspect --stack partner-webhook      a deployed stack"
    )]
    Inspect(inspect::Inspect),
    /// Looks after the webhook's registration with the provider, on the local run or on a deployed stack.
    #[command(
        after_help = "Examples:\n  cargo hooks webhook status                                 the local run\n  cargo hooks webhook status --stack partner-webhook         a deployed stack\n  cargo hooks webhook status --since 7d --output json        for programs\n  cargo hooks webhook plan --stack partner-webhook           exit code 3 when our URL is not registered\n  cargo hooks webhook set                                    our URL\n  cargo hooks webhook set https://other.example/in           another one, once you have said yes"
    )]
    Webhook(webhook::Webhook),
    /// Writes what a shell needs to complete the command lines of hooks to standard output.
    #[command(
        after_help = "They complete the program hooks, once it is installed (cargo install --path cli).\n\nWhere to put them:\n  bash   hooks completions bash > ~/.local/share/bash-completion/completions/hooks\n  zsh    hooks completions zsh > ~/.zfunc/_hooks      with fpath+=~/.zfunc before compinit in ~/.zshrc\n  fish   hooks completions fish > ~/.config/fish/completions/hooks.fish"
    )]
    Completions(completions::Completions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let hooks = Hooks::parse();
    let done = match hooks.command {
        Command::Dev(dev) => dev::run(dev).await,
        Command::Send { event, url } => send::run(&event, url).await,
        Command::Events(events) => events::list(events).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
        Command::Export(export) => export::run(export).await,
        Command::Replay(replay) => replay::run(replay).await,
        Command::Show(show) => events::show(show).await,
        Command::State(state) => states::show(state).await,
        Command::States(states) => states::list(states).await,
        Command::Key(key) => key::show(key).await,
        Command::Quarantine(quarantined) => quarantine::run(quarantined).await,
        Command::Dlq(dead_letters) => dead_letters::run(dead_letters).await,
        Command::Inspect(inspect) => inspect::run(inspect).await,
        Command::Webhook(webhook) => webhook::run(webhook).await,
        Command::Completions(completions) => completions::write(Hooks::command(), &completions),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The path as a person would write it: from the current folder, if it is below that.
fn from_here(path: &std::path::Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}
