//! The state update that accompanies a delivery: a DynamoDB update whose condition is the judgement behind it.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    error::BuildError,
    primitives::Blob,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure, Update},
};
use shared::{Event, PLACEHOLDER, Value};

use crate::{
    delivery::{Delivery, Origin, text, value},
    keys,
    state::{Judgement, NO_EVENT, SET_BY, State, attribute_name},
};

/// An update under construction.
#[derive(Default)]
struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }

    /// Sets a field's attribute and the attribute of its setter to this delivery; returns the placeholder of the latter.
    fn set_field(&mut self, attribute: &Attribute, delivery: &Delivery) -> String {
        let n = self.names.len();
        let (field, setter) = (format!("#f{n}"), format!("#s{n}"));
        self.names.insert(field.clone(), attribute.name.clone());
        self.names.insert(setter.clone(), format!("{SET_BY}{}", attribute.name));
        self.value(&format!(":f{n}"), value(&attribute.value));
        self.value(":setter", AttributeValue::B(Blob::new(delivery.id.as_bytes())));
        self.set.push(format!("{field} = :f{n}"));
        self.set.push(format!("{setter} = :setter"));
        setter
    }

    fn build(self, table: &str, delivery: &Delivery) -> Result<Update, BuildError> {
        let clauses = [("ADD", &self.add), ("SET", &self.set), ("REMOVE", &self.remove)];
        let clauses = clauses.iter().filter(|(_, actions)| !actions.is_empty());
        let clauses: Vec<String> =
            clauses.map(|(clause, actions)| format!("{clause} {}", actions.join(", "))).collect();
        Update::builder()
            .table_name(table)
            .key(keys::PK, text(delivery.partition()))
            .key(keys::SK, text(keys::STATE))
            .update_expression(clauses.join(" "))
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
    }
}

/// A field of the event as an attribute of the state.
struct Attribute {
    name: String,
    value: Value,
}

/// The part of an event that goes into the state. If the provider kept sending new undocumented fields, the state would exceed
/// the maximum size of an item. The event is recorded all the same, and its body has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// Without undocumented fields.
    Documented,
    /// The same, and the state loses undocumented fields that it has.
    Room,
    /// Only the values that are counted and compared.
    Counts,
}

impl Scope {
    /// Returns the scope to try when there is no room for this one; `None` when there is no smaller one.
    pub(crate) fn less(self) -> Option<Self> {
        match self {
            Self::All => Some(Self::Documented),
            Self::Documented => Some(Self::Room),
            Self::Room => Some(Self::Counts),
            Self::Counts => None,
        }
    }
}

/// Number of bytes of a full state that are freed at once: more than the documented fields of any event take, index keys
/// included.
const ROOM: usize = 8 * 1024;

/// Maximum number of fields that are dropped at once, because an expression has at most 4 KB. This many of the smallest fields
/// also take more than the documented fields of an event.
const MAX_DROPPED: usize = 150;

/// In the scope that makes room, drops undocumented fields of the state, starting with those that were set longest ago.
fn make_room(update: &mut Expression, scope: Scope, state: &State) {
    if scope != Scope::Room {
        return;
    }
    let mut fields: Vec<_> = state.undocumented().collect();
    fields.sort_by_key(|(name, _)| (state.set_by(name), *name));
    let mut freed = 0;
    for (n, (name, value)) in fields.into_iter().take(MAX_DROPPED).enumerate() {
        if freed >= ROOM {
            return;
        }
        freed += 2 * name.len() + value.to_string().len();
        for (placeholder, name) in [(format!("#d{n}"), name.to_owned()), (format!("#e{n}"), format!("{SET_BY}{name}"))]
        {
            update.remove.push(placeholder.clone());
            update.names.insert(placeholder, name);
        }
    }
}

fn attributes(event: &Event, scope: Scope) -> Vec<Attribute> {
    let attribute = |documented: bool, (name, value): &(String, Value)| Attribute {
        name: attribute_name(event.kind.as_str(), name, documented),
        value: value.clone(),
    };
    let documented = event.fields.documented().iter().filter(|_| scope != Scope::Counts);
    let undocumented = event.fields.undocumented().iter().filter(|_| scope == Scope::All);
    documented.map(|field| attribute(true, field)).chain(undocumented.map(|field| attribute(false, field))).collect()
}

