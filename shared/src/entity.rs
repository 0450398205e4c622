use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{fields::Fields, kind::Kind};

/// Maximum length of a part of the key that comes from the provider, in bytes. With two of them and a kind the key stays far
/// below the 2,048 bytes that DynamoDB allows.
const MAX_PART: usize = 256;

/// Placeholder for a part of the key that the event does not name.
const UNNAMED: &str = "-";

/// The key of an event's entity, under which its history and its state are recorded:
/// `whatsapp#972501234567`, `store#972501234567`, `builder#523`, `online#<server>#523`, and `<kind>#-` when the event names none.
///
/// Entities of two kinds never have the same key: a `#` in the name of a kind is written as `%23`, and a `%` as `%25`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entity(String);

impl Entity {
    /// Returns the entity that an event of a kind names with its fields.
    pub fn of(kind: &Kind, fields: &Fields) -> Self {
        let named = match kind {
            Kind::Whatsapp | Kind::Store => part(fields.text("whatsapp")),
            Kind::Builder => fields.integer("builderID").map(ToString::to_string),
            Kind::Online => fields.integer("accountID").map(|account| {
                let server = part(fields.text("server")).unwrap_or_else(|| UNNAMED.to_owned());
                format!("{server}#{account}")
            }),
            Kind::Partners | Kind::Package | Kind::Other(_) | Kind::Unnamed => None,
        };
        Self(format!("{}#{}", partition_name(kind), named.as_deref().unwrap_or(UNNAMED)))
    }

    /// Returns the names of the top-level members that determine the kind and the entity of an event.
    pub(crate) fn naming_fields(kind: &Kind) -> &'static [&'static str] {
        match kind {
            Kind::Whatsapp | Kind::Store => &["event", "whatsapp"],
            Kind::Builder => &["event", "builderID"],
            Kind::Online => &["event", "accountID", "server"],
            Kind::Partners | Kind::Package | Kind::Other(_) | Kind::Unnamed => &["event"],
        }
    }

    /// Returns the name of the top-level member with the entity's own credential: a store's token (provider's page: Get Stores list),
    /// else a line's API key (provider's page: Partner Webhook).
    pub(crate) fn key_field(kind: &Kind) -> &'static str {
        match kind {
            Kind::Store => "token",
            _ => "whatsapp_apiKey",
        }
    }

    /// Creates an entity from its key, for reading. Any text is a valid key.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the event named every part of the key: one without its server or its number does not.
    pub fn is_whole(&self) -> bool {
        self.0.split('#').skip(1).all(|part| part != UNNAMED)
    }

    /// Returns whether this is the collective entity of the events of a kind that name none. They may be about different clients.
    pub fn is_unnamed(&self) -> bool {
        self.0.split_once('#').is_some_and(|(_, name)| name == UNNAMED)
    }
}

/// Returns the name of a kind, escaped: it ends at the first `#` and never equals a reserved partition name.
fn partition_name(kind: &Kind) -> String {
    match kind.as_str() {
        "quarantine" => "%71uarantine".to_owned(),
        name => name.replace('%', "%25").replace('#', "%23"),
    }
}

fn part(text: Option<&str>) -> Option<String> {
    let usable = |text: &&str| *text != UNNAMED && text.len() <= MAX_PART && !text.chars().any(char::is_control);
    text.filter(usable).map(str::to_owned)
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
