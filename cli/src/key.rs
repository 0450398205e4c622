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

/// Prints the API key of a line: the last one that an event carried. Asks first.
#[derive(Args)]
#[command(after_help = "\
Anyone with the key can send messages as the client. It goes to standard output, and nowhere else.
Exit code: 0, or 1 when no event carried a key, or the answer is not yes.

Examples:
  cargo hooks key whatsapp#972501234567
  cargo hooks key whatsapp#972501234567 --stack partner-webhook --yes | wl-copy")]
pub struct Key {
    /// Entity, such as whatsapp#972501234567, or its number or reference alone.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    entity: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format: the key alone, or with json one object on one line that also names the event that carried the key.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Prints the key of the newest event with one, if the person agrees.
///
/// # Errors
/// Fails when the person does not agree, there is no key, or it cannot be read.
pub async fn run(Key { entity, consent, target, output }: Key) -> Result<ExitCode> {
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
