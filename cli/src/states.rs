//! `hooks state` and `hooks states`: what is known of the entities.

use std::{fmt::Write, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::{Args, builder::NonEmptyStringValueParser};
use shared::{
    Entity, Integer, Kind, Timestamp,
    human_time::{ago, to_the_second},
    text::plain,
};
use store::{State, first, page_size};

use crate::{
    output::{Output, json, print, tables, text},
    target::{Target, TargetArgs},
};

/// Which state, and how to show it.
#[derive(Args)]
pub struct StateOf {
    /// Whose, such as whatsapp#972501234567, builder#523 or online#eu1#523.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    entity: String,
    #[command(flatten)]
    target: TargetArgs,
    /// How to show it. As json it is an object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Which states, and how to show them.
#[derive(Args)]
pub struct States {
    /// Of which kind, such as whatsapp, builder or online.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    kind: String,
    /// Only those whose last update (`whatsapp_extra_info` and the like) is this one.
    #[arg(long, value_name = "NUMBER", value_parser = integer, allow_negative_numbers = true)]
    status: Option<Integer>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: TargetArgs,
    /// How to show them. As json each is an object on a line of its own.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn integer(text: &str) -> Result<Integer, &'static str> {
    Integer::parse(text).ok_or("not a whole number of at most 38 digits")
}

/// Shows the state of an entity.
///
/// # Errors
/// When it has none, or it cannot be read.
pub async fn show(StateOf { entity, target, output }: StateOf) -> Result<ExitCode> {
    let reader = Target::find(target).await?.reader;
    let found = reader.state(&Entity::named(&entity)).await?;
    let state = found.with_context(|| format!("there is no entity {}: no event has named it", plain(&entity)))?;
    print(&match output {
        Output::Json => json::state(&state)?,
        Output::Table => in_full(&state),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the states of a kind.
///
/// # Errors
/// When they cannot be read.
pub async fn list(States { kind, status, limit, target, output }: States) -> Result<ExitCode> {
    let reader = Target::find(target).await?.reader;
    let states = reader.states(&Kind::of(&kind), status.as_ref(), None, page_size(limit));
    let (states, more) = first(states, limit).await?;
    let mut shown = String::new();
    match output {
        Output::Json => {
            for state in &states {
                shown += &json::state(state)?;
            }
        }
        Output::Table if states.is_empty() && !more => writeln!(shown, "No such states.")?,
        Output::Table => {
            writeln!(shown, "{}", tables::states(&states))?;
            if more {
                writeln!(shown, "{} of more states; --limit shows more.", states.len())?;
            }
        }
    }
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that is known of an entity, for people.
fn in_full(state: &State) -> String {
    let now = Timestamp::from(SystemTime::now());
    let moment = |time| format!("{} ({})", to_the_second(time), ago(time, now));
    let facts = [
        ("entity", plain(state.entity.as_str())),
        ("kind", plain(&state.kind)),
        ("events", state.version.to_string()),
        ("duplicates", state.duplicates.to_string()),
        ("first seen", moment(state.first_seen)),
        ("last seen", moment(state.last_seen)),
        ("last event", state.last_event_id.to_string()),
    ];
    format!("{}\n{}\n", text::facts(&facts), tables::fields(state))
}
