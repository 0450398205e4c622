use std::{collections::HashMap, net::IpAddr, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use shared::{
    Entity, Event, EventId, Fingerprint, FingerprintKey, Integer, Kind, Received, Timestamp, Undecodable, Value, gunzip,
};
use thiserror::Error;

use crate::{error::StoreError, keys};

/// Maximum length of an integer that is stored as a number, sign included; a longer one is stored as text.
const MOST_PLAIN_DIGITS: usize = 18;

/// Stored when the gateway gave no caller's address, or none that can be read.
const UNKNOWN_SOURCE: &str = "unknown";

pub(crate) type Item = HashMap<String, AttributeValue>;

/// One authenticated call of the webhook, decoded as far as possible: the unit that is recorded.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery's id. Recording the same id again changes nothing.
    pub id: EventId,
    /// Time of receipt, on the receiver's clock.
    pub received_at: Timestamp,
    /// The caller's address, as the gateway saw it; `None` when the gateway gave none, or one that cannot be read.
    pub source_ip: Option<IpAddr>,
    /// The request id from the gateway or Lambda, to find the call in their logs.
    pub request_id: String,
    /// The fingerprint of the body as received, or of its content when it was compressed.
    pub fingerprint: Fingerprint,
    /// The way in which it came to be recorded.
    pub origin: Origin,
    /// The event, or the quarantined body.
    pub content: Content,
}

/// The way in which an event came to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The provider delivered it.
    #[default]
    Delivered,
    /// It was rebuilt from the provider's lists, which have its entity. It has no update code, and its time is that of the list.
    Reconciled,
}

impl Origin {
    /// Returns the name in the table and outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Reconciled => "reconciled",
        }
    }

    fn read(name: &str) -> Option<Self> {
        [Self::Delivered, Self::Reconciled].into_iter().find(|origin| origin.name() == name)
    }
}

/// The content of a delivery.
#[derive(Clone)]
pub enum Content {
    /// An event. It belongs to an entity and updates the entity's state.
    Event(Event),
    /// A body that is kept in quarantine until a person has looked at it.
    Quarantined {
        /// The body as received. Only the sealed table gets it.
        bytes: Vec<u8>,
        /// The reason why it is not recorded as an event.
        cause: QuarantineCause,
        /// The `Content-Type` header, if present.
        content_type: Option<String>,
        /// The `Content-Encoding` header, if present.
        content_encoding: Option<String>,
    },
}

/// The cause of a quarantine. Its text is the attribute `cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuarantineCause {
    /// The body is not an event.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The delivery came with an accepted token from an unlisted address, and is held.
    #[error("unlisted_source")]
    UnlistedSource,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Quarantined { bytes, cause, .. } => {
                f.debug_struct("Quarantined").field("size", &bytes.len()).field("cause", cause).finish_non_exhaustive()
            }
        }
    }
}

impl Delivery {
    /// Decodes an authenticated call. Every body becomes a delivery: a body that is not an event is quarantined.
    pub fn decode(received: &Received, key: &FingerprintKey) -> Self {
        let body = gunzip(&received.body);
        let fingerprint = key.fingerprint(body.as_deref().unwrap_or(&received.body));
        match body.and_then(|body| Event::decode(&body)) {
            Ok(event) => Self::of(received, fingerprint, Content::Event(event)),
            Err(cause) => Self::quarantined(received, fingerprint, cause.into()),
        }
    }

    /// Holds an authenticated call from an unlisted address. Its body is not decoded.
    pub fn hold(received: &Received, key: &FingerprintKey) -> Self {
        let body = gunzip(&received.body);
        let fingerprint = key.fingerprint(body.as_deref().unwrap_or(&received.body));
        Self::quarantined(received, fingerprint, QuarantineCause::UnlistedSource)
    }

    fn quarantined(received: &Received, fingerprint: Fingerprint, cause: QuarantineCause) -> Self {
        let content = Content::Quarantined {
            bytes: received.body.clone(),
            cause,
            content_type: received.content_type.clone(),
            content_encoding: received.content_encoding.clone(),
        };
        Self::of(received, fingerprint, content)
    }

    fn of(received: &Received, fingerprint: Fingerprint, content: Content) -> Self {
        let Received { id, received_at, source_ip, request_id, .. } = received;
        let request_id = request_id.clone();
        let origin = Origin::Delivered;
        Self { id: *id, received_at: *received_at, source_ip: *source_ip, request_id, fingerprint, origin, content }
    }

    /// Returns the kind of its event; [`Kind::Unnamed`] when it is quarantined.
    pub fn kind(&self) -> &Kind {
        match &self.content {
            Content::Event(event) => &event.kind,
            Content::Quarantined { .. } => &Kind::Unnamed,
        }
    }

    /// Returns its partition, the same in both tables.
    pub(crate) fn partition(&self) -> String {
        match &self.content {
            Content::Event(event) => event.entity.to_string(),
            Content::Quarantined { .. } => keys::quarantine(self.received_at),
        }
    }

