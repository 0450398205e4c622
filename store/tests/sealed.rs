//! Tests the reads of the sealed table.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, delivery, noon, raw_delivery, secs, update};
use serde_json::json;
use shared::Entity;

#[tokio::test]
async fn the_api_key_is_that_of_the_newest_event_that_brought_one() {
    let world = World::start().await;
    let line = Entity::named(LINE);
    assert!(world.sealed.api_key(&line).await.unwrap().is_none());
    let with_key = |extra_info, key: &str| {
        let mut body = update(extra_info);
        body["whatsapp_apiKey"] = json!(key);
        body
    };
    let second = delivery(noon().plus(secs(20)), &with_key(2, "second"));
    world.recorder.record(&second).await.unwrap();
    // Delayed: recorded later although older.
    world.recorder.record(&delivery(noon(), &with_key(1, "first"))).await.unwrap();
    // These have sealed content too, but no API key.
    for n in 0..25 {
        let other =
            json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": n, "password": "secret"});
        world.recorder.record(&delivery(noon().plus(secs(100 + n)), &other)).await.unwrap();
    }
    world.requests.take();
    let found = world.sealed.api_key(&line).await.unwrap().unwrap();
    assert_eq!((found.api_key.expose(), found.id, found.received_at), ("second", second.id, second.received_at));
    assert!(!format!("{found:?}").contains("second"), "{found:?}");
    let requests = world.requests.take_bodies();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request["ProjectionExpression"] == "pk, sk, received_at, api_key"));
    assert!(world.sealed.api_key(&Entity::named("whatsapp#97250")).await.unwrap().is_none(), "another line's");

    world.requests.take();
    assert_eq!(world.sealed.key_received_at(&line).await.unwrap(), Some(second.received_at));
    let requests = world.requests.take_bodies();
    assert!(requests.iter().all(|request| request["ProjectionExpression"] == "received_at"), "the key is not read");
    assert_eq!(world.sealed.key_received_at(&Entity::named("whatsapp#97250")).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_changes_with_the_first_event_that_has_another_one_than_the_given_event() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for (second, key) in [(0, "first"), (1, "second"), (2, "second")] {
        let mut body = update(i64::try_from(second).unwrap());
        body["whatsapp_apiKey"] = json!(key);
        let event = delivery(noon().plus(secs(second)), &body);
        world.recorder.record(&event).await.unwrap();
        ids.push(event.id);
    }
    for (after, expected) in [(ids[0], Some(ids[1])), (ids[1], None), (ids[2], None)] {
        assert_eq!(world.sealed.key_changed_by(&Entity::named(LINE), after).await.unwrap(), expected);
    }
    assert_eq!(world.sealed.key_changed_by(&Entity::named("whatsapp#1"), ids[0]).await.unwrap(), None);
}

#[tokio::test]
async fn quarantined_bytes_are_read_as_they_were_received() {
    let world = World::start().await;
    let quarantined = raw_delivery(noon(), b"\xff not UTF-8 \0");
    world.recorder.record(&quarantined).await.unwrap();
    assert_eq!(world.sealed.quarantined(&quarantined.id).await.unwrap().unwrap(), b"\xff not UTF-8 \0");
    let event = delivery(noon(), &json!({"event": "package", "token": "secret"}));
    world.recorder.record(&event).await.unwrap();
    assert_eq!(world.sealed.quarantined(&event.id).await.unwrap(), None);
}
