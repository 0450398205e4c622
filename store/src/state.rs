use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use shared::{Entity, EventId, Fingerprint, Integer, Kind, Timestamp, Value};

use crate::{
    delivery::{Attributes, Item},
    error::StoreError,
    keys,
};

/// Prefix of an undocumented field's name, which must not collide with an attribute of ours.
const UNDOCUMENTED: &str = "other.";
/// Returns the attribute of a state for a field.
///
/// Documented fields keep their names. All others get a prefix, including the reference and update code of unknown kinds:
/// their names come from outside, and could equal those of other attributes.
pub(crate) fn attribute_name(kind: &str, field: &str, documented: bool) -> String {
    match Kind::of(kind) {
        Kind::Whatsapp | Kind::Builder | Kind::Online | Kind::Partners | Kind::Package | Kind::Store if documented => {
            field.to_owned()
        }
        _ => format!("{UNDOCUMENTED}{field}"),
    }
}

fn extra_info_attribute(kind: &str) -> String {
    attribute_name(kind, &format!("{kind}_extra_info"), true)
}

/// Prefix of the attribute that records which delivery set an attribute, as the 16 bytes of its id.
pub(crate) const SET_BY: &str = "set_by.";
/// The value of `previous_event_id` in a state with a single event.
pub(crate) const NO_EVENT: &str = "-";

/// The known state of an entity: for each field, the value from the newest delivery that contains it.
///
/// "Newest" is by event id, not by the order in which deliveries reach the table, so a delayed delivery does not revert the
/// state.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The entity.
    pub entity: Entity,
    /// Kind of the entity's events.
    pub kind: String,
    /// Last value of each field; undocumented fields have the prefix `other.`.
    pub fields: BTreeMap<String, Value>,
    /// Number of recorded events, without duplicates.
    pub version: u64,
    /// Number of recorded duplicates.
    pub duplicates: u64,
    /// Time of receipt of the first delivery.
    pub first_seen: Timestamp,
    /// Time of receipt of the last delivery, duplicates included.
    pub last_seen: Timestamp,
    /// True while none of its events was delivered: it was rebuilt from the provider's lists.
    pub is_reconciled: bool,
    /// The event that the next delivery is compared with.
    pub last_event_id: EventId,
    /// The newest of all other events.
    pub(crate) previous_event_id: Option<EventId>,
    /// Time of receipt of the last event.
    pub(crate) last_event_at: Timestamp,
    /// The newest delivery, duplicates included.
    pub(crate) last_delivery_id: EventId,
    /// Fingerprint of the last event's body.
    pub(crate) fingerprint: String,
    /// The delivery that set each field's attribute.
    pub(crate) set_by: BTreeMap<String, EventId>,
}

/// Attributes of a state that are not fields of the provider.
const OWN: [&str; 16] = [
    keys::PK,
    keys::SK,
    keys::STATE_SHARD,
    keys::EXTRA_INFO,
    keys::REFERENCE,
    keys::ORIGIN,
    "kind",
    "version",
    "duplicates",
    "first_seen",
    "last_seen",
    "last_event_id",
    "last_event_at",
    "last_delivery_id",
    "previous_event_id",
    "fingerprint",
];

