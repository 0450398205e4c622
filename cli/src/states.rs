//! `hooks states`: lists the entities of a kind with their states.

use std::{collections::BTreeMap, future::ready, process::ExitCode};

use anyhow::Result;
use clap::{
    Args, ValueEnum,
    builder::{NonEmptyStringValueParser, TypedValueParser},
    error::ErrorKind,
};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use serde_json::json;
use shared::{Entity, Integer, Kind, Timestamp};
use store::{Inventory, PAGE, Reader, State, StoreError, first, page_size};

use crate::{
    named,
    output::{List, Output, json, note, tables},
    target::{Target, TargetArgs},
};

/// Lists the states of a kind, or those with one of your references.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks states --kind whatsapp
  cargo hooks states --kind whatsapp --update 2 --stack partner-webhook --output json
  cargo hooks states --kind whatsapp --sort oldest           the longest without an event first
  cargo hooks states --kind whatsapp --count                 the number of lines with each update code
  cargo hooks states --reference client-7                    of every kind")]
pub struct States {
    #[command(flatten)]
    filter: Filter,
    /// Order of the states. Reads every state of the kind. Default: by name if all are listed, otherwise none.
    #[arg(long, value_enum, value_name = "ORDER")]
    sort: Option<Sort>,
    /// Count the states by their last update code, instead of listing them. Reads every state of the kind.
    #[arg(long, conflicts_with_all = ["sort", "limit"])]
    count: bool,
    /// Maximum number of states to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
    limit: usize,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The states that match all of these.
#[derive(Args)]
struct Filter {
    /// Kind of the entities, such as whatsapp, builder or online.
    #[arg(long, value_parser = NonEmptyStringValueParser::new().map(|kind| store::named::kind(&kind)))]
    kind: Option<String>,
    /// Only entities with this reference.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reference: Option<String>,
    /// Only entities whose last update code is this number (the provider's whatsapp_extra_info, builder_extra_info, …).
    #[arg(long, alias = "status", value_name = "CODE", value_parser = integer, allow_negative_numbers = true)]
    update: Option<Integer>,
}

/// An order of states.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The longest without an event first.
    Oldest,
    /// The latest event first.
    Newest,
    /// By the last update code.
    Update,
    /// By your reference; those without one last.
    Reference,
    /// By the name.
    Entity,
}

fn integer(text: &str) -> Result<Integer, &'static str> {
    Integer::parse(text).ok_or("not a whole number of at most 38 digits")
}

/// Lists the states, or counts them.
///
/// # Errors
/// Fails when they cannot be read, or no event has the reference.
pub async fn run(States { mut filter, sort, count, limit, target, output }: States) -> Result<ExitCode> {
    if filter.kind.is_none() && filter.reference.is_none() {
        let message = "states are listed by kind: give --kind, such as --kind whatsapp, or --reference\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
    }
    let Target { reader, dynamodb, settings, .. } = Target::find(target).await?;
    if let Some(reference) = &mut filter.reference {
        *reference = store::named::reference(&reader, reference).await?;
    }
    if count {
        named::check_reference(&reader, filter.reference.as_deref()).await?;
        return print_counts(filter.states(&reader, PAGE), output).await;
    }
    let (states, more) = match sort {
        None => {
            let (mut states, more) = first(filter.states(&reader, page_size(limit)), limit).await?;
            Sort::Entity.apply(&mut states);
            (states, more)
        }
        Some(sort) => {
            let mut states: Vec<State> = filter.states(&reader, PAGE).try_collect().await?;
            sort.apply(&mut states);
            let more = states.len() > limit;
            states.truncate(limit);
            (states, more)
        }
    };
    let more = more.then(|| match sort {
        Some(_) => format!("The first {} states", states.len()),
        None => format!("{} of the states, in no order (--sort sets one)", states.len()),
    });
    if states.is_empty() && limit > 0 {
        named::note_unknown_kind(filter.kind.as_deref());
        named::check_reference(&reader, filter.reference.as_deref()).await?;
    }
    let gone = gone(&Inventory::new(dynamodb, settings.events_table), &states).await.unwrap_or_else(|error| {
        note(&format!("It is not known which of them are gone at the provider: {error}"));
        BTreeMap::new()
    });
    List { items: &states, none: "No such states.\n".to_owned(), more }.print(
        output,
        |state| json::state(state, gone.get(&state.entity).copied()),
        |states| tables::states(states, &gone),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the times since which entities are gone at the provider.
///
/// # Errors
/// Fails when they cannot be read.
pub async fn gone(inventory: &Inventory, states: &[State]) -> Result<BTreeMap<Entity, Timestamp>, StoreError> {
    let entities: Vec<Entity> = states.iter().map(|state| state.entity.clone()).collect();
    let listed = inventory.entities(&entities).await?;
    let gone = |state: &State| {
        let listed = listed.get(&state.entity)?.as_ref().ok()?;
        Some((state.entity.clone(), listed.gone_since(Some(state.last_seen))?))
    };
    Ok(states.iter().filter_map(gone).collect())
}

impl Filter {
    fn states(&self, reader: &Reader, page_size: u16) -> BoxStream<'_, Result<State, StoreError>> {
        let Self { kind, reference, update } = self;
        let states = match (reference, kind) {
            (Some(reference), _) => reader.states_by_reference(reference, page_size).boxed(),
            (None, kind) => {
                let kind = Kind::of(kind.as_deref().unwrap_or_default());
                reader.states(&kind, update.as_ref(), page_size).boxed()
            }
        };
        let matches = move |state: &State| {
            kind.as_ref().is_none_or(|kind| *kind == state.kind)
                && update.as_ref().is_none_or(|update| Some(update) == state.extra_info())
        };
        states.try_filter(move |state| ready(matches(state))).boxed()
    }
}

impl Sort {
    fn apply(self, states: &mut [State]) {
        match self {
            Self::Oldest => states.sort_by_key(|state| state.last_seen),
            Self::Newest => states.sort_by_key(|state| std::cmp::Reverse(state.last_seen)),
            Self::Update => states.sort_by_key(|state| number(state.extra_info())),
            Self::Reference => {
                states.sort_by_key(|state| (state.reference().is_none(), state.reference().map(str::to_owned)));
            }
            Self::Entity => states.sort_by(|a, b| a.entity.cmp(&b.entity)),
        }
    }
}

/// Returns the number for sorting: 38 digits fit.
fn number(update: Option<&Integer>) -> Option<i128> {
    update.and_then(|update| update.as_str().parse().ok())
}

/// Prints the number of states with each update code, in the order of the codes.
async fn print_counts(mut states: BoxStream<'_, Result<State, StoreError>>, output: Output) -> Result<ExitCode> {
    let mut counts = BTreeMap::<_, (Option<Integer>, u64)>::new();
    while let Some(state) = states.try_next().await? {
        let update = state.extra_info();
        counts.entry(number(update)).or_insert_with(|| (update.cloned(), 0)).1 += 1;
    }
    let counts: Vec<_> = counts.into_values().collect();
    let line = |(update, count): &(Option<Integer>, u64)| json::line(&json!({ "extra_info": update, "states": count }));
    let table = |counts: &[(Option<Integer>, u64)]| {
        let row = |(update, count): &(Option<Integer>, u64)| {
            [update.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string), count.to_string()]
        };
        tables::table(["update", "states"], counts.iter().map(row))
    };
    List { items: &counts, none: "No such states.\n".to_owned(), more: None }.print(output, line, table)?;
    Ok(ExitCode::SUCCESS)
}
