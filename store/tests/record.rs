//! Tests the contents of the tables after a delivery was recorded.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{LINE, World, delivery, noon, raw_delivery, secs, update};
use futures_util::TryStreamExt;
use serde_json::json;
use shared::{Timestamp, Value};
use store::{Delivery, Recorded};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_new_event_is_recorded_with_its_state_in_one_request() {
    let world = World::start().await;
    let event = delivery(noon(), &update(4));
    assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event);
    assert_eq!(world.requests.take(), 1);

    let history = world.history(LINE).await;
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].id, history[0].received_at, history[0].duplicate_of), (event.id, noon(), None));
    assert_eq!(history[0].body.as_deref(), Some(update(4).to_string().as_str()));
    assert_eq!(history[0].fingerprint, event.fingerprint.to_string());

    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates, state.last_event_id), (1, 0, event.id));
    assert_eq!((state.first_seen, state.last_seen), (noon(), noon()));
    assert_eq!(state.extra_info().unwrap().as_str(), "4");
    assert_eq!(state.reference(), Some("client-7"));
    assert_eq!(world.items("sealed").await, []);
}

#[tokio::test]
async fn the_same_body_within_the_window_is_a_duplicate_and_changes_no_value() {
    let world = World::start().await;
    let first = delivery(noon(), &update(4));
    world.recorder.record(&first).await.unwrap();
    let before = world.state(LINE).await;
    world.requests.take();

    let again = delivery(noon().plus(secs(600)), &update(4));
    assert_eq!(world.recorder.record(&again).await.unwrap(), Recorded::Duplicate { of: first.id });
    assert_eq!(world.requests.take(), 2);

    let history = world.history(LINE).await;
    assert_eq!(history.iter().map(|delivery| delivery.duplicate_of).collect::<Vec<_>>(), [None, Some(first.id)]);
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates, state.last_event_id), (1, 1, first.id));
    assert_eq!(state.fields, before.fields);
    assert_eq!(state.last_seen, again.received_at);
}

#[tokio::test]
async fn the_same_body_after_the_window_is_a_new_event() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(4))).await.unwrap();
    // The window is counted from the event, not from its last duplicate: a body repeated every few minutes is not
    // suppressed forever.
    world.recorder.record(&delivery(noon().plus(secs(400)), &update(4))).await.unwrap();
    let later = delivery(noon().plus(secs(601)), &update(4));
    assert_eq!(world.recorder.record(&later).await.unwrap(), Recorded::Event);
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates), (2, 1));
}

#[tokio::test]
async fn the_same_body_held_up_since_before_the_window_is_an_event_and_since_within_it_a_duplicate() {
    let world = World::start().await;
    let last = delivery(noon(), &update(4));
    world.recorder.record(&last).await.unwrap();
    let within = delivery(noon().minus(secs(600)), &update(4));
    assert_eq!(world.recorder.record(&within).await.unwrap(), Recorded::Duplicate { of: last.id });
    let before = delivery(noon().minus(secs(601)), &update(4));
    assert_eq!(world.recorder.record(&before).await.unwrap(), Recorded::Event);
}

#[tokio::test]
async fn every_write_has_an_idempotency_token_of_its_delivery_and_content() {
    let world = World::start().await;
    let (first, again) = (delivery(noon(), &update(4)), delivery(noon().plus(secs(1)), &update(4)));
    for delivery in [&first, &again] {
        world.recorder.record(delivery).await.unwrap();
    }
    // The second was tried as an event before it proved to be a duplicate.
    let tokens: Vec<_> = world.requests.take_bodies().iter().map(|body| body["ClientRequestToken"].clone()).collect();
    let token = |delivery: &store::Delivery, content: &str| json!(format!("{}{content}", delivery.id.simple()));
    assert_eq!(tokens, [token(&first, "0000"), token(&again, "0000"), token(&again, "0001")]);
}