impl State {
    pub(crate) fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = Attributes(item);
        let extra_info = extra_info_attribute(reader.text("kind")?);
        let mut fields = BTreeMap::new();
        let mut set_by = BTreeMap::new();
        for (name, attribute) in item.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
            if let Some(field) = name.strip_prefix(SET_BY) {
                let id = attribute.as_b().ok().and_then(|bytes| EventId::from_bytes(bytes.as_ref()).ok());
                set_by.insert(field.to_owned(), id.ok_or_else(|| reader.corrupt(name))?);
            } else {
                let value = match attribute {
                    // A long number is stored as text.
                    AttributeValue::S(text) if *name == extra_info => {
                        Some(Integer::parse(text).map_or_else(|| Value::Text(text.clone()), Value::Integer))
                    }
                    AttributeValue::S(text) => Some(Value::Text(text.clone())),
                    AttributeValue::N(number) => Integer::parse(number).map(Value::Integer),
                    AttributeValue::Bool(flag) => Some(Value::Flag(*flag)),
                    _ => None,
                };
                fields.insert(name.clone(), value.ok_or_else(|| reader.corrupt(name))?);
            }
        }
        let previous = reader.text("previous_event_id")?;
        Ok(Self {
            entity: Entity::named(reader.text(keys::PK)?),
            kind: reader.text("kind")?.to_owned(),
            fields,
            version: reader.number("version")?,
            duplicates: reader.number("duplicates")?,
            first_seen: reader.parsed("first_seen")?,
            last_seen: reader.parsed("last_seen")?,
            is_reconciled: item.contains_key(keys::ORIGIN),
            last_event_id: reader.parsed("last_event_id")?,
            previous_event_id: match previous {
                NO_EVENT => None,
                id => Some(id.parse().map_err(|_| reader.corrupt("previous_event_id"))?),
            },
            last_event_at: reader.parsed("last_event_at")?,
            last_delivery_id: reader.parsed("last_delivery_id")?,
            fingerprint: reader.text("fingerprint")?.to_owned(),
            set_by,
        })
    }

    /// Returns the last update code (`whatsapp_extra_info` and the like).
    pub fn extra_info(&self) -> Option<&Integer> {
        match self.fields.get(&extra_info_attribute(&self.kind)) {
            Some(Value::Integer(integer)) => Some(integer),
            _ => None,
        }
    }

    /// Returns its fields that the provider does not document. Status, reference and update code are not among them, even for an unknown
    /// kind.
    pub(crate) fn undocumented(&self) -> impl Iterator<Item = (&str, &Value)> {
        let of_every_kind =
            [self.reference_attribute(), extra_info_attribute(&self.kind), attribute_name(&self.kind, "status", true)];
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value));
        fields.filter(move |(name, _)| {
            name.starts_with(UNDOCUMENTED) && of_every_kind.iter().all(|documented| documented != name)
        })
    }

    fn reference_attribute(&self) -> String {
        attribute_name(&self.kind, &format!("{}_reference", self.kind), true)
    }

    /// Returns the newest delivery that contained a field, by the field's name in [`State::fields`].
    pub fn set_by(&self, field: &str) -> Option<&EventId> {
        self.set_by.get(field)
    }

    /// Returns the partner's own reference.
    pub fn reference(&self) -> Option<&str> {
        match self.fields.get(&self.reference_attribute()) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// The relation of a delivery to the state of its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The entity's first, or newer than every delivery so far and not a duplicate: becomes the last event.
    Newest,
    /// A duplicate of the last event.
    Duplicate {
        of: EventId,
        /// True when it is newer than every delivery so far.
        newest: bool,
    },
    /// A delayed delivery: newer ones were recorded before it.
    Late {
        /// True when it lies between the last event and the newest delivery, which then is no duplicate of that event.
        exposes: bool,
    },
    /// The state counts it already, but its item is missing.
    Counted { duplicate_of: Option<EventId> },
}

/// Judges a delivery against the stored state.
///
/// A duplicate is a delivery with the last event's fingerprint, received within the window before or after it, with no other
/// known event between the two. An event that names no entity is never a duplicate: the same body may come for two clients.
pub(crate) fn judge(
    state: &State,
    id: &EventId,
    received_at: Timestamp,
    fingerprint: &Fingerprint,
    window: Duration,
) -> Judgement {
    let last = state.last_event_id;
    if *id == last || *id == state.last_delivery_id {
        return Judgement::Counted { duplicate_of: Some(last).filter(|last| last != id) };
    }
    if state.previous_event_id == Some(*id) {
        return Judgement::Counted { duplicate_of: None };
    }
    let repeats = !state.entity.is_unnamed()
        && state.fingerprint == fingerprint.to_string()
        && state.last_event_at.minus(window) <= received_at
        && received_at <= state.last_event_at.plus(window)
        && state.previous_event_id.is_none_or(|previous| previous < last.min(*id));
    let newest = *id > state.last_delivery_id;
    match (repeats, newest) {
        (true, newest) => Judgement::Duplicate { of: last, newest },
        (false, true) => Judgement::Newest,
        (false, false) => Judgement::Late { exposes: last < *id },
    }
}
