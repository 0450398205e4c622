//! Deliveries and states as JSON, one object on each line. Members keep their names from version to version.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use shared::{Entity, EventId, Integer, Timestamp};
use store::{Origin, SealedKey, State, StoredDelivery};

/// A delivery, with the names of its attributes in the table.
#[derive(Serialize)]
struct Delivery<'a> {
    id: EventId,
    received_at: Timestamp,
    kind: &'a str,
    entity: &'a Entity,
    reference: Option<&'a str>,
    extra_info: Option<&'a Integer>,
    duplicate_of: Option<EventId>,
    source_ip: &'a str,
    request_id: &'a str,
    fingerprint: &'a str,
    /// The body itself, not a text with it.
    body: Option<Box<RawValue>>,
    /// Missing for an event that was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    cause: Option<&'a str>,
    body_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarding: Option<Value>,
}

/// A state, with the names of its attributes in the table. The fields, whose names come from outside, are in an object of their own.
#[derive(Serialize)]
struct StateOf<'a> {
    entity: &'a Entity,
    kind: &'a str,
    version: u64,
    duplicates: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
    last_event_id: EventId,
    reference: Option<&'a str>,
    extra_info: Option<&'a Integer>,
    /// Missing as soon as an event was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    /// Missing while the provider has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_at: Option<Timestamp>,
    fields: BTreeMap<&'a str, FieldValue<'a>>,
}

/// The value of a field, as the JSON value that it is.
#[derive(Serialize)]
#[serde(untagged)]
enum FieldValue<'a> {
    Text(&'a str),
    Integer(&'a Integer),
    Flag(bool),
}

/// Returns a delivery as one line of JSON.
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn delivery(delivery: &StoredDelivery) -> serde_json::Result<String> {
    delivery_with(delivery, None)
}

/// Returns a delivery as one line of JSON, with its forwarding to the endpoint.
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn delivery_with(delivery: &StoredDelivery, forwarding: Option<Value>) -> serde_json::Result<String> {
    line(&Delivery {
        id: delivery.id,
        received_at: delivery.received_at,
        kind: &delivery.kind,
        entity: &delivery.entity,
        reference: delivery.reference.as_deref(),
        extra_info: delivery.extra_info.as_ref(),
        duplicate_of: delivery.duplicate_of,
        source_ip: &delivery.source_ip,
        request_id: &delivery.request_id,
        fingerprint: &delivery.fingerprint,
        body: delivery.body.as_deref().map(shared::json::embedded),
        origin: (delivery.origin != Origin::Delivered).then(|| delivery.origin.name()),
        cause: delivery.cause.as_deref(),
        body_bytes: delivery.body_bytes,
        content_type: delivery.content_type.as_deref(),
        content_encoding: delivery.content_encoding.as_deref(),
        forwarding,
    })
}

/// Returns a state as one line of JSON, with the time since which the entity is gone at the provider.
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn state(state: &State, gone_at: Option<Timestamp>) -> serde_json::Result<String> {
    let fields = state.fields.iter().map(|(name, field)| {
        let value = match field {
            shared::Value::Text(text) => FieldValue::Text(text),
            shared::Value::Integer(integer) => FieldValue::Integer(integer),
            shared::Value::Flag(flag) => FieldValue::Flag(*flag),
        };
        (name.as_str(), value)
    });
    line(&StateOf {
        entity: &state.entity,
        kind: &state.kind,
        version: state.version,
        duplicates: state.duplicates,
        first_seen: state.first_seen,
        last_seen: state.last_seen,
        last_event_id: state.last_event_id,
        reference: state.reference(),
        extra_info: state.extra_info(),
        origin: state.is_reconciled.then(|| Origin::Reconciled.name()),
        gone_at,
        fields: fields.collect(),
    })
}

/// Returns an API key as JSON, with the event that contained it.
pub fn key(entity: &str, key: &SealedKey) -> Value {
    json!({
        "entity": entity,
        "api_key": key.api_key.expose(),
        "event_id": key.id.to_string(),
        "received_at": key.received_at.to_string(),
    })
}

/// Returns an object as one line of JSON that every reader reads: see [`shared::json`].
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn line(object: &impl Serialize) -> serde_json::Result<String> {
    shared::json::to_string(object).map(|json| json + "\n")
}
