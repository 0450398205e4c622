//! Tests the records of forwarding.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, delivery, noon, secs, units::consumed, update};
use serde_json::json;
use shared::{Entity, EventId};
use store::{ForwardFailure, ForwardRecord, ForwardRecords, ForwardTaken};

fn id(number: u64) -> EventId {
    EventId::new(noon().plus(secs(number)), number.to_be_bytes())
}

fn failure(number: u64) -> ForwardFailure {
    ForwardFailure {
        id: id(number),
        entity: Entity::named(LINE),
        attempts: 2,
        first_attempt_at: noon(),
        last_attempt_at: noon().plus(secs(5)),
        next_attempt_at: Some(noon().plus(secs(305))),
        answer: "answered 503".to_owned(),
    }
}

#[tokio::test]
async fn the_records_of_many_events_are_read_50_at_a_time() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    let line = Entity::named(LINE);
    let taken = ForwardTaken { taken_at: noon().plus(secs(9)), attempts: 3 };
    for number in 0..60 {
        records.record_taken(&line, &id(number), taken, None, false).await.unwrap();
    }
    for number in 50..80 {
        records.record_failure(&failure(number)).await.unwrap();
    }
    world.requests.take();
    let numbers: Vec<EventId> = (0..120).map(id).collect();
    let read = records.of(numbers.iter().map(|id| (&line, *id))).await.unwrap();
    let mut requests = world.requests.take_bodies();
    assert_eq!((read.len(), requests.len()), (120, 4), "one more for the refused events");
    for number in 0..120 {
        let expected = match number {
            // The record of a failure may be left after the endpoint took the event.
            0..60 => Some(ForwardRecord::Taken(taken)),
            60..80 => Some(ForwardRecord::Failed(failure(number))),
            _ => Some(ForwardRecord::Behind(failure(60))),
        };
        assert_eq!(read.get(&id(number)), expected.as_ref(), "{number}");
    }
    let (units, _) = consumed(&world.dynamodb, "BatchGetItem", requests.remove(0)).await;
    assert_eq!(units.values().sum::<f64>(), 50.0, "half a unit for each of 100 keys");
    let of_others = [(&Entity::named("builder#1"), id(120)), (&line, id(121))];
    assert_eq!(records.of(of_others).await.unwrap().into_keys().collect::<Vec<_>>(), [id(121)]);
}

#[tokio::test]
async fn an_event_its_records_and_its_original_are_read_with_one_request() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    let mut body = update(1);
    body["whatsapp_apiKey"] = json!("the-line's-key");
    let event = delivery(noon(), &body);
    world.recorder.record(&event).await.unwrap();
    let line = Entity::named(LINE);
    let failure = ForwardFailure { id: event.id, ..failure(0) };
    records.record_failure(&failure).await.unwrap();
    world.requests.take();

    let found = records.look_up(&line, &event.id, Some(world.dynamodb.sealed_table())).await.unwrap();
    assert_eq!(world.requests.take(), 1);
    assert_eq!(found.event.as_ref().map(|event| event.id), Some(event.id));
    assert_eq!((found.taken, found.failure.as_ref()), (None, Some(&failure)));
    assert_eq!(found.original.as_ref().unwrap().expose(), body.to_string());
    assert!(!format!("{found:?}").contains("the-line's-key"), "{found:?}");

    let taken = ForwardTaken { taken_at: noon().plus(secs(9)), attempts: 3 };
    records.record_taken(&line, &event.id, taken, None, true).await.unwrap();
    let found = records.look_up(&line, &event.id, None).await.unwrap();
    assert_eq!((found.taken, found.failure, found.original), (Some(taken), None, None));
    assert_eq!(records.taken(&line, &event.id).await.unwrap(), Some(taken));
    assert_eq!(records.failure(&event.id).await.unwrap(), None);
    let none = records.look_up(&line, &id(5), Some(world.dynamodb.sealed_table())).await.unwrap();
    assert!(none.event.is_none() && none.taken.is_none() && none.failure.is_none() && none.original.is_none());
}

