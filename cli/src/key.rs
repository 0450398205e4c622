//! `hooks key`: the API keys of lines, from the sealed table.

use std::{future::ready, process::ExitCode};

use anyhow::{Context, Error, Result, ensure};
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use clap::{Args, builder::NonEmptyStringValueParser, error::ErrorKind};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use shared::{Entity, Kind, Secret, text::plain};
use store::{PAGE, Reader, SealedReader, State, named};

use crate::{
    aws_error::AwsError,
    consent::Consent,
    output::{Output, json, note, print, progress::Progress},
    target::{Target, TargetArgs},
};

/// Number of keys that are read at once.
const AT_ONCE: usize = 8;

/// The error of `--all` without a key.
const NO_KEYS: &str = "there are no API keys: no event has contained one";

/// Prints the newest API key of a line, or those of all lines and stores. Asks first.
#[derive(Args)]
#[command(after_help = "\
Anyone with a key can send messages as the client. The key is written to standard output, or to Secrets Manager, and nowhere else. With \
--all the keys of all lines and stores are read, and lines without a key are left out.
Exit code: 0; or 1 when no event contained a key, the answer is not yes, or a secret was not stored.

Examples:
  cargo hooks key 972501234567
  cargo hooks key whatsapp#972501234567 --stack partner-webhook --yes | wl-copy
  cargo hooks key --all --output json --stack partner-webhook > keys.jsonl
  cargo hooks key --all --to-secrets-manager clients/ --stack partner-webhook      as clients/whatsapp/972501234567")]
pub struct Key {
    #[command(flatten)]
    which: Which,
    /// Store each key as a secret in the stack's account, instead of printing it. The secret's name is PREFIX, the kind, a slash and the
    /// number. An existing secret gets a new version.
    #[arg(long, value_name = "PREFIX", requires = "all", value_parser = NonEmptyStringValueParser::new())]
    to_secrets_manager: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format: the key alone, or with json one object on one line that also names the event that contained the key. With --all,
    /// one line for each key, with the reference, and sorted by it.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The keys to read.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Entity, such as whatsapp#972501234567, or its number or reference alone.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    entity: Option<String>,
    /// Read the keys of all lines and stores.
    #[arg(long)]
    all: bool,
}

