//! `hooks dlq`: the dead letters of the fallback queue and of the forward queue.

mod delivery;
mod fallback;
mod forward;
mod scan;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use crate::{
    output::Output,
    target::{Target, TargetArgs},
};

/// Lists, shows and redrives dead letters: deliveries that could not be recorded, or events that your endpoint did not accept.
#[derive(Args)]
#[command(after_help = "\
With --queue fallback (the default), list and show receive the messages: SQS hides them from other readers for a moment, and counts one \
more receipt. With --queue forward, list and show read the forwarder's records instead. Records and messages are kept for 14 days.

Examples:
  cargo hooks dlq list --stack partner-webhook
  cargo hooks dlq show 3f2b7c1e-0000-4000-8000-000000000000
  cargo hooks dlq redrive 3f2b7c1e-0000-4000-8000-000000000000
  cargo hooks dlq redrive --all --stack partner-webhook
  cargo hooks dlq list --queue forward --stack partner-webhook
  cargo hooks dlq redrive --all --queue forward --stack partner-webhook")]
pub struct DeadLetters {
    #[command(subcommand)]
    command: Command,
    /// Queue to look in: fallback for deliveries that could not be recorded, forward for events that your endpoint did not accept.
    #[arg(long, global = true, value_enum, default_value_t = Queue::Fallback)]
    queue: Queue,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A queue with dead letters.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Queue {
    Fallback,
    Forward,
}

/// The actions.
#[derive(Subcommand)]
enum Command {
    /// Lists the dead letters: those of the fallback queue in no particular order, those of the forward queue newest first.
    List {
        /// Maximum number of dead letters to list.
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Shows everything about one dead letter, with its body but without secrets.
    #[command(after_help = "Exit code: 0, or 1 when there is no such dead letter.")]
    Show {
        /// Id of the message, as shown by `list`. With --queue forward, id of the event or its last digits.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Moves dead letters back to their queue: redrive records the deliveries, or the forwarder sends the events again.
    #[command(
        after_help = "--all leaves messages that cannot be read in the dead-letter queue. In the fallback queue, name the id of such a message to move it too.\nExit code: 0, or 1 when one of the ids has no dead letter."
    )]
    Redrive {
        #[command(flatten)]
        which: Which,
    },
}

/// The dead letters to move.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Ids of the messages, as shown by `list`. With --queue forward, ids of the events or their last digits.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
    /// Move all that can be read.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// Fails when AWS refuses or does not answer, and on Ctrl-C. In either case the messages that were looked at are made visible again.
pub async fn run(DeadLetters { command, queue, target, output }: DeadLetters) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    match (queue, command) {
        (Queue::Fallback, command) => fallback::run(&target.queues, command, output).await,
        (Queue::Forward, Command::List { limit }) => forward::list(&target, limit, output).await,
        (Queue::Forward, Command::Show { id }) => forward::show(&target, &id, output).await,
        (Queue::Forward, Command::Redrive { which }) => forward::redrive(&target, &which.ids, output).await,
    }
}
