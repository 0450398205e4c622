//! Compares each event of an entity with the previous one: pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use shared::{json, text::plain};
use store::StoredDelivery;

/// Maximum length of a value, in characters; the delivery's own page has the whole.
const LONGEST: usize = 80;

/// A member of a body, compared with the same member of the previous event.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// The value changed.
    Changed { name: String, from: String, to: String },
    /// The event before did not have the member.
    Added { name: String, to: String },
}

/// The changes of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Updates first.
    pub values: Vec<Change>,
    /// The names that only the previous event had.
    pub missing: String,
}

impl Changes {
    /// Returns whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.missing.is_empty()
    }
}

impl Change {
    /// Returns whether it is the update code.
    pub fn is_update(&self) -> bool {
        let (Self::Changed { name, .. } | Self::Added { name, .. }) = self;
        name.ends_with("_extra_info")
    }
}

/// The entry of a delivery in a history.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A duplicate, without a change.
    Duplicate,
    /// The first event.
    First,
    /// The changes since the previous event.
    Changes(Changes),
    /// Unknown: the previous event is not recorded, or one of the two is not an object.
    Unknown,
}

/// Returns the entries of the first `number` deliveries of a history, newest first. The others are only compared with;
/// `is_whole` means that the history has no more.
pub fn steps(history: &[StoredDelivery], number: usize, is_whole: bool) -> Vec<Step> {
    let step = |(place, delivery): (usize, &StoredDelivery)| {
        if delivery.duplicate_of.is_some() {
            return Step::Duplicate;
        }
        let before = history.get(place + 1..).unwrap_or_default().iter().find(|other| other.duplicate_of.is_none());
        match before {
            Some(before) => compare(before, delivery),
            None if is_whole => Step::First,
            None => Step::Unknown,
        }
    };
    history.iter().enumerate().take(number).map(step).collect()
}

fn compare(before: &StoredDelivery, after: &StoredDelivery) -> Step {
    let (Some(before), Some(after)) = (members(before), members(after)) else { return Step::Unknown };
    let mut changes: Vec<Change> = Vec::new();
    for (name, to) in &after {
        match before.get(name) {
            None => changes.push(Change::Added { name: plain(name), to: shown(to) }),
            Some(from) if spelled(from) != spelled(to) => {
                changes.push(Change::Changed { name: plain(name), from: shown(from), to: shown(to) });
            }
            Some(_) => {}
        }
    }
    changes.sort_by_key(|change| !change.is_update());
    let missing: Vec<String> =
        before.keys().filter(|name| !after.contains_key(*name)).map(|name| plain(name)).collect();
    Step::Changes(Changes { values: changes, missing: missing.join(", ") })
}

/// The members of a body, as received.
fn members(delivery: &StoredDelivery) -> Option<BTreeMap<String, Box<RawValue>>> {
    serde_json::from_str(delivery.body.as_deref()?).ok()
}

/// Returns a value in one spelling: the escapes of a text and the blanks between tokens do not matter.
fn spelled(value: &RawValue) -> String {
    let text = value.get();
    json::tokens(text)
        .map(|token| {
            let token = &text[token.span];
            json::unquote(token).map_or_else(|| token.to_owned(), |text| json::quoted(&text))
        })
        .collect()
}

/// Returns the start of a value: a text without quotes, anything else as received.
fn shown(value: &RawValue) -> String {
    let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| json::compact(value.get()));
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(LONGEST).collect();
    let dots = if characters.next().is_some() { "…" } else { "" };
    plain(&beginning) + dots
}

#[cfg(test)]
mod tests {
    use shared::{Entity, EventId, Timestamp};

    use super::*;

    fn delivery(minute: i64, body: &str, duplicate_of: Option<i64>) -> StoredDelivery {
        let at = |minute: i64| Timestamp::from_micros(1_795_339_800_000_000 + minute * 60_000_000);
        let id = |minute: i64| EventId::new(at(minute), [0; 8]);
        StoredDelivery {
            id: id(minute),
            entity: Entity::named("builder#1"),
            kind: "builder".to_owned(),
            received_at: at(minute),
            source_ip: String::new(),
            request_id: String::new(),
            fingerprint: String::new(),
            origin: store::Origin::Delivered,
            duplicate_of: duplicate_of.map(id),
            reference: None,
            extra_info: None,
            body: Some(body.to_owned()),
            cause: None,
            body_bytes: None,
            has_api_key: false,
            expires_at: None,
            content_type: None,
            content_encoding: None,
        }
    }

    #[test]
    fn an_event_is_compared_with_the_event_before_and_not_with_a_duplicate() {
        let history = [
            delivery(3, r#"{"a":"same","builder_extra_info": 2,"long":12345678901234567890123}"#, None),
            delivery(2, r#"{"a":"same","builder_extra_info":1,"gone":true}"#, Some(1)),
            delivery(1, r#"{"a":"same","builder_extra_info":1,"gone":true}"#, None),
        ];
        let values = vec![
            Change::Changed { name: "builder_extra_info".to_owned(), from: "1".to_owned(), to: "2".to_owned() },
            Change::Added { name: "long".to_owned(), to: "12345678901234567890123".to_owned() },
        ];
        let changes = Changes { values, missing: "gone".to_owned() };
        assert_eq!(steps(&history, 3, true), [Step::Changes(changes), Step::Duplicate, Step::First]);
        assert_eq!(steps(&history, 3, false)[2], Step::Unknown, "an older one may be on the next page");
        assert_eq!(steps(&history, 1, true).len(), 1);
    }

    #[test]
    fn another_layout_or_spelling_is_no_change_and_long_values_are_cut() {
        let long = "x".repeat(100);
        let history = [
            delivery(2, &format!(r#"{{"a":[1, 2],"b":"{long}","c":"דוד","d":["https://a"]}}"#), None),
            delivery(1, r#"{"a":[1,2],"b":"\u001b[2J","c":"\u05d3\u05d5\u05d3","d":["https:\/\/a"]}"#, None),
        ];
        let Step::Changes(changes) = &steps(&history, 1, true)[0] else { panic!("compared") };
        let cut = format!("{}…", "x".repeat(80));
        let values = vec![Change::Changed { name: "b".to_owned(), from: "\\u{1b}[2J".to_owned(), to: cut }];
        assert_eq!(changes, &Changes { values, missing: String::new() });
    }
}
