//! Tests quarantined deliveries and their release.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{net::IpAddr, sync::Arc};

use common::{LINE, World, delivery, fingerprint_key, noon, raw_delivery, received, secs, undecodable, update};
use emulators::faults::{Fault, Faults, Point};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, EventId, Received, Timestamp, Undecodable};
use store::{Delivery, Listing, Order, Quarantine, Recorded, Retried, StoreError};
use tokio::task::JoinSet;

/// Returns a line's update with an API key.
fn with_key(extra_info: i64) -> Value {
    let mut body = update(extra_info);
    body["whatsapp_apiKey"] = json!("123-456-789");
    body
}

/// Quarantines a delivery although it decodes; returns it as it should have been recorded.
async fn quarantine(world: &World, at: Timestamp, body: &Value) -> Delivery {
    let event = delivery(at, body);
    let recorded = world.recorder.record(&undecodable(&event, body.to_string().as_bytes())).await.unwrap();
    assert_eq!(recorded, Recorded::Quarantined);
    event
}

/// A list of source addresses with the one that all test deliveries come from.
fn listed(source_ip: Option<IpAddr>) -> bool {
    source_ip == Some([34, 165, 99, 212].into())
}

fn recorded(recorded: Recorded) -> Retried {
    Retried::Recorded { entity: Entity::named(LINE), recorded }
}

/// Returns the number of quarantined items in both tables.
async fn quarantined(world: &World) -> usize {
    world.all_items().await.iter().filter(|item| item.contains("S(\"quarantine#")).count()
}

#[tokio::test]
async fn a_quarantined_delivery_that_now_decodes_is_stored_as_if_it_had_never_been_quarantined() {
    let (world, twin) = (World::start().await, World::start().await);
    // Received long ago: it expires at its original time.
    let event = quarantine(&world, noon().minus(secs(400 * 24 * 3600)), &with_key(1)).await;
    world.requests.take();
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event));
    let requests = world.requests.take_bodies();
    assert_eq!(requests.len(), 3, "two reads, and one transaction");
    let actions: Vec<&str> = requests[2]["TransactItems"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|item| item.as_object().unwrap().keys().map(String::as_str))
        .collect();
    assert_eq!(actions, ["Put", "Update", "Delete", "Delete", "Put"]);

    twin.recorder.record(&event).await.unwrap();
    assert_eq!(world.all_items().await, twin.all_items().await);
    let key = world.sealed.api_key(&Entity::named(LINE)).await.unwrap().unwrap();
    assert_eq!((key.id, key.api_key.expose()), (event.id, "123-456-789"));

    let before = world.all_items().await;
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), Retried::NotQuarantined);
    assert_eq!(world.all_items().await, before);
}

#[tokio::test]
async fn a_held_delivery_becomes_an_event_only_when_its_address_is_accepted() {
    for source_ip in [Some([198, 51, 100, 7].into()), None] {
        let (world, twin) = (World::start().await, World::start().await);
        let call = Received { source_ip, ..received(noon(), with_key(1).to_string().as_bytes()) };
        let held = Delivery::hold(&call, &fingerprint_key());
        assert_eq!(world.recorder.record(&held).await.unwrap(), Recorded::Quarantined);
        assert!(!format!("{held:?} {:?}", world.items("events").await).contains("123-456-789"));
        let stored = world.quarantine.find(&held.id).await.unwrap().unwrap();
        assert_eq!((stored.cause.as_deref(), stored.body), (Some("unlisted_source"), None));

        let before = world.all_items().await;
        assert_eq!(world.quarantine.retry(&held.id, listed).await.unwrap(), Retried::UnlistedSource(source_ip));
        assert_eq!(world.all_items().await, before);
        let accepted = world.quarantine.retry(&held.id, |address| address == source_ip).await.unwrap();
        assert_eq!(accepted, recorded(Recorded::Event));
        twin.recorder.record(&Delivery::decode(&call, &fingerprint_key())).await.unwrap();
        assert_eq!(world.all_items().await, twin.all_items().await);
    }
}

