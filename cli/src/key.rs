//! `hooks key`: the API key of a line, from the sealed table.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, builder::NonEmptyStringValueParser};
use shared::{Entity, text::plain};
use store::SealedReader;

use crate::{
    consent::Consent,
    output::{Output, json, print},
    target::{Target, TargetArgs},
};

/// Whose key, and how to show it.
#[derive(Args)]
pub struct Key {
    /// Whose, such as whatsapp#972501234567.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    entity: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: TargetArgs,
    /// How to show it: the key alone, or as json an object on one line that also has the event that brought it.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows the key that the newest event with one has brought, if the person agrees.
///
/// # Errors
/// When the person does not, when there is none, or it cannot be read.
pub async fn show(Key { entity, consent, target, output }: Key) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let name = plain(&entity);
    consent.ask(&format!("Show the API key of {name}?"))?;
    let sealed = SealedReader::new(target.dynamodb, target.settings.sealed_table);
    let found = sealed.api_key(&Entity::named(&entity)).await?;
    let key = found.with_context(|| format!("there is no API key of {name}: no event has brought one"))?;
    print(&match output {
        Output::Json => json::key(&entity, &key)?,
        Output::Table => format!("{}\n", key.api_key.expose()),
    })?;
    Ok(ExitCode::SUCCESS)
}
