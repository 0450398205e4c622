//! Event patterns, as in the filter of an event source mapping and in a rule of an event bus: the operators that template.yaml uses,
//! and no others.

use serde_json::{Map, Value};
use thiserror::Error;

/// A pattern that records are compared with.
#[derive(Clone, Debug)]
pub struct Pattern(Map<String, Value>);

/// The text is not a [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "not a pattern: nested objects that end in lists of texts, flags and the operators prefix, anything-but and exists: false"
)]
pub struct InvalidPattern;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Fails when the text is not an object, or has an operator other than `prefix`, `anything-but` and `exists` with false.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let pattern: Map<String, Value> = serde_json::from_str(text).map_err(|_| InvalidPattern)?;
        if is_known(&pattern) { Ok(Self(pattern)) } else { Err(InvalidPattern) }
    }

    /// Returns whether the pattern matches: each of its members is in the event, with one of the listed values.
    pub fn matches(&self, event: &Value) -> bool {
        object_matches(&self.0, event)
    }
}

fn is_known(pattern: &Map<String, Value>) -> bool {
    pattern.values().all(|member| match member {
        Value::Object(nested) => is_known(nested),
        Value::Array(allowed) => allowed.iter().all(|allowed| match allowed {
            Value::String(_) | Value::Bool(_) => true,
            Value::Object(operator) => operator.iter().all(|(name, operand)| match name.as_str() {
                "prefix" => operand.is_string(),
                "exists" => *operand == Value::Bool(false),
                "anything-but" => operand.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
                _ => false,
            }),
            _ => false,
        }),
        _ => false,
    })
}

fn object_matches(pattern: &Map<String, Value>, event: &Value) -> bool {
    pattern.iter().all(|(name, member)| match (member, event.get(name)) {
        (Value::Object(nested), Some(event)) => object_matches(nested, event),
        (Value::Array(allowed), Some(value)) => allowed.iter().any(|allowed| value_matches(allowed, value)),
        (Value::Array(allowed), None) => allowed.iter().any(|allowed| allowed["exists"] == false),
        _ => false,
    })
}

fn value_matches(allowed: &Value, value: &Value) -> bool {
    let Some(operator) = allowed.as_object() else { return allowed == value };
    operator.iter().all(|(name, operand)| match (name.as_str(), operand) {
        ("prefix", Value::String(prefix)) => value.as_str().is_some_and(|text| text.starts_with(prefix.as_str())),
        ("anything-but", Value::Array(others)) => !others.contains(value),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_member_must_match_one_of_its_values() {
        let pattern = r#"{"change": ["INSERT"], "item": {"sk": {"S": [{"prefix": "event#"}]}, "kind": {"S": [{"anything-but": ["doctor"]}]}}}"#;
        let pattern = Pattern::parse(pattern).unwrap();
        let event = |change: &str, sk: &str, kind: &str| json!({"change": change, "item": {"sk": {"S": sk}, "kind": {"S": kind}, "more": 1}});
        assert!(pattern.matches(&event("INSERT", "event#1", "whatsapp")));
        for other in [
            event("MODIFY", "event#1", "whatsapp"),
            event("INSERT", "state", "whatsapp"),
            event("INSERT", "event#1", "doctor"),
            json!({"change": "INSERT", "item": {"sk": {"S": "event#1"}}}),
            json!({"change": "INSERT"}),
            json!("INSERT"),
        ] {
            assert!(!pattern.matches(&other), "{other}");
        }
        let pattern = Pattern::parse(r#"{"has_api_key": [true], "replayed": [{"exists": false}]}"#).unwrap();
        assert!(pattern.matches(&json!({"has_api_key": true})));
        for other in [json!({"has_api_key": false}), json!({"has_api_key": true, "replayed": true}), json!({})] {
            assert!(!pattern.matches(&other), "{other}");
        }
    }

    #[test]
    fn a_pattern_that_would_be_misread_is_refused() {
        for text in
            ["", "[]", r#"{"a": "b"}"#, r#"{"a": [{"exists": true}]}"#, r#"{"a": [1]}"#, r#"{"a": [{"prefix": 1}]}"#]
        {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
