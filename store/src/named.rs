//! Entities, references and kinds as people type them.

use std::{collections::BTreeSet, pin::pin};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use shared::{DOCTOR, Entity, Kind, Timestamp, text::plain};

use crate::{
    error::StoreError,
    quarantine::Quarantine,
    read::{Listing, Order, PAGE, Reader, first},
    state::State,
};

/// Maximum number of states of a kind that are read for a name: to compare with it, or to learn the servers of the inboxes.
const MOST_STATES: usize = 1_000;

/// Maximum number of names in a sentence.
const MOST_NAMES: usize = 5;

/// The kinds whose states are compared with a name.
const KINDS: [Kind; 4] = [Kind::Whatsapp, Kind::Store, Kind::Builder, Kind::Online];

/// Number of digits of the shortest phone numbers with a country code. The numbers of bots and inboxes are shorter.
const PHONE_DIGITS: usize = 8;

/// The entities that a typed name can mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Those with this name, number or account.
    pub same: BTreeSet<Entity>,
    /// Those with this reference. They are meant if no other has this name, number or account.
    pub referenced: BTreeSet<Entity>,
    /// Those with a similar name or reference, if there are no others. The closest first.
    pub similar: Vec<Similar>,
}

/// An entity with a similar name or reference.
#[derive(Debug, PartialEq, Eq)]
pub struct Similar {
    /// The entity.
    pub entity: Entity,
    /// Its name or its reference, whichever is closer to the typed one.
    name: String,
}

impl Named {
    /// Returns the entities that are meant.
    pub fn meant(&self) -> &BTreeSet<Entity> {
        if self.same.is_empty() { &self.referenced } else { &self.same }
    }

    /// Returns whether several entities are meant because they share the typed text as their reference.
    pub fn share_reference(&self) -> bool {
        self.same.is_empty() && self.referenced.len() > 1
    }

    /// Drops the entities that cannot be meant.
    pub fn retain(&mut self, can_be_meant: impl Fn(&Entity) -> bool) {
        self.same.retain(&can_be_meant);
        self.referenced.retain(&can_be_meant);
        self.similar.retain(|similar| can_be_meant(&similar.entity));
    }

    /// Returns the entity if it is the only one. `noun` is the word for such an entity. `all` says how to get all that share a reference,
    /// such as `--reference`.
    ///
    /// # Errors
    /// Fails with a sentence for the person who has typed the name. It names the entities that the name can mean.
    pub fn only(&self, typed: &str, noun: &str, all: &str) -> Result<Entity, String> {
        let typed = plain(typed.trim());
        let none = format!("there is no {noun} {typed}: no event has named it");
        let meant = self.meant();
        match (meant.first(), meant.len()) {
            (Some(entity), 1) => Ok(entity.clone()),
            (Some(_), _) => {
                let same = names(meant.iter().map(Entity::as_str));
                let all =
                    if self.share_reference() { format!(", or use {all} for all of them") } else { String::new() };
                Err(format!("{typed} can be {same}: give one of these names{all}"))
            }
            (None, _) => Err(with_suggestion(none, &self.similar)),
        }
    }

    /// Returns a question that names the closest similar names and references; `None` when there are none.
    pub fn suggestion(&self) -> Option<String> {
        suggestion(&self.similar)
    }
}

fn suggestion(similar: &[Similar]) -> Option<String> {
    // Several entities may share a reference.
    let mut closest: Vec<&str> = similar.iter().map(|similar| &*similar.name).collect();
    closest.dedup();
    (!closest.is_empty()).then(|| format!("did you mean {}?", names(closest.into_iter().take(MOST_NAMES))))
}