#[tokio::test]
async fn a_held_delivery_that_is_no_event_stays_in_quarantine() {
    let world = World::start().await;
    let held = Delivery::hold(&received(noon(), b"not JSON"), &fingerprint_key());
    world.recorder.record(&held).await.unwrap();
    let before = world.all_items().await;
    let retried = world.quarantine.retry(&held.id, |_| true).await.unwrap();
    assert_eq!(retried, Retried::Undecodable(Undecodable::NotJson));
    assert_eq!(world.all_items().await, before);
}

#[tokio::test]
async fn a_held_body_that_is_compressed_is_recorded_as_the_event_in_it() {
    let (world, twin) = (World::start().await, World::start().await);
    // {"event":"builder","builderID":523}
    let gzip = [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x2d, 0x4b, 0xcd, 0x2b, 0x51,
        0xb2, 0x52, 0x4a, 0x2a, 0xcd, 0xcc, 0x49, 0x49, 0x2d, 0x52, 0xd2, 0x81, 0xb1, 0x3c, 0x5d, 0x94, 0xac, 0x4c,
        0x8d, 0x8c, 0x6b, 0x01, 0xdf, 0xb9, 0x23, 0xb6, 0x23, 0x00, 0x00, 0x00,
    ];
    let call = Received { content_encoding: Some("gzip".to_owned()), ..received(noon(), &gzip) };
    world.recorder.record(&Delivery::hold(&call, &fingerprint_key())).await.unwrap();
    let retried = world.quarantine.retry(&call.id, |_| true).await.unwrap();
    assert_eq!(retried, Retried::Recorded { entity: Entity::named("builder#523"), recorded: Recorded::Event });
    twin.recorder.record(&Delivery::decode(&call, &fingerprint_key())).await.unwrap();
    assert_eq!(world.all_items().await, twin.all_items().await);
}

#[tokio::test]
async fn a_quarantined_delivery_has_the_type_and_the_encoding_of_its_body_on_record() {
    let world = World::start().await;
    let call = Received {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        ..received(noon(), b"\x1f\x8b no gzip")
    };
    world.recorder.record(&Delivery::decode(&call, &fingerprint_key())).await.unwrap();
    let stored = world.quarantine.find(&call.id).await.unwrap().unwrap();
    assert_eq!((stored.content_type, stored.content_encoding), (call.content_type, call.content_encoding));
}

#[tokio::test]
async fn a_delivery_that_still_does_not_decode_stays_in_quarantine() {
    let world = World::start().await;
    let broken = raw_delivery(noon(), b"{\"a\":1 \"b\":2}");
    world.recorder.record(&broken).await.unwrap();
    let before = world.all_items().await;
    assert_eq!(world.quarantine.retry(&broken.id, listed).await.unwrap(), Retried::Undecodable(Undecodable::NotJson));
    assert_eq!(world.all_items().await, before);
    assert_eq!(world.quarantine.find(&broken.id).await.unwrap().unwrap().body_bytes, Some(13));
}

#[tokio::test]
async fn a_quarantined_delivery_without_its_bytes_stays_in_quarantine() {
    let world = World::start().await;
    let event = quarantine(&world, noon(), &update(1)).await;
    let item = world.items("sealed").await.remove(0);
    let delete = world.dynamodb.client().delete_item().table_name("sealed");
    delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    let before = world.all_items().await;
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), Retried::BytesGone);
    assert_eq!(world.all_items().await, before);
}

#[tokio::test]
async fn a_released_delivery_does_not_revert_the_state() {
    let world = World::start().await;
    let event = quarantine(
        &world,
        noon(),
        &json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": 1, "daily_limit": 250}),
    )
    .await;
    let newer = delivery(noon().plus(secs(60)), &update(2));
    world.recorder.record(&newer).await.unwrap();
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event));
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.last_event_id, state.first_seen), (2, newer.id, noon()));
    assert_eq!(state.extra_info().unwrap().as_str(), "2");
    assert_eq!(state.fields["daily_limit"].to_string(), "250", "a field that no newer event has set");
}

