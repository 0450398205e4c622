//! Tests how the entities are found that a typed name means.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{World, delivery, noon, secs, update};
use serde_json::json;
use shared::{Entity, EventId};
use store::{
    Delivery, TypedId,
    named::{self, Named},
};

async fn start() -> World {
    let world = World::start().await;
    let events = [
        json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "acme"}),
        json!({"event": "store", "whatsapp": "972501234567", "store_reference": "acme "}),
        json!({"event": "builder", "builderID": 523, "builder_reference": "acme"}),
        json!({"event": "builder", "builderID": 7, "builder_reference": "523"}),
        json!({"event": "builder", "builderID": 8, "builder_reference": "a#b"}),
        json!({"event": "builder", "builderID": 9, "builder_reference": "whatsapp#+972501234567"}),
        json!({"event": "online", "accountID": 523, "server": "eu1", "online_reference": "bakery"}),
        json!({"event": "online", "accountID": 12345678, "server": "eu1"}),
    ];
    for (second, event) in (0..).zip(events) {
        world.recorder.record(&delivery(noon().plus(secs(second)), &event)).await.unwrap();
    }
    world.requests.take();
    world
}

fn same(named: &Named) -> Vec<&str> {
    named.meant().iter().map(|entity| entity.as_str()).collect()
}

#[tokio::test]
async fn a_name_means_its_entity_and_a_number_all_that_have_it_and_otherwise_a_reference() {
    let world = start().await;
    for (typed, expected, share_reference) in [
        ("whatsapp#972501234567", &["whatsapp#972501234567"][..], false),
        (" builder#523 ", &["builder#523"], false),
        ("whatsapp#+972501234567", &["whatsapp#972501234567"], false),
        ("050-123-4567", &["store#972501234567", "whatsapp#972501234567"], false),
        ("523", &["builder#523", "online#eu1#523"], false),
        ("7", &["builder#7"], false),
        ("a#b", &["builder#8"], false),
        ("acme", &["builder#523", "whatsapp#972501234567"], true),
        (" acme", &["builder#523", "whatsapp#972501234567"], true),
        ("acme ", &["store#972501234567"], false),
        ("bakery", &["online#eu1#523"], false),
        ("quarantine#2026-11-22", &["quarantine#2026-11-22"], false),
        ("", &[], false),
    ] {
        let named = named::entities(&world.reader, typed).await.unwrap();
        assert_eq!((&same(&named)[..], named.share_reference()), (expected, share_reference), "{typed:?}");
        assert_eq!(named.similar, [], "{typed:?}");
    }
}

#[tokio::test]
async fn the_inboxes_are_not_read_for_a_number_as_long_as_a_phone_number_or_another_text() {
    let world = start().await;
    let asks_for_inboxes = |request: &serde_json::Value| request.to_string().contains("online#0");
    for (typed, expected) in [("1234567", true), ("12345678", false), ("acme", false), ("builder#523", false)] {
        let named = named::entities(&world.reader, typed).await.unwrap();
        let is_found = !named.meant().is_empty();
        // When nothing is found, similar names are looked for among all kinds.
        let times = world.requests.take_bodies().iter().filter(|request| asks_for_inboxes(request)).count();
        assert_eq!(times, usize::from(expected) + usize::from(!is_found), "{typed}");
        assert!(named.similar.is_empty() || !is_found, "{typed}");
    }
}

#[tokio::test]
async fn a_name_that_no_event_has_is_answered_with_similar_ones() {
    let world = start().await;
    for (typed, sentence) in [
        (
            "972501234568",
            "there is no line 972501234568: no event has named it; did you mean store#972501234567 or whatsapp#972501234567?",
        ),
        (
            "whatsapp#972501234568",
            "there is no line whatsapp#972501234568: no event has named it; did you mean whatsapp#972501234567?",
        ),
        ("bakary", "there is no line bakary: no event has named it; did you mean bakery?"),
        ("zzzzzz", "there is no line zzzzzz: no event has named it"),
        (
            "acme",
            "acme can be builder#523 or whatsapp#972501234567: give one of these names, or use --reference for all of them",
        ),
        ("050 1234567", "050 1234567 can be store#972501234567 or whatsapp#972501234567: give one of these names"),
    ] {
        let named = named::entities(&world.reader, typed).await.unwrap();
        assert_eq!(named.only(typed, "line", "--reference").unwrap_err(), sentence);
    }
    let close = named::entities(&world.reader, "bakary").await.unwrap();
    assert_eq!(close.suggestion().as_deref(), Some("did you mean bakery?"));
    let mut named = named::entities(&world.reader, "bakery").await.unwrap();
    assert_eq!(named.suggestion(), None);
    assert_eq!(named.only("bakery", "inbox", "--reference").unwrap().as_str(), "online#eu1#523");
    named.retain(|_| false);
    assert_eq!(named, Named::default());
    // A bot has this number, and another this reference: the caller may know that the first cannot be meant.
    let number = named::entities(&world.reader, "523").await.unwrap();
    assert_eq!(number.referenced.iter().map(Entity::as_str).collect::<Vec<_>>(), ["builder#7"]);
}

