//! `hooks state`: the last known value of each field of an entity.

use std::{process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::{Args, builder::NonEmptyStringValueParser};
use shared::{Kind, Timestamp, text::plain};
use store::{Inventory, SealedReader, State};

use crate::{
    named,
    output::{Output, json, print, tables, text, times},
    target::{Target, TargetArgs},
};

/// Shows the state of a line, bot or inbox: the last known value of each of its fields.
#[derive(Args)]
#[command(after_help = "\
A field that the provider does not document has the prefix other.
Exit code: 0, or 1 when no event has named the entity.

Examples:
  cargo hooks state 972501234567
  cargo hooks state builder#523 --stack partner-webhook --output json")]
pub struct StateOf {
    /// Entity, such as whatsapp#972501234567, builder#523 or online#eu1#523, or its number or reference alone.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    entity: String,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows the state of an entity.
///
/// # Errors
/// Fails when no event has named the entity, or its state cannot be read.
pub async fn run(StateOf { entity, target, output }: StateOf) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let entity = named::entity(&target.reader, &entity, "`cargo hooks states --reference`").await?;
    let state = target
        .reader
        .state(&entity)
        .await?
        .with_context(|| format!("there is no entity {}: no event has named it", plain(entity.as_str())))?;
    let inventory = Inventory::new(target.dynamodb.clone(), &target.settings.events_table);
    let listed = inventory.entity(&entity).await?;
    let gone_at = listed.and_then(|listed| listed.gone_since(Some(state.last_seen)));
    print(&match output {
        Output::Json => json::state(&state, gone_at)?,
        Output::Table => {
            let sealed = SealedReader::new(target.dynamodb, target.settings.sealed_table);
            let now = Timestamp::from(SystemTime::now());
            let key = match sealed.key_received_at(&entity).await {
                Ok(Some(at)) => format!("yes, last received at {}", times::shown_with_age(at, now)),
                Ok(None) => "no: no event has contained one".to_owned(),
                Err(error) => format!("not known: {error}"),
            };
            in_full(&state, gone_at, key, now)
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns everything known of an entity, for people.
fn in_full(state: &State, gone_at: Option<Timestamp>, key: String, now: Timestamp) -> String {
    let moment = |time| times::shown_with_age(time, now);
    let mut facts = vec![
        ("entity", state.entity.to_string()),
        ("kind", state.kind.clone()),
        ("events", state.version.to_string()),
        ("duplicates", state.duplicates.to_string()),
        ("first seen", moment(state.first_seen)),
        ("last seen", moment(state.last_seen)),
        ("last event", state.last_event_id.to_string()),
    ];
    facts.extend(gone_at.map(|at| ("gone", format!("not in the provider's list since {}", moment(at)))));
    // Other kinds have no keys.
    if matches!(Kind::of(&state.kind), Kind::Whatsapp | Kind::Store) {
        facts.push(("API key", key));
    }
    format!("{}\n{}", text::facts(&facts), tables::fields(state))
}