/// Makes the delivery the last event: it is newer than all others and not a duplicate.
///
/// Without a state it assumes that the last event is the newest of all events. That is true unless a delayed event came in
/// between the last event and its duplicate; the refusal then returns the state. To make room, the state has to be known:
/// without one, the update is refused if there is a state.
pub(crate) fn newest(
    table: &str,
    delivery: &Delivery,
    event: &Event,
    scope: Scope,
    window: Duration,
    state: Option<&State>,
) -> Result<Update, BuildError> {
    let mut update = Expression::default();
    update.value(":id", text(delivery.id));
    update.value(":at", text(delivery.received_at));
    update.value(":fingerprint", text(delivery.fingerprint));
    update.value(":kind", text(&event.kind));
    update.value(":shard", text(keys::state_shard(&event.kind, &event.entity)));
    update.value(":zero", number(0));
    update.value(":one", number(1));
    match state {
        // An event from the provider's lists makes room for nothing, and expects no state.
        None if scope == Scope::Room || delivery.origin == Origin::Reconciled => {
            update.value(":none", text(NO_EVENT));
            update.conditions.push("attribute_not_exists(pk)".to_owned());
            update.set.push("previous_event_id = :none".to_owned());
        }
        None => {
            let newest = if event.entity.is_unnamed() {
                "last_delivery_id < :id"
            } else {
                update.value(":window_start", text(delivery.received_at.minus(window)));
                "last_delivery_id < :id AND (fingerprint <> :fingerprint OR last_event_at < :window_start)"
            };
            let in_order = format!("{newest} AND previous_event_id < last_event_id");
            update.value(":none", text(NO_EVENT));
            update.conditions.push(format!("(attribute_not_exists(pk) OR ({in_order}))"));
            update.set.push("previous_event_id = if_not_exists(last_event_id, :none)".to_owned());
        }
        Some(state) => {
            update.value(":last", text(state.last_event_id));
            update.value(":seen", text(previous_event_id(state)));
            let previous = state.previous_event_id.map_or(state.last_event_id, |event| event.max(state.last_event_id));
            update.value(":previous", text(previous));
            update
                .conditions
                .push("last_delivery_id < :id AND last_event_id = :last AND previous_event_id = :seen".to_owned());
            update.set.push("previous_event_id = :previous".to_owned());
            make_room(&mut update, scope, state);
        }
    }
    set_origin(&mut update, delivery, state.is_none());
    update.add.push("version :one".to_owned());
    update.set.extend(
        [
            "kind = :kind",
            "state_shard = :shard",
            "duplicates = if_not_exists(duplicates, :zero)",
            "first_seen = if_not_exists(first_seen, :at)",
            "last_seen = :at",
            "last_delivery_id = :id",
            "last_event_id = :id",
            "last_event_at = :at",
            "fingerprint = :fingerprint",
        ]
        .map(str::to_owned),
    );
    for attribute in attributes(event, scope) {
        update.set_field(&attribute, delivery);
    }
    set_index_keys(&mut update, event, |_| scope != Scope::Counts);
    if event.fields.extra_info().is_none() || scope == Scope::Counts {
        update.value(":no_extra_info", text(keys::NO_EXTRA_INFO));
        update.set.push("extra_info = if_not_exists(extra_info, :no_extra_info)".to_owned());
    }
    update.build(table, delivery)
}

/// Counts a duplicate of the last event, and confirms the values that it repeats.
pub(crate) fn duplicate(
    table: &str,
    delivery: &Delivery,
    event: &Event,
    scope: Scope,
    state: &State,
    newest: bool,
) -> Result<Update, BuildError> {
    let mut update = Expression::default();
    update.value(":id", text(delivery.id));
    update.value(":of", text(state.last_event_id));
    update.value(":one", number(1));
    update.add.push("duplicates :one".to_owned());
    update.conditions.push("last_event_id = :of".to_owned());
    make_room(&mut update, scope, state);
    if newest {
        update.conditions.push("last_delivery_id < :id".to_owned());
        update.value(":at", text(delivery.received_at));
        update.set.extend(["last_delivery_id = :id", "last_seen = :at"].map(str::to_owned));
        for attribute in attributes(event, scope) {
            update.set_field(&attribute, delivery);
        }
    } else {
        update.conditions.push("last_delivery_id > :id".to_owned());
        set_first_seen(&mut update, delivery, state);
    }
    update.build(table, delivery)
}

/// Counts a delayed delivery, and sets only the fields that no newer delivery has set.
///
/// The setter of a field, the newest delivery and the first sighting only ever move one way. A judgement of an older state
/// therefore still holds, except for the fields set here; the condition checks those.
pub(crate) fn late(
    table: &str,
    delivery: &Delivery,
    event: &Event,
    scope: Scope,
    state: &State,
) -> Result<Update, BuildError> {
    let mut update = Expression::default();
    update.value(":id", text(delivery.id));
    update.value(":one", number(1));
    update.add.push("version :one".to_owned());
    set_origin(&mut update, delivery, false);
    update.conditions.push("last_delivery_id > :id".to_owned());
    let is_newer = |attribute: &str| {
        scope != Scope::Counts && state.set_by.get(attribute).is_none_or(|setter| *setter < delivery.id)
    };
    for attribute in attributes(event, scope).iter().filter(|attribute| is_newer(&attribute.name)) {
        let setter = update.set_field(attribute, delivery);
        update.conditions.push(format!("(attribute_not_exists({setter}) OR {setter} < :setter)"));
    }
    set_index_keys(&mut update, event, is_newer);
    make_room(&mut update, scope, state);
    if state.previous_event_id.is_none_or(|previous| previous < delivery.id) {
        update.value(":previous", text(previous_event_id(state)));
        update.conditions.push("previous_event_id = :previous".to_owned());
        update.set.push("previous_event_id = :id".to_owned());
    }
    set_first_seen(&mut update, delivery, state);
    update.build(table, delivery)
}

