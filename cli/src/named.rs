//! Entities and ids as people type them: a number alone, a reference, the end of an id.

use std::{collections::BTreeSet, convert::Infallible, str::FromStr};

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use shared::{Entity, EventId, Kind, Timestamp, text::plain};
use store::{DeliveryQuery, Listing, Order, PAGE, Quarantine, Reader, first};

use crate::output::note;

/// Maximum number of states of a kind that are compared with a name that no event has.
const MOST_STATES: usize = 1_000;

/// Maximum number of names that are suggested.
const MOST_NAMES: usize = 3;

/// Maximum number of deliveries that are searched for the end of an id.
const MOST_DELIVERIES: usize = 10_000;

/// Digits of the end of an id in lists. They are random, so hardly any two of the deliveries share them.
const WHOLE_END: usize = 8;

/// Fewest digits of the end of an id that are searched for.
const FEWEST_DIGITS: usize = 6;

/// The names of kinds that a mistyped one is compared with.
const KINDS: [&str; 6] = ["whatsapp", "store", "builder", "online", "quarantine", "doctor"];

/// Returns the entity that a person means: by its name, by its number or account, or by its reference.
///
/// # Errors
/// Fails when there is none, or more than one. The message names those that it can be.
pub async fn entity(reader: &Reader, typed: &str) -> Result<Entity> {
    let name = typed.trim();
    if Quarantine::is_entity(name) {
        return Ok(Entity::named(name));
    }
    let mut found = Vec::new();
    for state in try_join_all(candidates(name).iter().map(|entity| reader.state(entity))).await?.into_iter().flatten() {
        found.push(state.entity);
    }
    if found.is_empty() && !name.contains('#') {
        // With the spaces around it, if there are any.
        let states = reader.states_by_reference(typed, PAGE).map_ok(|state| state.entity);
        found = first(states, MOST_NAMES).await?.0;
    }
    let mut close = Vec::new();
    if found.is_empty() {
        (found, close) = similar(reader, name).await?;
    }
    match &found[..] {
        [entity] => Ok(entity.clone()),
        [] if close.is_empty() => bail!("there is no entity {}: no event has named it", plain(name)),
        [] => bail!("there is no entity {}: no event has named it; did you mean {}?", plain(name), names(&close)),
        _ => bail!("{} can be {}: give one of these names", plain(name), names(&found)),
    }
}

fn names(entities: &[Entity]) -> String {
    entities.iter().map(|entity| plain(entity.as_str())).collect::<Vec<_>>().join(" or ")
}

/// Returns the entities that this can be the whole name of.
pub fn candidates(name: &str) -> BTreeSet<Entity> {
    let numbers = |name: &str| {
        let digits: String = name.chars().filter(|letter| !" +-().\u{a0}".contains(*letter)).collect();
        // A number as it is dialled in Israel has no country code.
        let with_country = digits.strip_prefix('0').map(|rest| format!("972{rest}"));
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { [Some(digits), with_country].into_iter().flatten().collect() } else { Vec::new() }
    };
    let lines = [Kind::Whatsapp, Kind::Store];
    match name.split_once('#') {
        Some((kind, number)) => {
            let kind = kind.trim().to_lowercase();
            let typed = format!("{kind}#{}", number.trim());
            let is_line = lines.iter().any(|line| line.as_str() == kind);
            let numbers = if is_line { numbers(number) } else { Vec::new() };
            let numbers = numbers.iter().map(|number| format!("{kind}#{number}"));
            [name.to_owned(), typed].into_iter().chain(numbers).map(Entity::named).collect()
        }
        None => {
            let kinds = [Kind::Whatsapp, Kind::Store, Kind::Builder];
            let of_number = |number: String| kinds.clone().map(|kind| Entity::named(format!("{kind}#{number}")));
            numbers(name).into_iter().flat_map(of_number).collect()
        }
    }
}

/// Returns the entities whose last part is this name, and those with a similar name.
async fn similar(reader: &Reader, name: &str) -> Result<(Vec<Entity>, Vec<Entity>)> {
    let (kinds, wanted) = match name.rsplit_once('#') {
        Some((kind, wanted)) => (vec![Kind::of(kind.split('#').next().unwrap_or_default())], wanted),
        None => (vec![Kind::Whatsapp, Kind::Store, Kind::Builder, Kind::Online], name),
    };
    let (mut same, mut close) = (Vec::new(), Vec::new());
    for kind in &kinds {
        let states = reader.states(kind, None, None, PAGE).take(MOST_STATES);
        let entities: Vec<Entity> = states.map_ok(|state| state.entity).try_collect().await?;
        for entity in entities {
            let last = entity.as_str().rsplit('#').next().unwrap_or_default();
            let is_end = wanted.len() >= 4 && last.ends_with(wanted);
            if last == wanted && !name.contains('#') {
                same.push(entity);
            } else if is_end || (wanted.len() >= 6 && strsim::osa_distance(last, wanted) <= 2) {
                close.push(entity);
            }
        }
    }
    same.truncate(MOST_NAMES);
    close.truncate(MOST_NAMES);
    Ok((same, close))
}