    /// Returns its item in the events table.
    pub(crate) fn item(&self, duplicate_of: Option<&EventId>, retention: Option<Duration>) -> Item {
        let mut item = self.key();
        item.insert("received_at".into(), text(self.received_at));
        let source_ip = self.source_ip.map_or_else(|| UNKNOWN_SOURCE.to_owned(), |source_ip| source_ip.to_string());
        item.insert("source_ip".into(), text(source_ip));
        item.insert("request_id".into(), text(&self.request_id));
        item.insert("fingerprint".into(), text(self.fingerprint));
        item.insert(keys::TIME_SHARD.into(), text(keys::time_shard(self.received_at, &self.id)));
        item.extend(duplicate_of.map(|of| ("duplicate_of".into(), text(of))));
        item.extend(self.expires_at(retention));
        if self.origin != Origin::Delivered {
            item.insert(keys::ORIGIN.into(), text(self.origin.name()));
        }
        match &self.content {
            Content::Event(event) => {
                item.insert("kind".into(), text(&event.kind));
                item.insert("body".into(), text(&event.body));
                if event.sealed.as_ref().is_some_and(|sealed| sealed.api_key.is_some()) {
                    item.insert(keys::HAS_API_KEY.into(), AttributeValue::Bool(true));
                }
                item.extend(event.fields.reference().map(|reference| (keys::REFERENCE.into(), text(reference))));
                item.extend(event.fields.documented().iter().map(|(name, field)| (name.clone(), value(field))));
            }
            Content::Quarantined { bytes, cause, content_type, content_encoding } => {
                item.insert("kind".into(), text("quarantine"));
                item.insert("cause".into(), text(cause));
                item.insert("body_bytes".into(), AttributeValue::N(bytes.len().to_string()));
                item.extend(content_type.as_ref().map(|content_type| ("content_type".into(), text(content_type))));
                item.extend(content_encoding.as_ref().map(|coding| ("content_encoding".into(), text(coding))));
            }
        }
        item
    }

    /// Returns its item in the sealed table, if anything is sealed. An item with a line's key does not expire, because the
    /// line's state does not; others expire with their delivery.
    pub(crate) fn sealed_item(&self, retention: Option<Duration>) -> Option<Item> {
        let mut item = self.key();
        item.insert("received_at".into(), text(self.received_at));
        match &self.content {
            Content::Event(event) => {
                let sealed = event.sealed.as_ref()?;
                let body = sealed.body.expose().as_bytes();
                item.insert("body".into(), AttributeValue::B(Blob::new(body)));
                match &sealed.api_key {
                    Some(key) => _ = item.insert("api_key".into(), text(key.expose())),
                    None => item.extend(self.expires_at(retention)),
                }
            }
            Content::Quarantined { bytes, .. } => {
                item.insert("body".into(), AttributeValue::B(Blob::new(bytes.as_slice())));
                item.extend(self.expires_at(retention));
            }
        }
        Some(item)
    }

    pub(crate) fn key(&self) -> Item {
        HashMap::from([(keys::PK.into(), text(self.partition())), (keys::SK.into(), text(keys::event(&self.id)))])
    }

    fn expires_at(&self, retention: Option<Duration>) -> Option<(String, AttributeValue)> {
        let end = self.received_at.plus(retention?);
        Some(("expires_at".into(), AttributeValue::N(end.as_secs().to_string())))
    }
}

/// Returns the key of a quarantined delivery, the same in both tables: the id contains the day.
pub(crate) fn quarantined_key(id: &EventId) -> Item {
    let partition = keys::quarantine(id.received_at());
    HashMap::from([(keys::PK.into(), text(partition)), (keys::SK.into(), text(keys::event(id)))])
}

/// Returns an attribute with a text.
pub(crate) fn text(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

/// Returns an attribute with a field of the typed view.
pub(crate) fn value(value: &Value) -> AttributeValue {
    match value {
        Value::Text(text) => AttributeValue::S(text.clone()),
        // DynamoDB may return a longer one as 1E+37.
        Value::Integer(integer) if integer.as_str().len() > MOST_PLAIN_DIGITS => AttributeValue::S(integer.to_string()),
        Value::Integer(integer) => AttributeValue::N(integer.to_string()),
        Value::Flag(flag) => AttributeValue::Bool(*flag),
    }
}

/// A delivery as read from the events table.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    /// The delivery's id. Ids sort by the time of receipt.
    pub id: EventId,
    /// The entity, or `quarantine#<date>`.
    pub entity: Entity,
    /// The kind of the event, or `quarantine`.
    pub kind: String,
    /// Time of receipt, on the receiver's clock.
    pub received_at: Timestamp,
    /// The caller's address, as the gateway saw it; `unknown` when it gave none that can be read.
    pub source_ip: String,
    /// The request id from the gateway or Lambda.
    pub request_id: String,
    /// HMAC-SHA-256 of the body as received, in hexadecimal.
    pub fingerprint: String,
    /// The way in which it came to be recorded.
    pub origin: Origin,
    /// The earlier delivery that this one repeats.
    pub duplicate_of: Option<EventId>,
    /// The partner's own reference in this delivery.
    pub reference: Option<String>,
    /// The update code in this delivery (`whatsapp_extra_info` and the like).
    pub extra_info: Option<Integer>,
    /// True when the event contained an API key, which is in the sealed table.
    pub has_api_key: bool,
    /// The earliest time at which DynamoDB may delete it; `None` when it is kept.
    pub expires_at: Option<Timestamp>,
    /// The redacted body; `None` when the delivery is quarantined.
    pub body: Option<String>,
    /// The cause of the quarantine; `None` for an event.
    pub cause: Option<String>,
    /// The size of the quarantined body, in bytes.
    pub body_bytes: Option<u64>,
    /// The `Content-Type` header of a quarantined delivery, if present.
    pub content_type: Option<String>,
    /// The `Content-Encoding` header of a quarantined delivery, if present.
    pub content_encoding: Option<String>,
}