#[tokio::test]
async fn on_off_on_are_three_events() {
    let world = World::start().await;
    for (after, extra_info) in [(0, 4), (1, 5), (2, 4)] {
        let event = delivery(noon().plus(secs(after)), &update(extra_info));
        assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event);
    }
    assert_eq!(world.state(LINE).await.version, 3);
}

#[tokio::test]
async fn the_same_body_of_another_entity_is_no_duplicate() {
    let world = World::start().await;
    for kind in ["package", "partners"] {
        let event = delivery(noon(), &json!({"event": kind}));
        assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event);
    }
}

#[tokio::test]
async fn an_event_that_names_no_entity_is_never_a_duplicate() {
    // Two clients buy the same package: nothing in the bodies tells them apart.
    let bodies = [
        json!({"status": "OK", "event": "package", "package": "basic-100"}),
        json!({"event": "partners", "partners_extra_info": 1}),
        json!({"event": "whatsapp", "whatsapp_extra_info": 5}),
        json!({"event": "voice", "voice_reference": "r1"}),
        json!({"note": "no kind"}),
    ];
    for body in bodies {
        let world = World::start().await;
        let mut ids = Vec::new();
        // The last one is delayed.
        for second in [10, 11, 12, 5] {
            let event = delivery(noon().plus(secs(second)), &body);
            world.requests.take();
            assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event, "{body}");
            assert_eq!(world.requests.take(), if second == 5 { 2 } else { 1 }, "{body}");
            assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event, "the same id again");
            ids.push(event.id);
        }
        let items = world.items("events").await;
        let state = items.iter().find(|item| item["sk"].as_s().unwrap() == "state").unwrap();
        let state = world.state(state["pk"].as_s().unwrap()).await;
        assert_eq!((state.version, state.duplicates, state.last_event_id), (4, 0, ids[2]), "{body}");
        assert!(world.history(state.entity.as_str()).await.iter().all(|delivery| delivery.duplicate_of.is_none()));
    }
}

#[tokio::test]
async fn of_64_identical_deliveries_at_once_that_name_no_entity_all_are_events() {
    let world = Arc::new(World::start().await);
    let recorded = at_once(&world, (0..64).map(|n| (n, json!({"event": "package", "package": "basic-100"})))).await;
    assert!(recorded.iter().all(|recorded| *recorded == Recorded::Event));
    let state = world.state("package#-").await;
    assert_eq!((state.version, state.duplicates), (64, 0));
}

#[tokio::test]
async fn a_kind_that_is_named_like_an_entity_has_a_partition_of_its_own() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(4))).await.unwrap();
    let garbage = raw_delivery(noon(), b"garbage");
    world.recorder.record(&garbage).await.unwrap();
    let (line, line_history) = (world.state(LINE).await, world.history(LINE).await);
    let mut partitions = std::collections::BTreeSet::new();
    for kind in [
        LINE,
        "whatsapp",
        "whatsapp%23972501234567",
        "webhook-tokens",
        "registration",
        "quarantine",
        "quarantine#2026-11-22",
        "whatsapp#-",
    ] {
        let event = delivery(noon().plus(secs(1)), &json!({"event": kind}));
        assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event, "{kind}");
        let stored = world.reader.delivery(&event.id).await.unwrap().unwrap();
        assert_eq!(stored.kind, kind);
        assert_eq!(world.state(stored.entity.as_str()).await.version, 1, "{kind}");
        assert!(partitions.insert(stored.entity), "{kind}");
    }
    assert_eq!((world.state(LINE).await, world.history(LINE).await), (line, line_history));
    assert_eq!(world.history("quarantine#2026-11-22").await.len(), 1);
}