/// Leaves the state as it is: it counts the delivery already.
fn counted(table: &str, delivery: &Delivery) -> Result<Update, BuildError> {
    let mut update = Expression::default();
    update.value(":id", text(delivery.id));
    update.conditions.push("last_delivery_id >= :id".to_owned());
    update.set.push("last_delivery_id = last_delivery_id".to_owned());
    update.build(table, delivery)
}

/// Makes the newest delivery, a duplicate of the last event, an event and the last one. Refused if the state has changed, or the
/// delivery has sealed members: only the original's are stored.
pub(crate) fn expose(table: &str, delivery: &Delivery, state: &State) -> Result<[Update; 2], BuildError> {
    let exposed = Update::builder()
        .table_name(table)
        .key(keys::PK, text(delivery.partition()))
        .key(keys::SK, text(keys::event(&state.last_delivery_id)))
        .update_expression(format!("SET {} = duplicate_of REMOVE duplicate_of", keys::WAS_DUPLICATE_OF))
        .condition_expression("attribute_exists(duplicate_of) AND NOT contains(body, :sealed)")
        .expression_attribute_values(":sealed", text(PLACEHOLDER))
        .build()?;
    let mut update = Expression::default();
    update.value(":last", text(state.last_event_id));
    update.value(":exposed", text(state.last_delivery_id));
    update.value(":one", number(1));
    update.value(":minus_one", number(-1));
    update.conditions.push("last_event_id = :last AND last_delivery_id = :exposed".to_owned());
    update.set.extend(["last_event_id = last_delivery_id", "last_event_at = last_seen"].map(str::to_owned));
    update.add.extend(["version :one", "duplicates :minus_one"].map(str::to_owned));
    Ok([exposed, update.build(table, delivery)?])
}

/// Returns the update for a judgement.
pub(crate) fn judged(
    table: &str,
    delivery: &Delivery,
    event: &Event,
    scope: Scope,
    window: Duration,
    state: &State,
    judgement: Judgement,
) -> Result<Update, BuildError> {
    match judgement {
        Judgement::Newest => newest(table, delivery, event, scope, window, Some(state)),
        Judgement::Duplicate { newest, .. } => duplicate(table, delivery, event, scope, state, newest),
        Judgement::Late { .. } => late(table, delivery, event, scope, state),
        Judgement::Counted { .. } => counted(table, delivery),
    }
}

/// Sets the index keys that are made of fields, together with those fields. `is_set` returns whether a field's attribute is set.
fn set_index_keys(update: &mut Expression, event: &Event, is_set: impl Fn(&str) -> bool) {
    let kind = &event.kind;
    let is_set = |field: &str| is_set(&attribute_name(kind.as_str(), field, true));
    let reference = format!("{kind}_reference");
    if is_set(&reference) {
        if let Some(reference) = event.fields.reference() {
            update.value(":reference", text(reference));
            update.names.insert("#reference".to_owned(), keys::REFERENCE.to_owned());
            update.set.push("#reference = :reference".to_owned());
        } else if event.fields.documented().iter().any(|(name, _)| *name == reference) {
            // An empty text cannot be a key.
            update.names.insert("#reference".to_owned(), keys::REFERENCE.to_owned());
            update.remove.push("#reference".to_owned());
        }
    }
    if let Some(extra_info) = event.fields.extra_info().filter(|_| is_set(&format!("{kind}_extra_info"))) {
        update.value(":extra_info", text(extra_info));
        update.set.push("extra_info = :extra_info".to_owned());
    }
}

/// Marks a state that begins with an event from the provider's lists, until an event is delivered.
fn set_origin(update: &mut Expression, delivery: &Delivery, begins: bool) {
    match delivery.origin {
        Origin::Delivered => update.remove.push("#origin".to_owned()),
        Origin::Reconciled if begins => {
            update.value(":origin", text(delivery.origin.name()));
            update.set.push("#origin = :origin".to_owned());
        }
        Origin::Reconciled => return,
    }
    update.names.insert("#origin".to_owned(), keys::ORIGIN.to_owned());
}

fn previous_event_id(state: &State) -> String {
    state.previous_event_id.map_or_else(|| NO_EVENT.to_owned(), |previous| previous.to_string())
}

fn set_first_seen(update: &mut Expression, delivery: &Delivery, state: &State) {
    if delivery.received_at < state.first_seen {
        update.value(":at", text(delivery.received_at));
        update.conditions.push("first_seen > :at".to_owned());
        update.set.push("first_seen = :at".to_owned());
    }
}

fn number(number: i8) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
