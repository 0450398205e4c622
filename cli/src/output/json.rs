//! Deliveries and states as JSON, each an object on one line. What is there once stays there, under the same name.

use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};
use shared::Integer;
use store::{SealedKey, State, StoredDelivery};

/// A delivery, with the names of its attributes in the table.
#[derive(Serialize)]
struct Delivery<'a> {
    id: String,
    received_at: String,
    kind: &'a str,
    entity: &'a str,
    reference: Option<&'a str>,
    extra_info: Option<Value>,
    duplicate_of: Option<String>,
    source_ip: &'a str,
    request_id: &'a str,
    fingerprint: &'a str,
    /// The body itself, not a text with it.
    body: Option<Box<RawValue>>,
    cause: Option<&'a str>,
    body_bytes: Option<u64>,
}

/// A state, with the names of its attributes in the table; the fields, whose names come from outside, are by themselves.
#[derive(Serialize)]
struct StateOf<'a> {
    entity: &'a str,
    kind: &'a str,
    version: u64,
    duplicates: u64,
    first_seen: String,
    last_seen: String,
    last_event_id: String,
    reference: Option<&'a str>,
    extra_info: Option<Value>,
    fields: Map<String, Value>,
}

/// A delivery on a line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn delivery(delivery: &StoredDelivery) -> serde_json::Result<String> {
    line(&Delivery {
        id: delivery.id.to_string(),
        received_at: delivery.received_at.to_string(),
        kind: &delivery.kind,
        entity: delivery.entity.as_str(),
        reference: delivery.reference.as_deref(),
        extra_info: delivery.extra_info.as_ref().map(number),
        duplicate_of: delivery.duplicate_of.map(|id| id.to_string()),
        source_ip: &delivery.source_ip,
        request_id: &delivery.request_id,
        fingerprint: &delivery.fingerprint,
        body: delivery.body.as_deref().map(shared::json::embedded),
        cause: delivery.cause.as_deref(),
        body_bytes: delivery.body_bytes,
    })
}

/// A state on a line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn state(state: &State) -> serde_json::Result<String> {
    let fields = state.fields.iter().map(|(name, field)| {
        let value = match field {
            shared::Value::Text(text) => Value::from(text.as_str()),
            shared::Value::Integer(integer) => number(integer),
            shared::Value::Flag(flag) => Value::from(*flag),
        };
        (name.clone(), value)
    });
    line(&StateOf {
        entity: state.entity.as_str(),
        kind: &state.kind,
        version: state.version,
        duplicates: state.duplicates,
        first_seen: state.first_seen.to_string(),
        last_seen: state.last_seen.to_string(),
        last_event_id: state.last_event_id.to_string(),
        reference: state.reference(),
        extra_info: state.extra_info().map(number),
        fields: fields.collect(),
    })
}

/// An API key on a line, with the event that brought it: the one place besides its plain form in which it is shown.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn key(entity: &str, key: &SealedKey) -> serde_json::Result<String> {
    line(&json!({
        "entity": entity,
        "api_key": key.api_key.expose(),
        "event_id": key.id.to_string(),
        "received_at": key.received_at.to_string(),
    }))
}

/// An object on a line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn line(object: &impl Serialize) -> serde_json::Result<String> {
    shared::json::to_string(object).map(|json| json + "\n")
}

/// As a number if it is one of 64 bits, else as a text: most programs would round it.
fn number(integer: &Integer) -> Value {
    integer.as_str().parse::<i64>().map_or_else(|_| Value::from(integer.as_str()), Value::from)
}
