use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Fields, Kind};

/// The longest part of an entity's name that comes from the provider, in bytes; with two of them and a kind the name stays
/// far below the 2,048 bytes of a key.
const LONGEST_PART: usize = 256;

/// What an event is about, as the key under which its history and its state stand:
/// `whatsapp#972501234567`, `builder#523`, `online#<server>#523`, and `<kind>#-` when the event names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entity(String);

impl Entity {
    /// The entity that an event of a kind names with its fields.
    pub fn of(kind: &Kind, fields: &Fields) -> Self {
        let named = match kind {
            Kind::Whatsapp => part(fields.text("whatsapp")),
            Kind::Builder => fields.integer("builderID").map(ToString::to_string),
            Kind::Online => fields.integer("accountID").map(|account| {
                let server = part(fields.text("server")).unwrap_or_else(|| "-".to_owned());
                format!("{server}#{account}")
            }),
            Kind::Partners | Kind::Package | Kind::Other(_) | Kind::Unnamed => None,
        };
        Self(format!("{kind}#{}", named.as_deref().unwrap_or("-")))
    }

    /// The entity that somebody names, for reading: any text.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn part(text: Option<&str>) -> Option<String> {
    text.filter(|text| text.len() <= LONGEST_PART && !text.chars().any(char::is_control)).map(str::to_owned)
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