#[tokio::test]
async fn nothing_is_read_for_no_events() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    assert!(records.of([]).await.unwrap().is_empty());
    assert_eq!(world.requests.take(), 0);
}

#[tokio::test]
async fn an_event_does_not_wait_behind_an_earlier_one_that_was_replayed_long_after_it() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    let line = Entity::named(LINE);
    let waits = async |first_attempt_at| {
        records.record_failure(&ForwardFailure { first_attempt_at, ..failure(1) }).await.unwrap();
        !records.of([(&line, id(2))]).await.unwrap().is_empty()
    };
    let received_at = id(2).received_at();
    assert!(waits(received_at.plus(secs(3_600))).await);
    assert!(!waits(received_at.plus(secs(3_601))).await);
}

#[tokio::test]
async fn an_event_that_names_no_entity_waits_behind_no_other() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    let package = Entity::named("package#-");
    records.record_failure(&ForwardFailure { entity: package.clone(), ..failure(1) }).await.unwrap();
    assert!(records.of([(&package, id(2))]).await.unwrap().is_empty());
}

#[test]
fn only_a_refused_signature_points_to_the_secret() {
    for (answer, expected) in
        [("401", true), ("403: forbidden", true), ("404", false), ("no answer: Connection refused", false)]
    {
        let failure = ForwardFailure { answer: answer.to_owned(), ..failure(1) };
        assert_eq!(failure.suggests_wrong_secret(), expected, "{answer}");
    }
}

fn dead_letter(number: u64) -> ForwardFailure {
    ForwardFailure { next_attempt_at: None, ..failure(number) }
}

#[tokio::test]
async fn the_record_of_a_failure_expires_14_days_after_the_last_attempt() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    records.record_failure(&dead_letter(1)).await.unwrap();
    records.record_failure(&failure(2)).await.unwrap();
    let items = world.items("events").await;
    let expires_at: Vec<_> = items.iter().filter_map(|item| item.get("expires_at")?.as_n().ok()).collect();
    let in_14_days = noon().plus(secs(5 + 14 * 24 * 60 * 60)).as_secs().to_string();
    assert_eq!(expires_at, [&in_14_days, &in_14_days]);
}

#[tokio::test]
async fn the_failures_of_an_event_that_was_accepted_are_forgotten_and_no_others() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    for failure in [dead_letter(1), failure(2), failure(3)] {
        records.record_failure(&failure).await.unwrap();
    }
    assert_eq!(records.failure(&id(3)).await.unwrap(), Some(failure(3)));
    for number in [1, 3, 4] {
        records.forget_failure(&id(number)).await.unwrap();
    }
    assert_eq!(records.failures(10).await.unwrap(), [failure(2)]);
}

#[tokio::test]
async fn only_the_record_of_a_dead_letter_that_has_not_changed_is_forgotten() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    for failure in [dead_letter(1), failure(2)] {
        records.record_failure(&failure).await.unwrap();
        records.forget_dead_letter(&failure).await.unwrap();
    }
    records.forget_dead_letter(&dead_letter(3)).await.unwrap();
    let given_up_again = ForwardFailure { last_attempt_at: noon().plus(secs(90)), ..dead_letter(4) };
    records.record_failure(&given_up_again).await.unwrap();
    records.forget_dead_letter(&dead_letter(4)).await.unwrap();
    assert_eq!(records.failures(10).await.unwrap(), [given_up_again, failure(2)]);
    let records = ForwardRecords::new(world.client.clone(), "no-such-table");
    assert!(records.forget_dead_letter(&dead_letter(1)).await.is_err());
}

#[tokio::test]
async fn more_failures_than_a_page_has_are_read_up_to_the_limit() {
    let world = World::start().await;
    let records = ForwardRecords::new(world.client.clone(), world.dynamodb.events_table());
    for number in 0..250 {
        records.record_failure(&failure(number)).await.unwrap();
    }
    let newest_first: Vec<_> = (0..250).rev().map(failure).collect();
    assert_eq!(records.failures(1_000).await.unwrap(), newest_first);
    assert_eq!(records.failures(220).await.unwrap(), newest_first[..220]);
}
