//! The filter of the events table's stream: which changes call the publisher.

use emulators::pattern::Pattern;
use serde_json::json;

use crate::reader;

#[test]
fn every_new_event_calls_the_publisher_whatever_its_kind_is_named() {
    let template = reader::read(include_str!("../../../template.yaml"));
    let stream = &template["Resources"]["PublisherFunction"]["Properties"]["Events"]["Stream"]["Properties"];
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
    assert!(!change("MODIFY", "event#1", Some("whatsapp")) && !change("REMOVE", "event#1", Some("whatsapp")));
    for sort_key in ["state", "sha256#1", "forwarded#1", "2026-11-25T19"] {
        assert!(!change("INSERT", sort_key, None), "{sort_key}");
    }
    assert!(!change("INSERT", "event#1", None), "a record of a failed attempt");
}