#[tokio::test]
async fn a_field_missing_from_a_later_event_keeps_its_value() {
    let world = World::start().await;
    let full = json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "a", "daily_limit": 250, "colour": "red", "is_new": true});
    world.recorder.record(&delivery(noon(), &full)).await.unwrap();
    let part =
        json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": 6, "daily_limit": "1000"});
    world.recorder.record(&delivery(noon().plus(secs(1)), &part)).await.unwrap();

    let fields = world.state(LINE).await.fields;
    assert_eq!(fields["other.is_new"], Value::Flag(true));
    let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown,
        [
            "daily_limit=1000",
            "other.colour=red",
            "other.is_new=true",
            "whatsapp=972501234567",
            "whatsapp_extra_info=6",
            "whatsapp_reference=a"
        ]
    );
}

#[tokio::test]
async fn a_delayed_event_does_not_revert_the_state() {
    let world = World::start().await;
    let line = |fields: serde_json::Value| {
        let mut body = json!({"event": "whatsapp", "whatsapp": "972501234567"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let first = delivery(noon(), &line(json!({"whatsapp_extra_info": 1, "daily_limit": 10})));
    let held_up = delivery(
        noon().plus(secs(1)),
        &line(json!({"whatsapp_extra_info": 2, "daily_limit": 20, "whatsapp_reference": "r2"})),
    );
    let last = delivery(noon().plus(secs(2)), &line(json!({"whatsapp_extra_info": 3})));
    for event in [&first, &last, &held_up] {
        assert_eq!(world.recorder.record(event).await.unwrap(), Recorded::Event);
    }
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.last_event_id, state.last_seen), (3, last.id, last.received_at));
    assert_eq!(state.extra_info().unwrap().as_str(), "3");
    assert_eq!(state.fields["daily_limit"].to_string(), "20");
    assert_eq!(state.reference(), Some("r2"));

    // The oldest of all, delayed longest, changes nothing but the counts and the first sighting.
    let oldest = delivery(noon().minus(secs(9)), &line(json!({"whatsapp_extra_info": 9, "daily_limit": 90})));
    world.recorder.record(&oldest).await.unwrap();
    let after = world.state(LINE).await;
    assert_eq!((after.version, after.first_seen), (4, oldest.received_at));
    assert_eq!(after.fields, state.fields);
}

#[tokio::test]
async fn a_duplicate_becomes_an_event_when_one_that_was_held_up_turns_out_to_lie_before_it() {
    let world = World::start().await;
    let at = |second, extra_info| delivery(noon().plus(secs(second)), &update(extra_info));
    let (on, off, repeated, on_again) = (at(0, 4), at(10, 5), at(20, 4), at(30, 4));
    for event in [&on, &repeated, &on_again] {
        world.recorder.record(event).await.unwrap();
    }
    world.requests.take();
    assert_eq!(world.recorder.record(&off).await.unwrap(), Recorded::Event);
    assert_eq!(world.requests.take(), 3);

    let history = world.history(LINE).await;
    let shown: Vec<_> = history.iter().map(|delivery| (delivery.id, delivery.duplicate_of)).collect();
    assert_eq!(shown, [(on.id, None), (off.id, None), (repeated.id, Some(on.id)), (on_again.id, None)]);
    let state = world.state(LINE).await;
    assert_eq!(state.extra_info().unwrap().as_str(), "4");
    assert_eq!((state.version, state.duplicates, state.last_event_id), (3, 1, on_again.id));
    assert_eq!(world.recorder.record(&on_again).await.unwrap(), Recorded::Event);

    // The window and the neighbours are those of the event that it has become.
    assert_eq!(world.recorder.record(&at(630, 4)).await.unwrap(), Recorded::Duplicate { of: on_again.id });
    assert_eq!(world.recorder.record(&at(15, 4)).await.unwrap(), Recorded::Duplicate { of: on_again.id });
    assert_eq!(world.recorder.record(&at(5, 4)).await.unwrap(), Recorded::Event);
}

#[tokio::test]
async fn a_duplicate_with_a_sealed_member_or_without_an_item_stays_one_and_the_next_delivery_is_an_event() {
    for has_key in [true, false] {
        let world = World::start().await;
        let at = |second, extra_info| {
            let mut body = update(extra_info);
            if has_key {
                body["whatsapp_apiKey"] = json!("123-456-789");
            }
            delivery(noon().plus(secs(second)), &body)
        };
        let (on, off, on_again, next) = (at(0, 4), at(10, 5), at(20, 4), at(30, 4));
        world.recorder.record(&on).await.unwrap();
        world.recorder.record(&on_again).await.unwrap();
        if !has_key {
            world.delete(&on_again).await;
        }
        assert_eq!(world.recorder.record(&off).await.unwrap(), Recorded::Event);
        let events = world.history(LINE).await.into_iter().filter(|delivery| delivery.duplicate_of.is_none());
        assert_eq!(events.map(|event| event.id).collect::<Vec<_>>(), [on.id, off.id]);
        assert_eq!(world.state(LINE).await.last_event_id, on.id);

        assert_eq!(world.recorder.record(&next).await.unwrap(), Recorded::Event);
        assert_eq!(world.recorder.record(&at(31, 4)).await.unwrap(), Recorded::Duplicate { of: next.id });
    }
}

#[tokio::test]
async fn a_delivery_that_its_state_counts_already_is_put_back_as_it_was() {
    let world = World::start().await;
    let previous = delivery(noon().minus(secs(1)), &update(3));
    let event = delivery(noon(), &update(4));
    let duplicate = delivery(noon().plus(secs(1)), &update(4));
    let unnamed = delivery(noon(), &json!({"event": "package", "package_id": 7}));
    let all = [
        (&previous, Recorded::Event),
        (&event, Recorded::Event),
        (&duplicate, Recorded::Duplicate { of: event.id }),
        (&unnamed, Recorded::Event),
    ];
    for (delivery, recorded) in all {
        assert_eq!(world.recorder.record(delivery).await.unwrap(), recorded);
    }
    let states = async || {
        let items = world.items("events").await.into_iter().filter(|item| item["sk"].as_s().unwrap() == "state");
        items.map(|item| (item["pk"].clone(), item)).collect::<Vec<_>>()
    };
    let before = states().await;
    for (delivery, recorded) in all {
        world.delete(delivery).await;
        // Not the same write again, which DynamoDB would take for a repetition for ten minutes.
        let delivery = Delivery { request_id: "again".to_owned(), ..delivery.clone() };
        assert_eq!(world.recorder.record(&delivery).await.unwrap(), recorded);
        assert_eq!(world.recorder.record(&delivery).await.unwrap(), recorded);
        assert_eq!(states().await, before);
    }
}

#[tokio::test]
async fn a_state_that_contradicts_itself_is_an_error_and_not_an_endless_loop() {
    let world = World::start().await;
    let at = |second, extra_info| delivery(noon().plus(secs(second)), &update(extra_info));
    let (first, last) = (at(0, 1), at(10, 2));
    for event in [&first, &last] {
        world.recorder.record(event).await.unwrap();
    }
    // Written by hand: the same id for a reader, another text for a condition.
    let id = first.id.to_string().to_uppercase();
    let write = world.dynamodb.client().update_item().table_name("events");
    let write = write.key("pk", AttributeValue::S(LINE.to_owned())).key("sk", AttributeValue::S("state".to_owned()));
    let write = write.update_expression("SET previous_event_id = :id");
    write.expression_attribute_values(":id", AttributeValue::S(id)).send().await.unwrap();

    let error = world.recorder.record(&at(5, 3)).await.unwrap_err();
    assert_eq!(error.to_string(), "DynamoDB: the state does not meet a condition made from it");
}

#[tokio::test]
async fn an_event_held_up_before_a_duplicate_still_lies_between_when_newer_events_have_come() {
    let world = World::start().await;
    let at = |second, extra_info| delivery(noon().plus(secs(second)), &update(extra_info));
    let (first, again, between, last) = (at(0, 4), at(20, 4), at(10, 5), at(30, 6));
    for event in [&first, &again, &between, &last] {
        world.recorder.record(event).await.unwrap();
    }
    assert_eq!(world.recorder.record(&at(5, 6)).await.unwrap(), Recorded::Event);
    assert_eq!(world.recorder.record(&at(29, 6)).await.unwrap(), Recorded::Duplicate { of: last.id });
}

#[tokio::test]
async fn recording_an_id_again_changes_nothing() {
    let world = World::start().await;
    let event = delivery(noon(), &update(4));
    let duplicate = delivery(noon().plus(secs(1)), &update(4));
    let next = delivery(noon().plus(secs(2)), &update(5));
    let garbage = raw_delivery(noon().plus(secs(3)), b"garbage");
    let all = [&event, &duplicate, &next, &garbage];
    let mut first_answers = Vec::new();
    for one in all {
        first_answers.push(world.recorder.record(one).await.unwrap());
    }
    let before = (world.state(LINE).await, world.items("events").await.len(), world.items("sealed").await);
    for (one, answer) in all.iter().zip(first_answers) {
        assert_eq!(world.recorder.record(one).await.unwrap(), answer);
    }
    assert_eq!((world.state(LINE).await, world.items("events").await.len(), world.items("sealed").await), before);
}

#[tokio::test]
async fn an_api_key_is_only_in_the_sealed_table_under_the_key_of_its_delivery() {
    let world = World::start().await;
    let mut body = update(2);
    body["whatsapp_apiKey"] = json!("123-456-789");
    let event = delivery(noon(), &body);
    world.recorder.record(&event).await.unwrap();
    world.recorder.record(&delivery(noon().plus(secs(1)), &body)).await.unwrap();

    let sealed = world.items("sealed").await;
    assert_eq!(sealed.len(), 1);
    assert_eq!(sealed[0]["pk"].as_s().unwrap(), LINE);
    assert_eq!(sealed[0]["sk"].as_s().unwrap(), &format!("event#{}", event.id));
    assert_eq!(sealed[0]["api_key"].as_s().unwrap(), "123-456-789");
    assert_eq!(sealed[0]["body"].as_b().unwrap().as_ref(), body.to_string().as_bytes());
    assert!(!sealed[0].contains_key("expires_at"));
    let events = format!("{:?}", world.items("events").await);
    assert!(!events.contains("123-456-789"), "{events}");
}

#[tokio::test]
async fn a_sealed_original_without_a_lines_key_expires_with_its_delivery() {
    let world = World::start().await;
    for (second, body) in (0..).zip([
        json!({"event": "whatsapp", "whatsapp": "972501234567", "password": "hunter2"}),
        json!({"event": "whatsapp", "whatsapp": "972501234567", "old_apikey": "123-456-789"}),
        json!({"event": "builder", "builderID": 523, "builder_url": "https://b.example/?token=hunter2"}),
    ]) {
        world.recorder.record(&delivery(noon().plus(secs(second)), &body)).await.unwrap();
    }
    let sealed = world.items("sealed").await;
    assert_eq!(sealed.len(), 3);
    for original in sealed {
        let expires_at =
            original["received_at"].as_s().unwrap().parse::<Timestamp>().unwrap().as_secs() + 365 * 24 * 60 * 60;
        assert_eq!(original["expires_at"].as_n().unwrap(), &expires_at.to_string());
        assert!(!original.contains_key("api_key"));
    }
}

#[tokio::test]
async fn a_body_that_is_no_event_is_quarantined_and_its_bytes_sealed() {
    let world = World::start().await;
    let garbage = raw_delivery(noon(), b"\xff whatsapp_apiKey 123-456-789");
    assert_eq!(world.recorder.record(&garbage).await.unwrap(), Recorded::Quarantined);
    let record = &world.items("events").await[0];
    assert_eq!(record["pk"].as_s().unwrap(), "quarantine#2026-11-22");
    assert_eq!(record["body_bytes"].as_n().unwrap(), "29");
    assert!(!record.contains_key("body"));
    let sealed = &world.items("sealed").await[0];
    assert_eq!(sealed["body"].as_b().unwrap().as_ref(), b"\xff whatsapp_apiKey 123-456-789");
    assert_eq!(sealed["expires_at"], record["expires_at"]);
    assert!(!format!("{garbage:?} {record:?}").contains("123-456-789"));
}

#[tokio::test]
async fn deliveries_expire_after_the_retention_and_states_never() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(4))).await.unwrap();
    for item in world.items("events").await {
        let expires_at = item.get("expires_at").map(|at| at.as_n().unwrap().as_str());
        let expected = (noon().as_secs() + 365 * 24 * 60 * 60).to_string();
        assert_eq!(expires_at, (item["sk"].as_s().unwrap() != "state").then_some(expected.as_str()));
    }
}

