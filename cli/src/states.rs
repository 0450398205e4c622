//! `hooks states`: lists the entities of a kind with their states.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, builder::NonEmptyStringValueParser};
use shared::{Integer, Kind};
use store::{first, page_size};

use crate::{
    output::{List, Output, json, tables},
    target::{Target, TargetArgs},
};

/// Lists the states of a kind, in no particular order.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks states --kind whatsapp
  cargo hooks states --kind whatsapp --update 2 --stack partner-webhook --output json")]
pub struct States {
    /// Kind of the entities, such as whatsapp, builder or online.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    kind: String,
    /// Only entities whose last update code is this number (the provider's whatsapp_extra_info, builder_extra_info, …).
    #[arg(long, alias = "status", value_name = "CODE", value_parser = integer, allow_negative_numbers = true)]
    update: Option<Integer>,
    /// Maximum number of states to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn integer(text: &str) -> Result<Integer, &'static str> {
    Integer::parse(text).ok_or("not a whole number of at most 38 digits")
}

/// Lists the states of a kind.
///
/// # Errors
/// Fails when they cannot be read.
pub async fn run(States { kind, update, limit, target, output }: States) -> Result<ExitCode> {
    let reader = Target::find(target).await?.reader;
    let states = reader.states(&Kind::of(&kind), update.as_ref(), None, page_size(limit));
    let (states, more) = first(states, limit).await?;
    let more = more.then(|| format!("{} of more states", states.len()));
    List { items: &states, none: "No such states.\n".to_owned(), more }.print(output, json::state, tables::states)?;
    Ok(ExitCode::SUCCESS)
}
