//! `hooks`: runs the whole system on this machine, sends events to it, and looks after the webhook's registration.

mod build;
mod cargo_lambda;
mod dev;
mod event_source;
mod functions;
mod human_time;
mod project;
mod samples;
mod send;
mod show;
mod status;
mod target;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Partner webhook: run it on this machine, look at it, send events to it, look after its registration.
#[derive(Parser)]
#[command(name = "hooks", version, arg_required_else_help = true)]
struct Hooks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine: registers the webhook with a stand-in for the provider, delivers the provider's
    /// documented events through the real receiver, and shows what is stored. Stays up until Ctrl-C.
    #[command(
        after_help = "Examples:\n  cargo hooks dev             start, deliver three events, stay up\n  cargo hooks dev --once      start, deliver three events, check, end\n  cargo hooks dev --persist   keep the events for the next run"
    )]
    Dev {
        /// End after the first round trip; the exit code tells whether everything arrived.
        #[arg(long)]
        once: bool,
        /// Keep the database in a file under target/ and go on with it next time.
        #[arg(long)]
        persist: bool,
        /// Have something fail while the events are delivered, and see that they are stored all the same.
        #[arg(long, value_enum)]
        fail: Option<dev::Fail>,
        /// The port on which the functions are called; a free one if this is taken.
        #[arg(long, default_value_t = 9000)]
        port: u16,
    },
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
    /// Looks after the webhook's registration with the provider, on the local run or on a deployed stack.
    #[command(
        after_help = "Examples:\n  cargo hooks webhook status                                 the local run\n  cargo hooks webhook status --stack partner-webhook         a deployed stack\n  cargo hooks webhook status --since 7d --output json        for programs\n  cargo hooks webhook plan --stack partner-webhook           exit code 3 when our URL is not registered\n  cargo hooks webhook set                                    our URL\n  cargo hooks webhook set https://other.example/in           another one"
    )]
    Webhook(webhook::Webhook),
}

#[tokio::main]
async fn main() -> ExitCode {
    let hooks = Hooks::parse();
    let done = match hooks.command {
        Command::Dev { once, persist, fail, port } => dev::run(dev::Options { once, persist, fail, port }).await,
        Command::Send { event, url } => send::run(&event, url).await,
        Command::Webhook(webhook) => webhook::run(webhook).await,
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