#[tokio::test]
async fn of_64_identical_deliveries_at_once_one_is_an_event_and_63_are_duplicates_of_it() {
    let world = Arc::new(World::start().await);
    let recorded = at_once(&world, (0..64).map(|n| (n, update(4)))).await;
    let duplicates: Vec<_> =
        recorded.iter().filter(|recorded| matches!(recorded, Recorded::Duplicate { .. })).collect();
    assert_eq!((recorded.len(), duplicates.len()), (64, 63));
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates), (1, 63));
    assert!(duplicates.iter().all(|duplicate| **duplicate == Recorded::Duplicate { of: state.last_event_id }));
    assert_eq!(world.history(LINE).await.len(), 64);
    assert_eq!((state.first_seen, state.last_seen), (noon(), noon().plus(std::time::Duration::from_micros(63))));
}

#[tokio::test]
async fn of_64_different_deliveries_at_once_all_are_events_and_the_state_is_the_newest() {
    let world = Arc::new(World::start().await);
    // Every third event does not contain the limit, so the newest limit is not in the newest event.
    let bodies = (0..64).map(|n| {
        let mut body = update(n);
        if n % 3 != 0 {
            body["daily_limit"] = json!(n);
        }
        (u64::try_from(n).unwrap(), body)
    });
    let recorded = at_once(&world, bodies).await;
    assert!(recorded.iter().all(|recorded| *recorded == Recorded::Event));
    let history = world.history(LINE).await;
    assert_eq!(history.len(), 64);
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates), (64, 0));
    assert_eq!(state.last_event_id, history[63].id);
    assert_eq!(state.extra_info().unwrap().as_str(), "63");
    assert_eq!(state.fields["daily_limit"].to_string(), "62");
}