#[tokio::test]
async fn the_same_body_is_a_duplicate_of_the_event_that_came_after_the_fix() {
    let world = World::start().await;
    let event = quarantine(&world, noon(), &with_key(1)).await;
    let live = delivery(noon().plus(secs(300)), &with_key(1));
    world.recorder.record(&live).await.unwrap();
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Duplicate { of: live.id }));
    let state = world.state(LINE).await;
    assert_eq!((state.version, state.duplicates, state.last_event_id), (1, 1, live.id));
    assert_eq!(world.history(LINE).await[0].duplicate_of, Some(live.id));
    assert_eq!(quarantined(&world).await, 0);
    // Its key is stored with the event that it repeats.
    assert_eq!(world.items("sealed").await.len(), 1);
}

#[tokio::test]
async fn of_two_quarantined_with_the_same_body_the_second_is_a_duplicate() {
    let world = World::start().await;
    let first = quarantine(&world, noon(), &with_key(1)).await;
    let second = quarantine(&world, noon().plus(secs(1)), &with_key(1)).await;
    assert_eq!(world.quarantine.retry(&first.id, listed).await.unwrap(), recorded(Recorded::Event));
    assert_eq!(
        world.quarantine.retry(&second.id, listed).await.unwrap(),
        recorded(Recorded::Duplicate { of: first.id })
    );
    assert_eq!((world.state(LINE).await.version, quarantined(&world).await), (1, 0));
}

#[tokio::test]
async fn of_two_quarantined_with_the_same_body_that_name_no_entity_both_are_events() {
    let world = World::start().await;
    let body = json!({"event": "package", "package": "basic-100"});
    for second in [0, 1] {
        let event = quarantine(&world, noon().plus(secs(second)), &body).await;
        let retried = world.quarantine.retry(&event.id, listed).await.unwrap();
        assert_eq!(retried, Retried::Recorded { entity: Entity::named("package#-"), recorded: Recorded::Event });
    }
    let state = world.state("package#-").await;
    assert_eq!((state.version, state.duplicates, quarantined(&world).await), (2, 0, 0));
}

#[tokio::test]
async fn if_the_event_was_recorded_too_only_the_quarantined_delivery_is_deleted() {
    let (world, twin) = (World::start().await, World::start().await);
    let event = quarantine(&world, noon(), &with_key(1)).await;
    let (delivery, bytes) = (world.items("events").await.remove(0), world.items("sealed").await.remove(0));
    // As a redrive with the fix does after an unnoticed write of the receiver.
    for recorder in [&world.recorder, &twin.recorder] {
        recorder.record(&event).await.unwrap();
    }
    assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event));
    assert_eq!(world.all_items().await, twin.all_items().await);

    // As a redrive without the fix does right after a retry.
    let world = World::start().await;
    world.recorder.record(&undecodable(&event, with_key(1).to_string().as_bytes())).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event));
        assert_eq!(world.all_items().await, twin.all_items().await);
        for (table, item) in [("events", &delivery), ("sealed", &bytes)] {
            let put = world.dynamodb.client().put_item().table_name(table).set_item(Some(item.clone()));
            put.send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_quarantined_delivery_that_another_write_has_is_left_for_the_next_retry() {
    let world = World::start().await;
    let event = quarantine(&world, noon(), &with_key(1)).await;
    world.recorder.record(&event).await.unwrap();
    let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
    // Two reads, and the write that finds the event there.
    faults.times(3, Fault::None);
    faults.times(1, Fault::Conflict);
    let quarantine = Quarantine::new(emulators::dynamodb::client(&faults.url()), world.settings.clone());
    assert!(matches!(quarantine.retry(&event.id, listed).await, Err(StoreError::Conflict)));
    faults.times(3, Fault::None);
    faults.times(100, Fault::InternalError);
    let failed = quarantine.retry(&event.id, listed).await;
    assert!(matches!(failed, Err(StoreError::DynamoDb(_))), "{failed:?}");
    faults.always(Fault::None);
    assert_eq!(quarantined(&world).await, 2);
    assert_eq!(quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event));
    assert_eq!(quarantined(&world).await, 0);
}