impl StoredDelivery {
    /// Reads an item of the events table, or an item image in the table's stream.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the item is not a delivery in this program's form.
    pub fn from_item(item: &HashMap<String, AttributeValue>) -> Result<Self, StoreError> {
        let reader = Attributes(item);
        let corrupt = || reader.corrupt(keys::SK);
        let kind = reader.text("kind")?;
        let extra_info = format!("{kind}_extra_info");
        // A long number is stored as text.
        let read_extra_info = |value: &AttributeValue| {
            let digits = value.as_n().or_else(|_| value.as_s()).ok();
            digits.and_then(|digits| Integer::parse(digits)).ok_or_else(|| reader.corrupt(&extra_info))
        };
        Ok(Self {
            id: reader.text(keys::SK).ok().and_then(keys::read_event).ok_or_else(corrupt)?,
            entity: Entity::named(reader.text(keys::PK)?),
            kind: kind.to_owned(),
            received_at: reader.parsed("received_at")?,
            source_ip: reader.text("source_ip")?.to_owned(),
            request_id: reader.text("request_id")?.to_owned(),
            fingerprint: reader.text("fingerprint")?.to_owned(),
            origin: reader.optional(keys::ORIGIN, Origin::read)?.unwrap_or_default(),
            duplicate_of: reader.optional("duplicate_of", |of| of.parse().ok())?,
            reference: reader.optional(keys::REFERENCE, |reference| Some(reference.to_owned()))?,
            extra_info: item.get(&extra_info).map(read_extra_info).transpose()?,
            has_api_key: item.contains_key(keys::HAS_API_KEY),
            expires_at: item
                .get("expires_at")
                .map(|_| reader.number::<i64>("expires_at"))
                .transpose()?
                .map(|seconds| Timestamp::from_micros(seconds.saturating_mul(1_000_000))),
            body: reader.optional("body", |body| Some(body.to_owned()))?,
            cause: reader.optional("cause", |cause| Some(cause.to_owned()))?,
            body_bytes: item.get("body_bytes").map(|_| reader.number("body_bytes")).transpose()?,
            content_type: reader.optional("content_type", |content_type| Some(content_type.to_owned()))?,
            content_encoding: reader.optional("content_encoding", |coding| Some(coding.to_owned()))?,
        })
    }
}

/// Reads the attributes of an item. An attribute in a form other than this program's gives an error that names the item.
pub(crate) struct Attributes<'a>(pub(crate) &'a Item);

impl<'a> Attributes<'a> {
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        let text = self.0.get(name).and_then(|value| value.as_s().ok());
        text.map(String::as_str).ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| self.corrupt(name))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError> {
        let number = self.0.get(name).and_then(|value| value.as_n().ok());
        number.and_then(|number| number.parse().ok()).ok_or_else(|| self.corrupt(name))
    }

    /// Returns `None` when the attribute is missing, and an error when it is present and cannot be read.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(_) => read(self.text(name)?).map(Some).ok_or_else(|| self.corrupt(name)),
        }
    }

    pub(crate) fn corrupt(&self, attribute: &str) -> StoreError {
        let key = |name| self.0.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        StoreError::Corrupt { pk: key(keys::PK), sk: key(keys::SK), attribute: attribute.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_dynamodb_may_write_otherwise_is_stored_as_text() {
        for (digits, is_number) in [("7", true), ("-12345678901234567", true), ("123456789012345678", true)]
            .into_iter()
            .chain([("-123456789012345678", false), ("1234567890123456789", false)])
        {
            let stored = value(&Value::Integer(Integer::parse(digits).unwrap()));
            assert_eq!(stored.is_n(), is_number, "{digits}");
        }
    }

    #[test]
    fn the_debug_text_of_a_quarantined_body_has_its_size_and_not_its_bytes() {
        let cause = Undecodable::NotJson.into();
        let (bytes, content_type, content_encoding) = (b"s3cret".to_vec(), None, None);
        let content = Content::Quarantined { bytes, cause, content_type, content_encoding };
        assert_eq!(format!("{content:?}"), "Quarantined { size: 6, cause: Undecodable(NotJson), .. }");
    }
}
