//! The typed view of an event: the fields that the provider documents, under the provider's names, and undocumented fields
//! with plain values.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::Serialize;

use crate::{integer::Integer, json, kind::Kind, redact::PLACEHOLDER, text::is_invisible};

/// Maximum length of a text in the typed view, in bytes. Index keys of the store hold at most 2,048.
pub(crate) const MAX_TEXT: usize = 1_024;
/// Maximum length of an undocumented field's name in the typed view, in bytes.
const MAX_NAME: usize = 64;
/// Maximum number of undocumented fields of one event in the typed view. It keeps a state far below the store's limit.
const MAX_UNDOCUMENTED: usize = 32;

/// The value of a field in the typed view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A text of at most 1,024 bytes.
    Text(String),
    /// A whole number.
    Integer(Integer),
    /// `true` or `false`; only undocumented fields have it.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(integer) => integer.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// The type that the provider documents for a field.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    /// The number of a line: a text of digits.
    LineNumber,
    /// The name of a server.
    Server,
}

/// Returns the fields of a kind that the provider's page Partner Webhook documents, without the API key, which is sealed.
///
/// Kinds without documented fields are expected to name their reference and their update code as the documented ones do.
fn documented(kind: &Kind) -> Vec<(String, Type)> {
    let own: &[(&str, Type)] = match kind {
        Kind::Whatsapp => &[("whatsapp", Type::LineNumber), ("daily_limit", Type::Integer)],
        Kind::Builder => &[("builderID", Type::Integer), ("builder_url", Type::Text)],
        Kind::Online => &[
            ("accountID", Type::Integer),
            ("agentID", Type::Integer),
            ("inboxID", Type::Integer),
            ("server", Type::Server),
        ],
        Kind::Store => &[("whatsapp", Type::LineNumber), ("site_url", Type::Text)],
        Kind::Partners | Kind::Package | Kind::Other(_) | Kind::Unnamed => &[],
    };
    let mut fields = vec![
        ("status".to_owned(), Type::Text),
        (reference_field(kind), Type::Text),
        (extra_info_field(kind), Type::Integer),
    ];
    fields.extend(own.iter().map(|&(name, field_type)| (name.to_owned(), field_type)));
    fields
}

fn reference_field(kind: &Kind) -> String {
    format!("{kind}_reference")
}

fn extra_info_field(kind: &Kind) -> String {
    format!("{kind}_extra_info")
}

/// The typed view of one event.
///
/// A documented field is here when its value can be read as its type; a number sent as a string and a string sent as a
/// number can. Other values are only in the body. An undocumented field is here when it is a text, a whole number or a flag
/// of moderate size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    reference_field: String,
    extra_info_field: String,
    documented: Vec<(String, Value)>,
    undocumented: Vec<(String, Value)>,
}

impl Fields {
    /// Reads the members of an event that have a scalar value: name and JSON text of the value. Of a repeated name the last
    /// counts.
    pub(crate) fn read(kind: &Kind, members: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Self {
        let types = documented(kind);
        let mut fields = Self {
            reference_field: reference_field(kind),
            extra_info_field: extra_info_field(kind),
            documented: Vec::new(),
            undocumented: Vec::new(),
        };
        // Each name is read once: 256 KB can repeat one 43,000 times.
        let mut seen = HashSet::new();
        let mut last: Vec<_> = members.into_iter().rev().filter(|(name, _)| seen.insert(name.clone())).collect();
        last.reverse();
        for (name, value) in last {
            match types.iter().find(|(documented, _)| *documented == name) {
                Some((_, field_type)) => {
                    fields.documented.extend(read_as(*field_type, &value).map(|value| (name.into_owned(), value)));
                }
                None if name.is_empty() || name.len() > MAX_NAME || name == "event" => {}
                None if fields.undocumented.len() == MAX_UNDOCUMENTED => {}
                None => fields.undocumented.extend(read_any(&value).map(|value| (name.into_owned(), value))),
            }
        }
        fields
    }

    /// Returns the documented fields that were present, under the provider's names.
    pub fn documented(&self) -> &[(String, Value)] {
        &self.documented
    }

    /// Returns the fields that are not on the provider's page, at most 32 of them.
    pub fn undocumented(&self) -> &[(String, Value)] {
        &self.undocumented
    }

    /// Returns a documented text, if it was present and is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns a documented whole number, if it was present.
    pub fn integer(&self, name: &str) -> Option<&Integer> {
        match self.get(name)? {
            Value::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// Returns the partner's own reference, given when the account was created: `whatsapp_reference`, `builder_reference`,
    /// `online_reference`, and `<kind>_reference` of other kinds.
    pub fn reference(&self) -> Option<&str> {
        self.text(&self.reference_field)
    }

    /// Returns the update code: `whatsapp_extra_info`, `builder_extra_info`, `online_extra_info`, and `<kind>_extra_info`
    /// of other kinds.
    pub fn extra_info(&self) -> Option<&Integer> {
        self.integer(&self.extra_info_field)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.documented.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Reads a value as its documented type. Numbers arrive as texts, and texts as numbers; `true`, `false` and `null` are
/// neither. A secret's placeholder is not a value.
fn read_as(field_type: Type, value: &str) -> Option<Value> {
    let text = match json::unquote(value) {
        Some(text) => Some(text).filter(|text| text != PLACEHOLDER)?,
        None => Integer::from_decimal(value)?.to_string().into(),
    };
    let text = match field_type {
        Type::Integer => return Integer::from_decimal(&visible(&text)).map(Value::Integer),
        Type::Text => text.into_owned(),
        Type::LineNumber => line_number(&text),
        Type::Server => visible(&text),
    };
    (text.len() <= MAX_TEXT).then_some(Value::Text(text))
}

/// Returns a line's number in its one spelling: no blanks, marks or leading plus, and not in floating point.
fn line_number(text: &str) -> String {
    let visible = visible(text);
    let number = visible.strip_prefix('+').unwrap_or(&visible);
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    Integer::from_decimal(number).filter(|_| !is_plain).map_or_else(|| number.to_owned(), |number| number.to_string())
}

/// Returns a text without white space, control characters and zero-width characters.
fn visible(text: &str) -> String {
    let is_visible =
        |character: &char| !character.is_whitespace() && !character.is_control() && !is_invisible(*character);
    text.chars().filter(is_visible).collect()
}

fn read_any(value: &str) -> Option<Value> {
    match value {
        "true" => Some(Value::Flag(true)),
        "false" => Some(Value::Flag(false)),
        text if text.starts_with('"') => read_as(Type::Text, text),
        number => Integer::from_decimal(number).map(Value::Integer),
    }
}