fn with_suggestion(sentence: String, similar: &[Similar]) -> String {
    match suggestion(similar) {
        None => sentence,
        Some(suggestion) => format!("{sentence}; {suggestion}"),
    }
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    // Without quotes, blanks at its ends would not be seen.
    let shown = |name: &str| if name.trim() == name { plain(name) } else { format!("\"{}\"", plain(name)) };
    let mut names = names.into_iter().map(shown);
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
        return Ok(Named { same: BTreeSet::from([Entity::named(name)]), ..Named::default() });
    }
    let mut same = known(reader, candidates(name)).await?;
    if let Some(whole) = same.take(&Entity::named(name)) {
        return Ok(Named { same: BTreeSet::from([whole]), ..Named::default() });
    }
    let mut referenced = BTreeSet::new();
    if same.is_empty() || !name.contains('#') {
        let states = reader.states_by_reference(&reference(reader, typed).await?, PAGE).map_ok(|state| state.entity);
        referenced.extend(first(states, PAGE.into()).await?.0);
    }
    // An inbox has the name of a server before its number.
    let is_account = name.len() < PHONE_DIGITS && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_account {
        let inboxes = reader.states(&Kind::Online, None, PAGE).take(MOST_STATES);
        let namesakes = inboxes.map_ok(|inbox| {
            let (server, _) = inbox.entity.as_str().rsplit_once('#').unwrap_or_default();
            Entity::named(format!("{server}#{name}"))
        });
        same.extend(known(reader, namesakes.try_collect().await?).await?);
    }
    let mut named = Named { same, referenced, similar: Vec::new() };
    if named.meant().is_empty() {
        let kinds = match name.split_once('#') {
            Some((kind, _)) => vec![Kind::of(&kind.trim().to_lowercase())],
            None => KINDS.into(),
        };
        named.similar = similar(reader, &kinds, |state| compared(name, &state.entity, state.reference())).await?;
    }
    Ok(named)
}

/// Returns those of the entities that have a state.
async fn known(reader: &Reader, entities: BTreeSet<Entity>) -> Result<BTreeSet<Entity>, StoreError> {
    let states = try_join_all(entities.iter().map(|entity| reader.state(entity))).await?;
    Ok(states.into_iter().flatten().map(|state| state.entity).collect())
}

/// Returns the entities that this can be the whole name of.
pub fn candidates(name: &str) -> BTreeSet<Entity> {
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

/// Returns the digits of a number, and with the country code if it is written as it is dialled in Israel. Empty when it is no number.
pub fn numbers(typed: &str) -> Vec<String> {
    let digits: String = typed.chars().filter(|letter| !" +-().\u{a0}".contains(*letter)).collect();
    let with_country = digits.strip_prefix('0').map(|rest| format!("972{rest}"));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { [Some(digits), with_country].into_iter().flatten().collect() } else { Vec::new() }
}

/// Returns the entities of these kinds that are similar, the closest first.
async fn similar(
    reader: &Reader,
    kinds: &[Kind],
    compare: impl Fn(&State) -> Option<(Difference, Similar)>,
) -> Result<Vec<Similar>, StoreError> {
    let mut similar = Vec::new();
    for kind in kinds {
        let mut states = pin!(reader.states(kind, None, PAGE).take(MOST_STATES));
        while let Some(state) = states.try_next().await? {
            similar.extend(compare(&state));
        }
    }
    Ok(closest(similar))
}

/// Returns an entity with the difference from a typed name, if it is similar.
fn compared(typed: &str, entity: &Entity, reference: Option<&str>) -> Option<(Difference, Similar)> {
    let last = typed.rsplit('#').next().unwrap_or_default();
    let number = last_part(entity);
    let by_name =
        numbers(last).iter().filter_map(|typed| difference(typed, number)).chain(difference(last, number)).min();
    let by_reference = reference.and_then(|reference| Some((difference(typed, reference.trim())?, reference)));
    let similar = |name: &str| Similar { entity: entity.clone(), name: name.to_owned() };
    match (by_name, by_reference) {
        (Some(by_name), Some((by_reference, reference))) if by_reference < by_name => {
            Some((by_reference, similar(reference)))
        }
        (Some(by_name), _) => Some((by_name, similar(entity.as_str()))),
        (None, by_reference) => by_reference.map(|(difference, reference)| (difference, similar(reference))),
    }
}

/// Sorts similar entities, the closest first. Those that are the same but for upper and lower case leave no room for others.
fn closest(mut similar: Vec<(Difference, Similar)>) -> Vec<Similar> {
    similar.sort_by(|(a, one), (b, other)| (a, &one.name).cmp(&(b, &other.name)));
    let is_case = similar.first().is_some_and(|(difference, _)| difference.how == How::Case);
    similar.retain(|(difference, _)| !is_case || difference.how == How::Case);
    similar.into_iter().map(|(_, similar)| similar).collect()
}

/// The difference between a typed text and a similar one, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    how: How,
    /// Number of characters that differ.
    characters: usize,
}

