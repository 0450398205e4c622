//! Tests the queries for deliveries, following them, and the counts of published events.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::collections::BTreeSet;

use common::{LINE, World, delivery, everything, noon, raw_delivery, secs, update};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use store::{DeliveryFilter, DeliveryQuery, Follow, PublishedCounts, SearchedText, StoreError};

fn bot(reference: &str) -> Value {
    json!({"event": "builder", "builderID": 523, "builder_reference": reference})
}

#[tokio::test]
async fn a_delivery_is_selected_when_it_matches_all_criteria() {
    let world = World::start().await;
    for (second, body) in [(0, update(1)), (1, update(1)), (2, update(2)), (3, bot("client-7")), (4, bot("client-8"))] {
        world.recorder.record(&delivery(noon().plus(secs(second)), &body)).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let text = |text: &str| Some(SearchedText::new(text));
    let all = DeliveryFilter::default();
    for (filter, expected) in [
        (all.clone(), &[4, 3, 2, 1, 0][..]),
        (DeliveryFilter { entity: some(LINE), ..all.clone() }, &[2, 1, 0]),
        (DeliveryFilter { reference: some("client-7"), ..all.clone() }, &[3, 2, 1, 0]),
        (DeliveryFilter { kind: some("builder"), ..all.clone() }, &[4, 3]),
        (DeliveryFilter { duplicates: true, ..all.clone() }, &[1]),
        (DeliveryFilter { entity: some("builder#523"), reference: some("client-7"), ..all.clone() }, &[3]),
        (DeliveryFilter { reference: some("client-7"), kind: some("builder"), ..all.clone() }, &[3]),
        (DeliveryFilter { kind: some("builder"), duplicates: true, ..all.clone() }, &[]),
        (DeliveryFilter { entity: some(LINE), kind: some("builder"), ..all.clone() }, &[]),
        (DeliveryFilter { text: text("CLIENT-8"), ..all.clone() }, &[4]),
        (DeliveryFilter { text: text("client-"), entity: some("builder#523"), ..all.clone() }, &[4, 3]),
        (DeliveryFilter { text: text("builder#…client-8"), ..all.clone() }, &[]),
        (DeliveryFilter { text: text("{\"builderID\"…client-8 "), ..all.clone() }, &[4]),
        (DeliveryFilter { text: text("שלום"), ..all.clone() }, &[]),
        (DeliveryFilter { except_kind: some("builder"), ..all.clone() }, &[2, 1, 0]),
        (DeliveryFilter { except_kind: some("builder"), kind: some("builder"), ..all.clone() }, &[4, 3]),
        (DeliveryFilter { except_kind: some("builder"), entity: some("builder#523"), ..all.clone() }, &[4, 3]),
    ] {
        let query = DeliveryQuery::new(world.reader.clone(), filter.clone(), everything().times);
        let newest = query.newest(10).await.unwrap();
        let seconds: Vec<u64> = newest.deliveries.iter().map(|of| of.received_at.since(noon()).as_secs()).collect();
        assert_eq!((&seconds[..], newest.more), (expected, false), "{filter:?}");
    }
    let query = DeliveryQuery::new(world.reader.clone(), all.clone(), everything().times);
    let two = query.newest(2).await.unwrap();
    assert_eq!((two.deliveries.len(), two.more), (2, true));
    let walk = async |query: &DeliveryQuery, after| {
        let walked = query.walk(after).map_ok(|delivery| delivery.received_at.since(noon()).as_secs());
        walked.try_collect::<Vec<_>>().await.unwrap()
    };
    assert_eq!(walk(&query, None).await, [0, 1, 2, 3, 4]);
    assert_eq!(walk(&query, Some(two.deliveries[1].id)).await, [4]);
    let bots = DeliveryFilter { kind: some("builder"), ..all };
    let times = noon()..noon().plus(secs(4));
    assert_eq!(walk(&DeliveryQuery::new(world.reader.clone(), bots, times), None).await, [3]);
}

#[tokio::test]
async fn published_events_are_counted_by_the_hour_of_their_receipt() {
    let world = World::start().await;
    let counts = PublishedCounts::new(world.client.clone(), world.dynamodb.events_table());
    let hour = secs(60 * 60);
    counts.add("1", [noon(), noon().plus(secs(59)), noon().plus(hour)]).await.unwrap();
    for _ in 0..2 {
        counts.add("2", [noon()]).await.unwrap();
    }
    let name = |at| PublishedCounts::hour(at);
    let read = counts.read(noon(), noon().plus(hour)).await.unwrap();
    assert_eq!(read, [(name(noon()), 3), (name(noon().plus(hour)), 1)].into());
    let read = counts.read(noon().plus(hour), noon().plus(hour)).await.unwrap();
    assert_eq!(read, [(name(noon().plus(hour)), 1)].into());
    let nowhere = PublishedCounts::new(world.client.clone(), "no-such-table");
    assert!(nowhere.add("3", [noon()]).await.is_err());
    counts.forget().await.unwrap();
    assert_eq!(counts.read(noon(), noon().plus(hour)).await.unwrap(), [].into());
    counts.add("2", [noon()]).await.unwrap();
    assert_eq!(counts.read(noon(), noon()).await.unwrap(), [(name(noon()), 1)].into(), "the batch is forgotten too");
}

#[tokio::test]
async fn the_newest_are_read_in_pages_of_their_number_if_the_index_selects_them_and_else_in_large_ones() {
    let world = World::start().await;
    let some = |text: &str| Some(text.to_owned());
    let entity = DeliveryFilter { entity: some(LINE), ..DeliveryFilter::default() };
    let reference = DeliveryFilter { reference: some("client-7"), ..DeliveryFilter::default() };
    for (filter, page_size) in [
        (entity.clone(), 4),
        (reference.clone(), 4),
        (DeliveryFilter { except_kind: some("doctor"), ..entity.clone() }, 4),
        (DeliveryFilter { reference: some("client-7"), ..entity.clone() }, 200),
        (DeliveryFilter { kind: some("whatsapp"), ..entity.clone() }, 200),
        (DeliveryFilter { text: Some(SearchedText::new("7")), ..reference.clone() }, 200),
        (DeliveryFilter { duplicates: true, ..reference.clone() }, 200),
    ] {
        world.requests.take();
        let query = DeliveryQuery::new(world.reader.clone(), filter.clone(), everything().times);
        query.newest(3).await.unwrap();
        assert_eq!(world.requests.take_bodies()[0]["Limit"], page_size, "{filter:?}");
    }
}

#[tokio::test]
async fn a_query_goes_on_with_the_reader_that_it_is_given() {
    let (empty, world) = (World::start().await, World::start().await);
    world.recorder.record(&delivery(noon(), &update(1))).await.unwrap();
    let mut query = DeliveryQuery::new(empty.reader.clone(), DeliveryFilter::default(), everything().times);
    assert!(query.newest(1).await.unwrap().deliveries.is_empty());
    query.read_from(world.reader.clone());
    assert_eq!(query.newest(1).await.unwrap().deliveries.len(), 1);
}

#[tokio::test]
async fn a_text_is_found_as_it_is_written_as_it_is_shown_and_behind_escapes() {
    let world = World::start().await;
    let body = r#"{"event":"builder","builderID":5,"note":"a\u05e9c","bell":"ding\u0007dong","mark":"x_y"}"#;
    let body = body.replace('_', "\u{202e}");
    let event = raw_delivery(noon(), body.as_bytes());
    world.recorder.record(&event).await.unwrap();
    let stored = world.reader.delivery(&event.id).await.unwrap().unwrap();
    let id = event.id.to_string();
    for text in ["aשc", r"a\u05e9c", r"x\u{202e}y", "x\u{202e}y", "DING", "request-1", "34.165", "BUILDER#5", &id[20..]]
    {
        assert!(SearchedText::new(text).is_in(&stored), "{text}");
    }
    for text in ["acd", "xy", "y…x", "dong…ding", "request-2", "builder#6"] {
        assert!(!SearchedText::new(text).is_in(&stored), "{text}");
    }
}

#[tokio::test]
async fn each_delivery_is_passed_on_once_also_one_that_is_written_late() {
    let world = World::start().await;
    let record = async |second: u64| {
        let event = delivery(noon().plus(secs(second)), &update(i64::try_from(second).unwrap()));
        world.recorder.record(&event).await.unwrap();
    };
    let query = DeliveryQuery::new(world.reader.clone(), DeliveryFilter::default(), everything().times);
    let mut follow = Follow::new(noon(), noon(), BTreeSet::new());
    // Looks at a time; takes at most a number of deliveries.
    let mut look = async |now: u64, most: usize| {
        let mut taken = Vec::new();
        let all = follow.look(&query, noon().plus(secs(now)), |delivery| {
            taken.push(delivery.received_at.since(noon()).as_secs());
            Ok::<_, StoreError>(taken.len() < most)
        });
        let all = all.await.unwrap();
        (taken, all)
    };
    record(0).await;
    record(20).await;
    assert_eq!(look(20, 9).await, (vec![0, 20], true));
    assert_eq!(look(20, 9).await, (vec![], true), "each is passed on once");
    for second in [3, 6, 21, 22] {
        record(second).await;
    }
    assert_eq!(look(30, 2).await, (vec![6, 21], false), "the one of 3 is older than the overlap");
    assert_eq!(look(30, 9).await, (vec![22], true), "the next look goes on where the last one stopped");
    record(85).await;
    assert_eq!(look(30, 9).await, (vec![85], true), "the clock of the receiver is ahead");
    record(29).await;
    assert_eq!(look(31, 9).await, (vec![29], true), "it hides no delivery of the present");
    record(95).await;
    assert_eq!(look(31, 9).await, (vec![], true), "more than a minute ahead");
}