async fn at_once(world: &Arc<World>, bodies: impl Iterator<Item = (u64, serde_json::Value)>) -> Vec<Recorded> {
    let mut writes = JoinSet::new();
    for (micros, body) in bodies {
        let world = Arc::clone(world);
        let event = delivery(noon().plus(std::time::Duration::from_micros(micros)), &body);
        writes.spawn(async move { world.recorder.record(&event).await.unwrap() });
    }
    writes.join_all().await
}

#[tokio::test]
async fn a_kind_that_keeps_inventing_fields_fills_its_state_but_loses_no_event() {
    let world = World::start().await;
    for event in 0..14 {
        let mut body = json!({"event": "voice", "voice_extra_info": event});
        for field in 0..32 {
            body[format!("field-{event}-{field}")] = json!("x".repeat(1_000));
        }
        let event = delivery(noon().plus(secs(event)), &body);
        assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event);
    }
    let state = world.state("voice#-").await;
    assert_eq!((state.version, state.extra_info().unwrap().as_str()), (14, "13"));
    assert_eq!(state.fields.get("other.field-0-0"), Some(&Value::Text("x".repeat(1_000))));
}

/// A state of this entity that has no room left, full of undocumented fields: each event brings 32 of a size. The last event
/// fills it to the byte.
async fn fill_up(world: &World, entity: &serde_json::Value, size: usize) -> u64 {
    let mut event = 0;
    let mut rest = size;
    while rest > 0 {
        let mut body = entity.clone();
        for field in 0..32 {
            body[format!("field-{event:03}-{field:02}")] = json!("x".repeat(rest));
        }
        world.recorder.record(&delivery(noon().plus(secs(event)), &body)).await.unwrap();
        let fields = world.items("events").await;
        let state = fields.iter().find(|item| item["sk"].as_s().unwrap() == "state").unwrap();
        if !state.contains_key(&format!("other.field-{event:03}-00")) {
            rest /= 2;
        }
        event += 1;
    }
    event
}