/// Prints or stores the keys, if the person agrees.
///
/// # Errors
/// Fails when the person does not agree, there is no key, or it cannot be read or stored.
pub async fn run(Key { which, to_secrets_manager, consent, target, output }: Key) -> Result<ExitCode> {
    if to_secrets_manager.is_some() && target.stack().is_none() {
        let message = "--to-secrets-manager needs a deployed stack: name it with --stack\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
    }
    let target = Target::find(target).await?;
    let sealed = SealedReader::new(target.dynamodb.clone(), &target.settings.sealed_table);
    match (which.entity, to_secrets_manager) {
        (Some(typed), _) => print_one(&target, &sealed, &typed, &consent, output).await?,
        (None, None) => {
            let states = with_keys(&target.reader).await?;
            consent.ask(&format!("Show the API keys of up to {} lines and stores?", states.len()))?;
            print_all(&sealed, states, output).await?;
        }
        (None, Some(prefix)) => {
            let states = with_keys(&target.reader).await?;
            let secrets = target.secrets.as_ref().context("there is no Secrets Manager")?;
            consent.ask(&format!(
                "Store the API keys of up to {} lines and stores of the stack {} in {}, as the secrets {prefix}whatsapp/<number> and \
                 {prefix}store/<number>, with a new version for each secret that exists?",
                states.len(),
                target.choice.stack().unwrap_or_default(),
                secrets.place
            ))?;
            store_all(&sealed, states, &secrets.client, &prefix, output).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_one(
    target: &Target,
    sealed: &SealedReader,
    typed: &str,
    consent: &Consent,
    output: Output,
) -> Result<()> {
    // A whole name needs no permission for the events table.
    let entity = match typed.contains('#') {
        true => Entity::named(typed),
        false => {
            let mut named = named::entities(&target.reader, typed).await?;
            // A client's bots and inboxes have no key.
            if named.same.iter().chain(&named.referenced).any(can_have_key) {
                named.retain(can_have_key);
            }
            named.only(typed, "entity", "`cargo hooks states --reference`").map_err(Error::msg)?
        }
    };
    let name = plain(entity.as_str());
    consent.ask(&format!("Show the API key of {name}?"))?;
    let key = sealed.api_key(&entity).await?;
    let key = key.with_context(|| format!("there is no API key of {name}: no event has contained one"))?;
    print(&match output {
        Output::Json => json::line(&json::key(entity.as_str(), &key))?,
        // A usable key has nothing to escape.
        Output::Table => format!("{}\n", plain(key.api_key.expose())),
    })?;
    Ok(())
}

/// Returns the states of all entities that can have a key, by their references; those without one last.
///
/// # Errors
/// Fails when they cannot be read, or there are none.
async fn with_keys(reader: &Reader) -> Result<Vec<State>> {
    let states = |kind| reader.states(&kind, None, PAGE);
    let states = states(Kind::Whatsapp).chain(states(Kind::Store));
    let mut states: Vec<State> = states.try_filter(|state| ready(can_have_key(&state.entity))).try_collect().await?;
    ensure!(!states.is_empty(), NO_KEYS);
    states.sort_by_cached_key(|state| {
        (state.reference().is_none(), state.reference().map(str::to_owned), state.entity.clone())
    });
    Ok(states)
}

fn can_have_key(entity: &Entity) -> bool {
    // An event without a number belongs to no line.
    entity.is_whole()
        && [Kind::Whatsapp, Kind::Store].iter().any(|kind| entity.as_str().starts_with(&format!("{kind}#")))
}

async fn print_all(sealed: &SealedReader, states: Vec<State>, output: Output) -> Result<()> {
    let keys = stream::iter(states).map(async |state| (sealed.api_key(&state.entity).await, state)).buffered(AT_ONCE);
    let mut keys = std::pin::pin!(keys);
    let mut is_none = true;
    while let Some((key, state)) = keys.next().await {
        let Some(key) = key? else { continue };
        is_none = false;
        let (entity, reference) = (state.entity.as_str(), state.reference());
        let line = match output {
            Output::Json => {
                let mut object = json::key(entity, &key);
                object["reference"] = json!(reference);
                json::line(&object)?
            }
            Output::Table => {
                let reference = plain(reference.unwrap_or_default());
                let key = plain(key.api_key.expose());
                format!("{}\n", format!("{}  {key}  {reference}", plain(entity)).trim_end())
            }
        };
        if !print(&line)? {
            break;
        }
    }
    ensure!(!is_none, NO_KEYS);
    Ok(())
}

/// Stores each key as a secret, and continues after a refusal that concerns one secret. Secrets that were stored before a failure stay, and
/// the command can be run again.
async fn store_all(
    sealed: &SealedReader,
    states: Vec<State>,
    secrets: &aws_sdk_secretsmanager::Client,
    prefix: &str,
    output: Output,
) -> Result<()> {
    let progress = Progress::to(states.len() as u64);
    let (mut created, mut updated, mut refused) = (0_u64, 0_u64, 0_u64);
    for (done, state) in (1..).zip(&states) {
        let entity = &state.entity;
        progress.reached(done, format!("{done} of {}", states.len()));
        let Some(key) = sealed.api_key(entity).await? else { continue };
        let name = format!("{prefix}{}", entity.as_str().replacen('#', "/", 1));
        let (number, outcome) = match store_secret(secrets, &name, &key.api_key).await? {
            Stored::Created => (&mut created, "created"),
            Stored::Updated => (&mut updated, "updated"),
            Stored::Refused(why) => {
                note(&format!("error: {why:#}"));
                (&mut refused, "refused")
            }
        };
        *number += 1;
        if output == Output::Json {
            progress.print(&json::line(&json!({ "entity": entity, "secret": name, "outcome": outcome }))?)?;
        }
    }
    ensure!(created + updated + refused > 0, NO_KEYS);
    if output == Output::Table {
        progress.print(&format!("{created} secrets created, {updated} updated.\n"))?;
    }
    ensure!(
        refused == 0,
        "{refused} of {} secrets could not be stored; `aws secretsmanager restore-secret --secret-id NAME` restores one that is scheduled for \
         deletion",
        created + updated + refused
    );
    Ok(())
}

/// What became of a secret.
enum Stored {
    Created,
    Updated,
    /// Secrets Manager refused this one, and would not refuse others for the same reason.
    Refused(AwsError),
}

/// Stores a value as a secret.
///
/// # Errors
/// Fails when Secrets Manager does not answer, or would refuse every secret.
async fn store_secret(secrets: &aws_sdk_secretsmanager::Client, name: &str, value: &Secret) -> Result<Stored> {
    let what = format!("the secret {}", plain(name));
    let create = secrets.create_secret().name(name).secret_string(value.expose()).send().await;
    match create {
        Ok(_) => Ok(Stored::Created),
        Err(error) if matches!(error.as_service_error(), Some(CreateSecretError::ResourceExistsException(_))) => {
            let put = secrets.put_secret_value().secret_id(name).secret_string(value.expose()).send().await;
            put.map_err(|error| AwsError::of(&what, &error))?;
            Ok(Stored::Updated)
        }
        // It is scheduled for deletion, or its name has a character that a secret's may not have.
        Err(error)
            if matches!(
                error.as_service_error(),
                Some(CreateSecretError::InvalidRequestException(_) | CreateSecretError::InvalidParameterException(_))
            ) =>
        {
            Ok(Stored::Refused(AwsError::of(&what, &error)))
        }
        Err(error) => Err(AwsError::of(&what, &error).into()),
    }
}
