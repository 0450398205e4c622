//! The mapping of the events table's stream to the publisher: which changes call it, and for how long a batch is retried. Also the rule
//! that has sync check a line.

use emulators::{event_bus::NEW_KEY_PATTERN, pattern::Pattern};
use serde_json::{Value, json};

use crate::reader;

fn mapping() -> Value {
    let template = reader::read(include_str!("../../../template.yaml"));
    template["Resources"]["PublisherFunction"]["Properties"]["Events"]["Stream"]["Properties"].clone()
}

#[test]
fn a_batch_is_retried_for_23_hours_however_quickly_it_fails() {
    let stream = mapping();
    let of = |name: &str| stream[name].as_i64().expect("a number");
    assert_eq!((of("MaximumRecordAgeInSeconds"), of("MaximumRetryAttempts")), (23 * 60 * 60, -1));
}

#[test]
fn every_new_event_calls_the_publisher_whatever_its_kind_is_named() {
    let stream = mapping();
    let [filter] = &stream["FilterCriteria"]["Filters"].as_array().expect("filters")[..] else { panic!("one filter") };
    let pattern = Pattern::parse(filter["Pattern"].as_str().expect("a text")).expect("a pattern");
    let change = |change: &str, sort_key: &str, kind: Option<&str>| {
        let mut image = json!({"pk": {"S": "whatsapp#1"}, "sk": {"S": sort_key}});
        if let Some(kind) = kind {
            image["kind"] = json!({"S": kind});
        }
        pattern.matches(&json!({"eventName": change, "dynamodb": {"NewImage": image}}))
    };
    for kind in ["whatsapp", "unnamed", "quarantine", "a kind of tomorrow"] {
        assert!(change("INSERT", "event#1", Some(kind)), "{kind}");
    }
    assert!(!change("INSERT", "event#1", Some("doctor")));
    assert!(change("MODIFY", "event#1", Some("whatsapp")), "a duplicate that has become an event");
    assert!(!change("REMOVE", "event#1", Some("whatsapp")) && !change("MODIFY", "state", Some("whatsapp")));
    for sort_key in ["state", "sha256#1", "forwarded#1", "line", "line#1", "2026-11-25T19"] {
        assert!(!change("INSERT", sort_key, None), "{sort_key}");
    }
    assert!(!change("INSERT", "event#1", None), "a record of a failed attempt");
}

#[test]
fn the_rule_for_new_keys_is_that_of_the_local_run() {
    let template = reader::read(include_str!("../../../template.yaml"));
    let of_local_run: Value = serde_json::from_str(NEW_KEY_PATTERN).expect("a pattern");
    assert_eq!(template["Resources"]["NewKeyRule"]["Properties"]["EventPattern"], of_local_run);
}
