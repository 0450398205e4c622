//! Entities, references and kinds as people type them.

use std::{collections::BTreeSet, pin::pin};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use shared::{DOCTOR, Entity, Kind, Timestamp, text::plain};

use crate::{
    error::StoreError,
    quarantine::Quarantine,
    read::{Listing, Order, PAGE, Reader, first},
};

/// Maximum number of states of a kind that are compared with a name that no event has.
const MOST_STATES: usize = 1_000;

/// Maximum number of names in a sentence.
const MOST_NAMES: usize = 5;

/// Number of digits of the shortest phone numbers with a country code. The numbers of bots and inboxes are shorter.
const PHONE_DIGITS: usize = 8;

/// The entities that a typed name can mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Those with this name, number, account or reference.
    pub same: BTreeSet<Entity>,
    /// Those with a similar name, if there are no others.
    pub similar: Vec<Entity>,
}

impl Named {
    /// Returns the entity if it is the only one.
    ///
    /// # Errors
    /// Fails with a sentence for the person who has typed the name. It names the entities that the name can mean.
    pub fn only(&self, typed: &str) -> Result<Entity, String> {
        let typed = plain(typed.trim());
        match (self.same.first(), self.same.len()) {
            (Some(entity), 1) => Ok(entity.clone()),
            (Some(_), _) => Err(format!("{typed} can be {}: give one of these names", names(&self.same))),
            (None, _) if self.similar.is_empty() => Err(format!("there is no entity {typed}: no event has named it")),
            (None, _) => {
                let similar = names(&self.similar);
                Err(format!("there is no entity {typed}: no event has named it; did you mean {similar}?"))
            }
        }
    }
}

fn names<'a>(entities: impl IntoIterator<Item = &'a Entity>) -> String {
    let mut names = entities.into_iter().map(|entity| plain(entity.as_str()));
    let mut shown: Vec<String> = names.by_ref().take(MOST_NAMES).collect();
    shown.extend(names.next().map(|_| "others".to_owned()));
    shown.join(" or ")
}

/// Returns the entities with this name, this number or account, or this reference. A whole name means its own entity alone.
///
/// # Errors
/// Fails when DynamoDB does not answer, or an item cannot be read.
pub async fn entities(reader: &Reader, typed: &str) -> Result<Named, StoreError> {
    let name = typed.trim();
    if Quarantine::is_entity(name) {
        return Ok(Named { same: BTreeSet::from([Entity::named(name)]), similar: Vec::new() });
    }
    let states = try_join_all(candidates(name).iter().map(|entity| reader.state(entity))).await?;
    let mut same: BTreeSet<Entity> = states.into_iter().flatten().map(|state| state.entity).collect();
    if let Some(whole) = same.take(&Entity::named(name)) {
        return Ok(Named { same: BTreeSet::from([whole]), similar: Vec::new() });
    }
    if same.is_empty() || !name.contains('#') {
        let states = reader.states_by_reference(&reference(reader, typed).await?, PAGE).map_ok(|state| state.entity);
        same.extend(first(states, PAGE.into()).await?.0);
    }
    // An inbox has the name of a server before its number.
    let is_account = name.len() < PHONE_DIGITS && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_account {
        let mut inboxes = pin!(reader.states(&Kind::Online, None, None, PAGE).map_ok(|state| state.entity));
        while let Some(inbox) = inboxes.try_next().await? {
            if last_part(&inbox) == name {
                same.insert(inbox);
            }
        }
    }
    let similar = if same.is_empty() { similar(reader, name).await? } else { Vec::new() };
    Ok(Named { same, similar })
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

/// Returns the entities with a similar name.
async fn similar(reader: &Reader, name: &str) -> Result<Vec<Entity>, StoreError> {
    let (kinds, wanted) = match name.rsplit_once('#') {
        Some((kind, wanted)) => (vec![Kind::of(kind.split('#').next().unwrap_or_default())], wanted),
        None => (vec![Kind::Whatsapp, Kind::Store, Kind::Builder, Kind::Online], name),
    };
    let is_similar = |last: &str| {
        let is_end = wanted.len() >= 4 && last.ends_with(wanted);
        is_end || last == wanted || (wanted.len() >= 6 && strsim::osa_distance(last, wanted) <= 2)
    };
    let mut similar = Vec::new();
    for kind in &kinds {
        let mut states = pin!(reader.states(kind, None, None, PAGE).take(MOST_STATES));
        while let Some(state) = states.try_next().await? {
            if is_similar(last_part(&state.entity)) {
                similar.push(state.entity);
            }
        }
    }
    similar.truncate(MOST_NAMES);
    Ok(similar)
}

fn last_part(entity: &Entity) -> &str {
    entity.as_str().rsplit('#').next().unwrap_or_default()
}

/// Returns a reference as events have it: as typed, or if none has that, without the spaces around it.
///
/// # Errors
/// Fails when DynamoDB does not answer, or an item cannot be read.
pub async fn reference(reader: &Reader, typed: &str) -> Result<String, StoreError> {
    let trimmed = typed.trim();
    if trimmed.is_empty() || trimmed == typed {
        return Ok(typed.to_owned());
    }
    let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
    let events = reader.by_reference(typed, &Listing { times, order: Order::OldestFirst, after: None, page_size: 1 });
    let states = reader.states_by_reference(typed, 1);
    let is_recorded = pin!(states.map_ok(drop).chain(events.map_ok(drop))).try_next().await?.is_some();
    Ok(if is_recorded { typed } else { trimmed }.to_owned())
}

/// Returns the name of a kind without the spaces around it. The case of the provider's own names is ignored.
pub fn kind(typed: &str) -> String {
    let lower = typed.trim().to_lowercase();
    if names_of_kinds().any(|name| name == lower) { lower } else { typed.trim().to_owned() }
}

/// Returns the name of a kind that this is probably a mistyped form of.
pub fn similar_kind(kind: &str) -> Option<&'static str> {
    let distance = |name: &&str| strsim::osa_distance(name, kind);
    names_of_kinds().filter(|name| distance(name) <= 2).min_by_key(distance).filter(|name| *name != kind)
}

fn names_of_kinds() -> impl Iterator<Item = &'static str> {
    Kind::NAMES.into_iter().chain([DOCTOR, "quarantine"])
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
    fn spaces_around_a_kind_are_ignored() {
        for (typed, expected) in [(" WhatsApp ", "whatsapp"), ("Quarantine", "quarantine"), (" New Kind", "New Kind")] {
            assert_eq!(kind(typed), expected);
        }
    }

    #[test]
    fn a_mistyped_kind_is_similar_to_the_one_that_is_meant() {
        let typed = ["whatsap", "pakage", "partner", "docter", "whatsapp", "invoice"];
        let meant = [Some("whatsapp"), Some("package"), Some("partners"), Some("doctor"), None, None];
        assert_eq!(typed.map(similar_kind), meant);
    }
}