/// The ways in which a typed text can differ from a similar one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// At most in upper and lower case.
    Case,
    /// By one character, or two that are swapped.
    OneCharacter,
    /// It is the start.
    Start,
    /// It is the end.
    End,
    /// By two characters.
    TwoCharacters,
}

/// Returns the difference between a typed text and another one; `None` when they are not similar. Short texts are similar to too many
/// others.
fn difference(typed: &str, other: &str) -> Option<Difference> {
    let (typed, other) = (typed.to_lowercase(), other.to_lowercase());
    let (length, characters) = (typed.chars().count(), strsim::osa_distance(&typed, &other));
    let how = match characters {
        0 => How::Case,
        1 if length >= 4 => How::OneCharacter,
        _ if length >= 3 && other.starts_with(&typed) => How::Start,
        _ if length >= 4 && other.ends_with(&typed) => How::End,
        2 if length >= 6 => How::TwoCharacters,
        _ => return None,
    };
    Some(Difference { how, characters })
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
    Ok(if is_recorded(reader, typed).await? { typed } else { trimmed }.to_owned())
}

/// Returns a sentence for the person who has typed a reference that no event has, with similar ones; `None` when one has it.
///
/// # Errors
/// Fails when DynamoDB does not answer, or an item cannot be read.
pub async fn unknown_reference(reader: &Reader, typed: &str) -> Result<Option<String>, StoreError> {
    let reference = reference(reader, typed).await?;
    if is_recorded(reader, &reference).await? {
        return Ok(None);
    }
    let compare = |state: &State| {
        let own = state.reference()?;
        let difference = difference(&reference, own.trim())?;
        Some((difference, Similar { entity: state.entity.clone(), name: own.to_owned() }))
    };
    let similar = similar(reader, &KINDS, compare).await?;
    Ok(Some(with_suggestion(format!("there is no reference {}: no event has it", plain(&reference)), &similar)))
}