#[tokio::test]
async fn entities_that_cannot_be_meant_are_dropped_wherever_they_are() {
    let world = start().await;
    let is_line = |entity: &Entity| entity.as_str().starts_with("whatsapp#");
    for (typed, expected) in [("050-123-4567", 1), ("acme", 1), ("523", 0)] {
        let mut named = named::entities(&world.reader, typed).await.unwrap();
        named.retain(is_line);
        assert_eq!(named.meant().len(), expected, "{typed}");
        assert!(named.meant().iter().all(is_line), "{typed}");
    }
    let mut similar = named::entities(&world.reader, "972501234568").await.unwrap();
    similar.retain(is_line);
    assert_eq!(similar.suggestion().as_deref(), Some("did you mean whatsapp#972501234567?"));
}

#[tokio::test]
async fn a_reference_that_no_event_has_is_answered_with_similar_references() {
    let world = start().await;
    for (typed, sentence) in [
        ("acme", None),
        (" bakery ", None),
        ("bakary", Some("there is no reference bakary: no event has it; did you mean bakery?")),
        ("ACME", Some("there is no reference ACME: no event has it; did you mean acme or \"acme \"?")),
        ("zzzzzz", Some("there is no reference zzzzzz: no event has it")),
        ("a#bc", Some("there is no reference a#bc: no event has it; did you mean a#b?")),
    ] {
        let unknown = named::unknown_reference(&world.reader, typed).await.unwrap();
        assert_eq!(unknown.as_deref(), sentence, "{typed}");
    }
    // The state has another reference since; the event still has this one.
    let renamed = json!({"event": "store", "whatsapp": "972501234567", "store_reference": "acme & sons"});
    world.recorder.record(&delivery(noon().plus(secs(60)), &renamed)).await.unwrap();
    assert_eq!(named::unknown_reference(&world.reader, "acme ").await.unwrap(), None);
}

#[tokio::test]
async fn a_reference_loses_its_spaces_only_if_none_is_recorded_with_them() {
    let world = start().await;
    for (typed, expected) in
        [("acme", "acme"), ("acme ", "acme "), (" acme", "acme"), ("bakery  ", "bakery"), ("", ""), ("  ", "  ")]
    {
        assert_eq!(named::reference(&world.reader, typed).await.unwrap(), expected, "{typed:?}");
    }
    world.requests.take();
    named::reference(&world.reader, "acme").await.unwrap();
    assert_eq!(world.requests.take(), 0, "there is nothing to decide");
    // The state has another reference since; the event still has this one.
    let renamed = json!({"event": "store", "whatsapp": "972501234567", "store_reference": "acme & sons"});
    world.recorder.record(&delivery(noon().plus(secs(60)), &renamed)).await.unwrap();
    assert_eq!(named::reference(&world.reader, "acme ").await.unwrap(), "acme ");
}

#[tokio::test]
async fn of_many_ids_with_the_same_end_the_newest_three_are_named() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for second in 0..5 {
        let at = noon().plus(secs(second));
        let event = Delivery { id: EventId::new(at, [0xab; 8]), ..delivery(at, &update(1)) };
        world.recorder.record(&event).await.unwrap();
        ids.push(event.id.to_string());
    }
    let typed: TypedId = "ababab".parse().unwrap();
    let error = typed.find(&world.reader, noon().plus(secs(9))).await.unwrap_err().to_string();
    assert_eq!(ids.iter().map(|id| error.contains(id.as_str())).collect::<Vec<_>>(), [false, false, true, true, true]);
}