#[tokio::test]
async fn a_full_state_keeps_a_documented_field_that_only_its_first_event_had() {
    let world = World::start().await;
    let line = json!({"event": "whatsapp", "whatsapp": "972501234567"});
    let mut first = line.clone();
    first["daily_limit"] = json!(250);
    world.recorder.record(&delivery(noon().minus(secs(1)), &first)).await.unwrap();
    let filled = fill_up(&world, &line, 1_000).await;
    let mut last = line;
    last["whatsapp_reference"] = json!("r".repeat(1_000));
    world.recorder.record(&delivery(noon().plus(secs(filled)), &last)).await.unwrap();
    let state = world.state(LINE).await;
    assert!(!state.fields.contains_key("other.field-000-00"), "the oldest undocumented ones are dropped");
    assert_eq!(state.fields["daily_limit"].to_string(), "250");
}

#[tokio::test]
async fn a_full_state_keeps_the_documented_fields_and_drops_the_undocumented_ones_that_are_oldest() {
    let line = json!({"event": "whatsapp", "whatsapp": "972501234567"});
    let voice = json!({"event": "voice"});
    for (body, entity, size, kind) in [(&line, LINE, 1_000, "whatsapp"), (&voice, "voice#-", 1_000, "voice")] {
        let mut states = Vec::new();
        for _ in 0..2 {
            let world = World::start().await;
            let filled = fill_up(&world, body, size).await;
            let before = world.state(entity).await;
            assert!(before.fields.contains_key("other.field-000-00"));
            let mut last = body.clone();
            last[format!("{kind}_reference")] = json!("r".repeat(1_000));
            last[format!("{kind}_extra_info")] = json!(7);
            last["status"] = json!("s".repeat(1_000));
            let event = delivery(noon().plus(secs(filled)), &last);
            assert_eq!(world.recorder.record(&event).await.unwrap(), Recorded::Event);
            let state = world.state(entity).await;
            assert_eq!(state.extra_info().unwrap().as_str(), "7", "{kind}");
            assert_eq!(state.reference(), Some("r".repeat(1_000).as_str()), "{kind}");
            assert_eq!((state.version, state.last_event_id), (before.version + 1, event.id));
            let found = world.reader.states_by_reference(&"r".repeat(1_000), 1).try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(found.len(), 1);
            // The first event's fields went, as many as had to, in the order of their names; all others stay.
            let gone: Vec<_> = before.fields.keys().filter(|name| !state.fields.contains_key(*name)).collect();
            assert_eq!(gone.len(), 8, "so many of 1,036 bytes make room for 8 KB");
            let oldest: Vec<_> = (0..gone.len()).map(|field| format!("other.field-000-{field:02}")).collect();
            assert_eq!(gone, oldest.iter().collect::<Vec<_>>());
            assert!(gone.iter().all(|name| state.set_by(name).is_none()));
            // A later event has the room.
            let mut next = last.clone();
            next[format!("{kind}_extra_info")] = json!(8);
            next["colour"] = json!("red");
            world.recorder.record(&delivery(noon().plus(secs(filled + 1)), &next)).await.unwrap();
            let state = world.state(entity).await;
            assert_eq!(
                (state.extra_info().unwrap().as_str(), state.fields["other.colour"].to_string()),
                ("8", "red".to_owned())
            );
            states.push(state.fields);
        }
        assert_eq!(states[0], states[1], "{kind}");
    }
}