/// The id of an event as a person types it: whole, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedId {
    /// All of it.
    Whole(EventId),
    /// Its last hexadecimal digits.
    End(String),
}

impl FromStr for TypedId {
    type Err = &'static str;

    /// Reads an id, or its end. Text before `…`, as in lists, is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.trim().parse() {
            return Ok(Self::Whole(id));
        }
        let end = text.trim().rsplit(['…', '.']).next().unwrap_or_default();
        let digits: String = end.chars().filter(|letter| *letter != '-').collect::<String>().to_lowercase();
        if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("expected the id of an event, or at least the last 6 digits of one");
        }
        Ok(Self::End(digits))
    }
}

impl TypedId {
    /// Returns the whole id. An end is searched for among the newest deliveries.
    ///
    /// # Errors
    /// Fails when none of them, or more than one, has this end.
    pub async fn find(&self, reader: &Reader, now: Timestamp) -> Result<EventId> {
        let end = match self {
            Self::Whole(id) => return Ok(*id),
            Self::End(end) => end,
        };
        let times = Timestamp::from_micros(0)..now.plus(DeliveryQuery::CLOCK_AHEAD);
        let listing = Listing { times, order: Order::NewestFirst, after: None, page_size: PAGE };
        let mut ids = std::pin::pin!(reader.by_time(&listing).map_ok(|delivery| delivery.id).take(MOST_DELIVERIES));
        let mut found = Vec::new();
        while let Some(id) = ids.try_next().await? {
            if id.simple().ends_with(end) {
                found.push(id);
                if end.len() >= WHOLE_END || found.len() > MOST_NAMES {
                    break;
                }
            }
        }
        match &found[..] {
            [id] => Ok(*id),
            [] => bail!(
                "none of the last {MOST_DELIVERIES} events has an id that ends in {end}; give its last digits, or the whole id"
            ),
            ids => {
                let ids = ids.iter().map(EventId::to_string).collect::<Vec<_>>().join(", ");
                bail!("more than one id ends in {end}: {ids}; give more digits")
            }
        }
    }
}

/// Reads the name of a kind. Spaces around it are ignored, and so is the case of the provider's own names.
///
/// # Errors
/// Never fails.
pub fn kind(text: &str) -> Result<String, Infallible> {
    let (name, lower) = (text.trim(), text.trim().to_lowercase());
    let is_known = !matches!(Kind::of(&lower), Kind::Other(_) | Kind::Unnamed) || lower == "quarantine";
    Ok(if is_known { lower } else { name.to_owned() })
}

/// Notes for the person that a kind is probably mistyped: it is close to the name of one that there is.
pub fn note_unknown_kind(kind: Option<&str>) {
    let Some(kind) = kind else { return };
    let names = KINDS.iter().filter(|name| strsim::osa_distance(name, kind) <= 2);
    if let Some(close) = names.min_by_key(|name| strsim::osa_distance(name, kind)).filter(|close| **close != kind) {
        note(&format!("{kind} is not a known kind; did you mean {close}?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_that_of_a_line_a_store_or_a_bot() {
        for typed in ["972501234567", "+972 50-123-4567", "050-123-4567", "(050) 1234567"] {
            assert!(candidates(typed).contains(&Entity::named("whatsapp#972501234567")), "{typed}");
        }
        assert!(candidates("523").contains(&Entity::named("builder#523")));
        let named: Vec<_> = candidates(" WhatsApp # +972 50 1234567".trim()).into_iter().collect();
        assert!(named.contains(&Entity::named("whatsapp#972501234567")), "{named:?}");
        assert!(candidates("client 7").is_empty());
    }

    #[test]
    fn an_id_is_read_whole_or_by_its_end() {
        let id = "019aab4e-9fc0-7000-8707-0707071234df";
        assert_eq!(id.parse(), Ok(TypedId::Whole(id.parse().unwrap())));
        for end in ["…071234df", "019a…071234df", "071234DF", "...071234df", " …07-1234df"] {
            assert_eq!(end.parse(), Ok(TypedId::End("071234df".to_owned())), "{end}");
        }
        for text in ["", "42", "…", "12345", "not-hex-at-all"] {
            assert!(text.parse::<TypedId>().is_err(), "{text}");
        }
    }

    #[test]
    fn spaces_around_a_kind_are_ignored() {
        for (typed, expected) in [(" WhatsApp ", "whatsapp"), ("Quarantine", "quarantine"), (" New Kind", "New Kind")] {
            assert_eq!(kind(typed), Ok(expected.to_owned()));
        }
    }
}