/// Returns whether a state or an event has this reference.
async fn is_recorded(reader: &Reader, reference: &str) -> Result<bool, StoreError> {
    let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
    let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: 1 };
    let events = reader.by_reference(reference, &listing);
    let states = reader.states_by_reference(reference, 1);
    Ok(pin!(states.map_ok(drop).chain(events.map_ok(drop))).try_next().await?.is_some())
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
    use proptest::prelude::*;

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

    /// The entities, with their references, that the tests compare names with.
    const KNOWN: [(&str, &str); 8] = [
        ("whatsapp#972501100111", "acme-001"),
        ("whatsapp#972501101110", "acme-002"),
        ("whatsapp#972501100148", "acme 003"),
        ("whatsapp#972501100481", "מוסך דוד בע\"מ"),
        ("builder#60412", "acme-001"),
        ("online#eu1#722", "Bakery"),
        ("store#972509876543", "bakery-2"),
        ("whatsapp#972521234567", "one two"),
    ];

    fn suggested(typed: &str) -> Vec<String> {
        let compared = KNOWN.iter().filter_map(|(entity, own)| compared(typed, &Entity::named(*entity), Some(own)));
        let mut names: Vec<String> = closest(compared.collect()).into_iter().map(|similar| similar.name).collect();
        names.dedup();
        names
    }

    #[test]
    fn the_closest_name_or_reference_is_suggested_first() {
        let acme = &["acme 003", "acme-001", "acme-002"][..];
        for (typed, expected) in [
            ("97250110011", &["whatsapp#972501100111"][..]),
            ("0501100112", &["whatsapp#972501100111"]),
            ("+972 50-110-011", &["whatsapp#972501100111"]),
            ("whatsapp#9725011001111", &["whatsapp#972501100111"]),
            ("6543", &["store#972509876543"]),
            ("6041", &["builder#60412"]),
            ("ACME-001", &["acme-001"]),
            ("bakery", &["Bakery"]),
            ("Acme", acme),
            ("acm", acme),
            ("acme-01", &["acme-001"]),
            ("מוסך", &["מוסך דוד בע\"מ"]),
            ("72", &[]),
            ("999", &[]),
        ] {
            let suggested = suggested(typed);
            assert!(suggested.iter().zip(expected).all(|(one, other)| one == other), "{typed}: {suggested:?}");
            assert!(suggested.len() >= expected.len(), "{typed}: {suggested:?}");
            assert_eq!(suggested.is_empty(), expected.is_empty(), "{typed}: {suggested:?}");
        }
    }

    #[test]
    fn a_short_text_is_similar_to_less() {
        for (typed, other, expected) in [
            ("ABC", "abc", Some((How::Case, 0))),
            ("abc", "abx", None),
            ("abcd", "abce", Some((How::OneCharacter, 1))),
            ("abcd", "bacd", Some((How::OneCharacter, 1))),
            ("ab", "abcde", None),
            ("abc", "abcde", Some((How::Start, 2))),
            ("cde", "abcde", None),
            ("cdef", "abcdef", Some((How::End, 2))),
            ("abcde", "abcxy", None),
            ("abcdef", "abcdxy", Some((How::TwoCharacters, 2))),
            ("abcdef", "abcxyz", None),
        ] {
            let difference = difference(typed, other).map(|difference| (difference.how, difference.characters));
            assert_eq!(difference, expected, "{typed} {other}");
        }
    }

    #[test]
    fn of_a_name_and_a_reference_that_are_as_close_the_name_is_suggested() {
        let suggested = |typed, reference| {
            compared(typed, &Entity::named("builder#60412"), Some(reference)).map(|(_, similar)| similar.name)
        };
        assert_eq!(suggested("60412", "60412").as_deref(), Some("builder#60412"));
        assert_eq!(suggested("60413", "60413").as_deref(), Some("60413"));
        assert_eq!(suggested("60412", "60413").as_deref(), Some("builder#60412"));
    }

    #[test]
    fn spaces_around_a_kind_are_ignored() {
        for (typed, expected) in [(" WhatsApp ", "whatsapp"), ("Quarantine", "quarantine"), (" New Kind", "New Kind")] {
            assert_eq!(kind(typed), expected);
        }
    }

    #[test]
    fn a_mistyped_kind_is_similar_to_the_one_that_is_meant() {
        let typed = ["whatsap", "packages", "partner", "docter", "whatsapp", "invoice"];
        let meant = [Some("whatsapp"), Some("package"), Some("partners"), Some("doctor"), None, None];
        assert_eq!(typed.map(similar_kind), meant);
    }

    proptest! {
        #[test]
        fn a_number_with_one_wrong_digit_is_suggested_before_all_that_differ_more(
            numbers in proptest::collection::btree_set("97250[0-9]{7}", 1..20),
            (which, place, digit, edit) in (0usize..20, 5usize..12, b'0'..=b'9', 0u8..3),
            is_local in any::<bool>(),
        ) {
            let numbers: Vec<String> = numbers.into_iter().collect();
            let meant = &numbers[which % numbers.len()];
            let mut typed = meant.clone();
            match edit {
                0 => typed.insert(place, digit.into()),
                1 => drop(typed.remove(place)),
                _ => typed.replace_range(place..=place, std::str::from_utf8(&[digit]).unwrap()),
            }
            let known = numbers.iter().map(|number| Entity::named(format!("whatsapp#{number}")));
            let typed_as = if is_local { format!("0{}", &typed[3..]) } else { typed.clone() };
            let suggested = closest(known.filter_map(|entity| compared(&typed_as, &entity, None)).collect());
            let place = suggested.iter().position(|similar| last_part(&similar.entity) == meant);
            let others = suggested.iter().take(place.unwrap_or(usize::MAX)).map(|similar| last_part(&similar.entity));
            prop_assert!(numbers.contains(&typed) || place.is_some());
            for other in others.filter(|_| !numbers.contains(&typed)) {
                prop_assert!(strsim::osa_distance(&typed, other) <= 1, "{} before {}", other, meant);
            }
        }
    }
}