#[tokio::test]
async fn no_name_of_a_kind_or_a_field_meets_an_attribute_of_ours() {
    let world = World::start().await;
    let bodies = [
        json!({"event": "other.x", "other.x_reference": "a", "x_reference": "b"}),
        json!({"event": "set_by.other.y", "set_by.other.y_reference": "a", "y_reference": "b"}),
        json!({"event": "set_by.x", "set_by.x_reference": "a"}),
        json!({"event": "account.updated", "account.updated_reference": "a", "version": "b", "pk": 1, "expires_at": 2, "set_by.a": 3}),
    ];
    for body in bodies {
        let entity = format!("{}#-", body["event"].as_str().unwrap());
        for second in [0, 1, 2_000] {
            world.recorder.record(&delivery(noon().plus(secs(second)), &body)).await.unwrap();
        }
        let state = world.state(&entity).await;
        assert_eq!((state.version, state.duplicates, state.reference()), (3, 0, Some("a")), "{entity}");
    }
}

#[tokio::test]
async fn a_text_of_digits_is_a_text_and_an_update_code_in_a_text_a_number() {
    let world = World::start().await;
    let body = json!({
        "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "1234567", "whatsapp_extra_info": "2", "plan": "7",
        "n": 123_456_789_012_345_678_u64,
    });
    world.recorder.record(&delivery(noon(), &body)).await.unwrap();
    let state = world.state(LINE).await;
    assert_eq!(
        (state.reference(), state.extra_info().map(ToString::to_string)),
        (Some("1234567"), Some("2".to_owned()))
    );
    assert_eq!(state.fields["other.plan"], Value::Text("7".to_owned()));
    assert!(matches!(&state.fields["other.n"], Value::Integer(n) if n.as_str() == "123456789012345678"));
}

