//! The typed view of an event: the fields that the provider documents, under the provider's own names, and what else
//! stands beside them and is a plain value.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    Kind,
    json::{self, TokenKind},
};

/// The longest text of a field in the typed view, in bytes. Keys of the store's index hold at most 2,048.
pub(crate) const LONGEST_TEXT: usize = 1_024;
/// The longest name of an undocumented field in the typed view, in bytes.
const LONGEST_NAME: usize = 64;
/// How many undocumented fields of one event the typed view takes, so that a state stays far below the store's limit.
const MOST_UNDOCUMENTED: usize = 32;
/// The most digits of an [`Integer`]: what a DynamoDB number holds exactly.
const MOST_DIGITS: usize = 38;

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

/// A whole number of at most 38 digits, in decimal, without leading zeros.
///
/// The meaning of most of the provider's codes is not documented, so any of them is carried through as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integer(String);

impl Integer {
    /// Reads decimal digits with an optional sign; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        match digits.trim_start_matches('0') {
            "" => Some(Self("0".to_owned())),
            digits if digits.len() > MOST_DIGITS => None,
            digits => Some(Self(format!("{sign}{digits}"))),
        }
    }

    /// The number in decimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Integer {
    /// A number if it has at most 64 bits, else a text: most programs would round it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<i64>() {
            Ok(number) => serializer.serialize_i64(number),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a whole number, or a text with one")]
        enum Written {
            Number(i64),
            Text(String),
        }

        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number.to_string())),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| Error::custom("not a whole number")),
        }
    }
}

/// What type the provider documents for a field.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
}

/// The fields of a kind that the provider's page Partner Webhook documents, but for the API key, which is sealed.
///
/// The kinds that it announces without fields, and those that nobody has heard of, are expected to name their reference
/// and their update as the documented ones do.
fn documented(kind: &Kind) -> Vec<(String, Type)> {
    let own: &[(&str, Type)] = match kind {
        Kind::Whatsapp => &[("whatsapp", Type::Text), ("daily_limit", Type::Integer)],
        Kind::Builder => &[("builderID", Type::Integer), ("builder_url", Type::Text)],
        Kind::Online => &[
            ("accountID", Type::Integer),
            ("agentID", Type::Integer),
            ("inboxID", Type::Integer),
            ("server", Type::Text),
        ],
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

/// Whether a top-level member of an event of this kind is read as a documented field.
pub(crate) fn is_documented(kind: &Kind, name: &str) -> bool {
    name == "event" || documented(kind).iter().any(|(documented, _)| documented == name)
}

/// Whether a top-level member is one of those that say which kind an event is of, and which entity it is about.
pub(crate) fn names_entity(name: &str) -> bool {
    ["event", "whatsapp", "builderID", "accountID", "server"].contains(&name)
}

fn reference_field(kind: &Kind) -> String {
    format!("{kind}_reference")
}

fn extra_info_field(kind: &Kind) -> String {
    format!("{kind}_extra_info")
}

/// The typed view of one event.
///
/// A documented field is here when its value can be read as its type: a number sent as a string and a string sent as a
/// number can. Whatever cannot is in the body alone. An undocumented field is here when it is a text, a whole number or a
/// flag of moderate size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    reference_field: String,
    extra_info_field: String,
    documented: Vec<(String, Value)>,
    undocumented: Vec<(String, Value)>,
}

impl Fields {
    /// Sorts out the top-level members of an event: pairs of a name and the JSON token of its value, of which the last of
    /// a name counts. Members whose value is an object or an array are not among them.
    pub(crate) fn read<'a>(kind: &Kind, members: impl Iterator<Item = (String, TokenKind, &'a str)>) -> Self {
        let types = documented(kind);
        let mut fields = Self {
            reference_field: reference_field(kind),
            extra_info_field: extra_info_field(kind),
            documented: Vec::new(),
            undocumented: Vec::new(),
        };
        for (name, token, value) in members {
            let field_type = types.iter().find(|(documented, _)| *documented == name);
            let (list, value, room) = match field_type {
                Some((_, field_type)) => (&mut fields.documented, read_as(*field_type, token, value), true),
                None => {
                    let room = fields.undocumented.len() < MOST_UNDOCUMENTED
                        && !name.is_empty()
                        && name.len() <= LONGEST_NAME
                        && name != "event";
                    (&mut fields.undocumented, read_any(token, value), room)
                }
            };
            list.retain(|(known, _)| *known != name);
            if let (Some(value), true) = (value, room) {
                list.push((name, value));
            }
        }
        fields
    }

    /// The documented fields that were there, under the provider's names.
    pub fn documented(&self) -> &[(String, Value)] {
        &self.documented
    }

    /// The fields that the provider's page does not have, at most 32 of them.
    pub fn undocumented(&self) -> &[(String, Value)] {
        &self.undocumented
    }

    /// A documented text, if it was there and is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A documented whole number, if it was there.
    pub fn integer(&self, name: &str) -> Option<&Integer> {
        match self.get(name)? {
            Value::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The partner's own reference, given when the account was created: `whatsapp_reference`, `builder_reference`,
    /// `online_reference`, and `<kind>_reference` of other kinds.
    pub fn reference(&self) -> Option<&str> {
        self.text(&self.reference_field)
    }

    /// The update that the event tells of: `whatsapp_extra_info`, `builder_extra_info`, `online_extra_info`, and
    /// `<kind>_extra_info` of other kinds.
    pub fn extra_info(&self) -> Option<&Integer> {
        self.integer(&self.extra_info_field)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.documented.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

fn read_as(field_type: Type, token: TokenKind, value: &str) -> Option<Value> {
    let text = match token {
        TokenKind::Text => json::unquote(value)?,
        // A number's digits; `true`, `false` and `null` are neither text nor number.
        _ => Integer::parse(value)?.to_string(),
    };
    match field_type {
        Type::Text => (text.len() <= LONGEST_TEXT).then_some(Value::Text(text)),
        Type::Integer => Integer::parse(text.trim()).map(Value::Integer),
    }
}

fn read_any(token: TokenKind, value: &str) -> Option<Value> {
    match (token, value) {
        (TokenKind::Literal, "true") => Some(Value::Flag(true)),
        (TokenKind::Literal, "false") => Some(Value::Flag(false)),
        (TokenKind::Literal, number) => Integer::parse(number).map(Value::Integer),
        _ => read_as(Type::Text, token, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_every_digit_and_lose_only_leading_zeros() {
        for (text, value) in [("7", "7"), ("-07", "-7"), ("+7", "7"), ("0", "0"), ("-0", "0"), ("00", "0")] {
            assert_eq!(Integer::parse(text).unwrap().as_str(), value);
        }
        let longest = "9".repeat(38);
        assert_eq!(Integer::parse(&longest).unwrap().as_str(), longest);
        for text in ["", "-", "+-1", "1.0", "1e3", "0x1", " 1", &"9".repeat(39)] {
            assert_eq!(Integer::parse(text), None, "{text}");
        }
    }
}
