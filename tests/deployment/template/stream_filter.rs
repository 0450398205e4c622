//! The filter of the events table's stream: which changes call the publisher.

use serde_json::{Value, json};

use crate::reader;

/// Returns whether a value passes a filter's pattern. Only the rules that the template uses are known.
fn passes(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.iter().all(|(name, pattern)| passes(pattern, &value[name])),
        Value::Array(rules) => rules.iter().any(|rule| obeys(rule, value)),
        other => panic!("{other} is no pattern"),
    }
}

fn obeys(rule: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let Some((name, operand)) = rule.as_object().and_then(|rule| rule.iter().next()) else { return rule == text };
    match name.as_str() {
        "prefix" => operand.as_str().is_some_and(|prefix| text.starts_with(prefix)),
        "anything-but" => !operand.as_array().is_some_and(|others| others.contains(value)),
        other => panic!("the rule {other} is not known here"),
    }
}

#[test]
fn every_new_event_calls_the_publisher_whatever_its_kind_is_named() {
    let template = reader::read(include_str!("../../../template.yaml"));
    let stream = &template["Resources"]["PublisherFunction"]["Properties"]["Events"]["Stream"]["Properties"];
    let [filter] = &stream["FilterCriteria"]["Filters"].as_array().expect("filters")[..] else { panic!("one filter") };
    let pattern: Value = serde_json::from_str(filter["Pattern"].as_str().expect("a text")).expect("JSON");
    let change = |change: &str, sort_key: &str, kind: Option<&str>| {
        let mut image = json!({"pk": {"S": "whatsapp#1"}, "sk": {"S": sort_key}});
        if let Some(kind) = kind {
            image["kind"] = json!({"S": kind});
        }
        passes(&pattern, &json!({"eventName": change, "dynamodb": {"NewImage": image}}))
    };
    for kind in ["whatsapp", "unnamed", "quarantine", "a kind of tomorrow"] {
        assert!(change("INSERT", "event#1", Some(kind)), "{kind}");
    }
    assert!(!change("INSERT", "event#1", Some("doctor")));
    assert!(!change("MODIFY", "event#1", Some("whatsapp")) && !change("REMOVE", "event#1", Some("whatsapp")));
    for sort_key in ["state", "sha256#1", "forwarded#1", "2026-11-25T19"] {
        assert!(!change("INSERT", sort_key, None), "{sort_key}");
    }
    assert!(!change("INSERT", "event#1", None), "a record of a failed attempt");
}
