//! An event as an entry of the stack's event bus.

use serde::Serialize;
use shared::Integer;
use store::StoredDelivery;

/// `source` of every entry.
pub const SOURCE: &str = "partner-webhook";

/// Maximum size of an entry in bytes, as EventBridge counts it. A request has the same maximum for all its entries together.
const LARGEST: usize = 256 * 1_024;

/// Maximum number of digits of an integer written as a number. EventBridge and many readers of JSON would round longer
/// ones, so they become text.
const MOST_DIGITS: usize = 15;

/// An event as an entry of the event bus: the kind as `detail-type`, and a JSON object as `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEntry {
    detail_type: String,
    detail: String,
    omits_body: bool,
}

#[derive(Serialize)]
struct Detail<'a> {
    id: String,
    kind: &'a str,
    entity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_info: Option<serde_json::Value>,
    received_at: String,
    origin: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    has_api_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    body_omitted: bool,
}

impl BusEntry {
    /// Creates the entry of an event. If it is too large with the body, the body is omitted: consumers read it from the
    /// events table.
    pub fn new(event: &StoredDelivery, replayed: bool) -> Self {
        let whole = Self::write(event, replayed, event.body.as_deref());
        if whole.size() <= LARGEST { whole } else { Self::write(event, replayed, None) }
    }

    fn write(event: &StoredDelivery, replayed: bool, body: Option<&str>) -> Self {
        let detail = Detail {
            id: event.id.to_string(),
            kind: &event.kind,
            entity: event.entity.as_str(),
            reference: event.reference.as_deref(),
            extra_info: event.extra_info.as_ref().map(number),
            received_at: event.received_at.to_string(),
            origin: event.origin.name(),
            replayed,
            has_api_key: event.has_api_key,
            body,
            body_omitted: body.is_none(),
        };
        Self {
            detail_type: event.kind.clone(),
            // Texts, numbers and flags always serialize.
            detail: serde_json::to_string(&detail).unwrap_or_default(),
            omits_body: body.is_none(),
        }
    }

    /// Returns the `detail-type`: the kind of the event.
    pub fn detail_type(&self) -> &str {
        &self.detail_type
    }

    /// Returns the `detail`: a JSON object.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns whether the body was omitted because of its size.
    pub fn omits_body(&self) -> bool {
        self.omits_body
    }

    /// Returns the size in bytes, as EventBridge counts it (its guide: "Calculating PutEvents event entry size"; 14 for the
    /// time).
    pub fn size(&self) -> usize {
        14 + SOURCE.len() + self.detail_type.len() + self.detail.len()
    }
}

fn number(integer: &Integer) -> serde_json::Value {
    let text = integer.as_str();
    match text.parse::<i64>() {
        Ok(number) if text.trim_start_matches('-').len() <= MOST_DIGITS => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::{Entity, Timestamp};
    use store::Origin;

    use super::*;

    fn event(body: &str) -> StoredDelivery {
        StoredDelivery {
            id: "01a205f0-5119-7000-8000-000000000000".parse().unwrap(),
            entity: Entity::named("whatsapp#972501234567"),
            kind: "whatsapp".to_owned(),
            received_at: Timestamp::from_micros(1_795_339_800_000_000),
            source_ip: "34.165.99.212".to_owned(),
            request_id: "r".to_owned(),
            fingerprint: "f".to_owned(),
            origin: Origin::Delivered,
            duplicate_of: None,
            reference: Some("1234567".to_owned()),
            extra_info: Integer::parse("2"),
            has_api_key: true,
            body: Some(body.to_owned()),
            expires_at: None,
            cause: None,
            body_bytes: None,
            content_type: None,
            content_encoding: None,
        }
    }

    fn detail(entry: &BusEntry) -> Value {
        serde_json::from_str(entry.detail()).unwrap()
    }

    #[test]
    fn an_entry_has_every_member_that_the_event_has_a_value_for() {
        let entry = BusEntry::new(&event(r#"{"event":"whatsapp"}"#), false);
        assert_eq!(entry.detail_type(), "whatsapp");
        assert_eq!(
            detail(&entry),
            json!({
                "id": "01a205f0-5119-7000-8000-000000000000", "kind": "whatsapp", "entity": "whatsapp#972501234567",
                "reference": "1234567", "extra_info": 2, "received_at": "2026-11-22T09:30:00.000000Z",
                "origin": "delivered", "has_api_key": true, "body": r#"{"event":"whatsapp"}"#,
            })
        );
        let bare = StoredDelivery { reference: None, extra_info: None, has_api_key: false, ..event("{}") };
        let members: Vec<String> = detail(&BusEntry::new(&bare, false)).as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            members,
            ["id", "kind", "entity", "received_at", "origin", "has_api_key", "body"]
                .map(str::to_owned)
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_event_rebuilt_from_the_providers_lists_says_so() {
        let event = StoredDelivery { origin: Origin::Reconciled, ..event("{}") };
        assert_eq!(detail(&BusEntry::new(&event, false))["origin"], "reconciled");
    }

    #[test]
    fn a_replayed_event_says_so() {
        assert_eq!(detail(&BusEntry::new(&event("{}"), true))["replayed"], json!(true));
        assert_eq!(detail(&BusEntry::new(&event("{}"), false)).get("replayed"), None);
    }

    #[test]
    fn an_entry_that_is_too_large_goes_without_its_body_and_says_so() {
        let escaped = event(&format!("{{\"a\":\"{}\"}}", "\\\"".repeat(100_000)));
        let entry = BusEntry::new(&escaped, false);
        assert!(entry.omits_body() && entry.size() < 1_000);
        assert_eq!((detail(&entry).get("body"), &detail(&entry)["body_omitted"]), (None, &json!(true)));
        let room = LARGEST - BusEntry::new(&event(""), false).size();
        assert!(!BusEntry::new(&event(&"x".repeat(room)), false).omits_body());
        assert!(BusEntry::new(&event(&"x".repeat(room + 1)), false).omits_body());
    }

    #[test]
    fn a_long_update_code_is_not_rounded() {
        for (code, expected) in [
            ("999999999999999", json!(999_999_999_999_999_i64)),
            ("1000000000000000", json!("1000000000000000")),
            ("-7", json!(-7)),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
        ] {
            let event = StoredDelivery { extra_info: Integer::parse(code), ..event("{}") };
            assert_eq!(detail(&BusEntry::new(&event, false))["extra_info"], expected);
        }
    }
}