#[tokio::test]
async fn many_at_once_record_it_once() {
    let world = Arc::new(World::start().await);
    let event = quarantine(&world, noon(), &with_key(1)).await;
    let mut retries = JoinSet::new();
    for _ in 0..8 {
        let (world, id) = (Arc::clone(&world), event.id);
        retries.spawn(async move { world.quarantine.retry(&id, listed).await });
    }
    while let Some(retried) = retries.join_next().await {
        match retried.unwrap().unwrap() {
            Retried::Recorded { recorded: Recorded::Event, .. } | Retried::NotQuarantined => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((world.state(LINE).await.version, world.history(LINE).await.len()), (1, 1));
    assert_eq!((quarantined(&world).await, world.items("sealed").await.len()), (0, 1));
}

#[tokio::test]
async fn killed_at_any_point_it_is_quarantined_or_an_event() {
    let twin = World::start().await;
    let mut ends = Vec::new();
    for n in 0..3 {
        for point in [Point::Before, Point::After] {
            let world = World::start().await;
            let event = quarantine(&world, noon(), &with_key(1)).await;
            let untouched = world.all_items().await;
            let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
            let held = faults.hold(n, point);
            let dies = Quarantine::new(emulators::dynamodb::client(&faults.url()), world.settings.clone());
            let id = event.id;
            let run = tokio::spawn(async move { dies.retry(&id, listed).await });
            let holding = held.reached().await.unwrap();
            run.abort();
            assert!(run.await.unwrap_err().is_cancelled());
            drop(holding);

            let is_event = world.all_items().await != untouched;
            ends.push(is_event);
            let counts = (world.history(LINE).await.len(), quarantined(&world).await);
            assert_eq!(counts, if is_event { (1, 0) } else { (0, 2) }, "at request {n}, {point:?}");
            let again = world.quarantine.retry(&id, listed).await.unwrap();
            assert_eq!(again, if is_event { Retried::NotQuarantined } else { recorded(Recorded::Event) });
            if ends.len() == 1 {
                twin.recorder.record(&event).await.unwrap();
                assert_eq!(world.all_items().await, twin.all_items().await);
            }
            assert_eq!((world.state(LINE).await.version, world.items("sealed").await.len()), (1, 1));
        }
    }
    assert_eq!(ends, [false, false, false, false, false, true]);
}

#[tokio::test]
async fn a_write_that_was_carried_out_unnoticed_counts_once() {
    for fault in [Fault::CarryOutAndDrop, Fault::CarryOutAndFail] {
        let world = World::start().await;
        let event = quarantine(&world, noon(), &with_key(1)).await;
        let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
        faults.times(2, Fault::None);
        faults.times(1, fault);
        let quarantine = Quarantine::new(emulators::dynamodb::client(&faults.url()), world.settings.clone());
        assert_eq!(quarantine.retry(&event.id, listed).await.unwrap(), recorded(Recorded::Event), "{fault:?}");
        assert_eq!((world.state(LINE).await.version, quarantined(&world).await), (1, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn it_is_listed_day_after_day_in_both_orders_from_any_delivery_on() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for hours in [0, 1, 30, 31, 32, 100] {
        let broken = raw_delivery(noon().plus(secs(hours * 3600)), b"not JSON");
        world.recorder.record(&broken).await.unwrap();
        world
            .recorder
            .record(&delivery(broken.received_at, &json!({"event": "quarantine", "hours": hours})))
            .await
            .unwrap();
        ids.push(broken.id);
    }
    let times = noon().plus(secs(3600))..noon().plus(secs(100 * 3600));
    ids.truncate(5);
    ids.remove(0);
    for (order, page_size) in
        [(Order::OldestFirst, 1), (Order::OldestFirst, 2), (Order::NewestFirst, 1), (Order::NewestFirst, 9)]
    {
        let list = async |after| {
            let listing = Listing { times: times.clone(), order, after, page_size };
            let list = world.quarantine.list(&listing).map_ok(|delivery| delivery.id);
            list.try_collect::<Vec<EventId>>().await.unwrap()
        };
        ids.sort();
        if order == Order::NewestFirst {
            ids.reverse();
        }
        assert_eq!(list(None).await, ids, "{order:?} {page_size}");
        for n in 0..ids.len() {
            assert_eq!(list(Some(ids[n])).await, ids[n + 1..], "{order:?} {page_size} {n}");
        }
    }
}