#[tokio::test]
async fn a_reference_still_finds_the_client_after_events_without_one() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(4))).await.unwrap();
    let mut body = update(5);
    body.as_object_mut().unwrap().remove("whatsapp_reference");
    // The newest event, and a late one.
    for second in [2, 1] {
        body["whatsapp_extra_info"] = second.into();
        world.recorder.record(&delivery(noon().plus(secs(second)), &body)).await.unwrap();
        let of_reference = world.reader.states_by_reference("client-7", 1).try_collect::<Vec<_>>().await.unwrap();
        assert_eq!((of_reference.len(), of_reference[0].reference()), (1, Some("client-7")));
    }
}

#[tokio::test]
async fn a_reference_that_is_taken_away_no_longer_finds_the_client() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(4))).await.unwrap();
    let mut body = update(5);
    body["whatsapp_reference"] = json!("");
    world.recorder.record(&delivery(noon().plus(secs(1)), &body)).await.unwrap();
    let of_reference = world.reader.states_by_reference("client-7", 1).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(of_reference, []);
    assert_eq!(world.state(LINE).await.reference(), None);
}

#[tokio::test]
async fn a_number_of_more_digits_than_a_machine_word_is_kept() {
    let world = World::start().await;
    let digits = format!("1{}", "0".repeat(37));
    let body = format!(r#"{{"event":"builder","builderID":1,"builder_extra_info":{digits},"n":-{digits}}}"#);
    for second in [0, 1] {
        world.recorder.record(&raw_delivery(noon().plus(secs(second)), body.as_bytes())).await.unwrap();
    }
    let fields = world.state("builder#1").await.fields;
    assert_eq!(
        (fields["builder_extra_info"].to_string(), fields["other.n"].to_string()),
        (digits.clone(), format!("-{digits}"))
    );
}
