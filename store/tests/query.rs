//! Tests the queries for deliveries, and the counts of published events.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, delivery, everything, noon, secs, update};
use serde_json::{Value, json};
use store::{DeliveryFilter, DeliveryQuery, PublishedCounts, SearchedText};

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
    let query = DeliveryQuery::new(world.reader.clone(), all, everything().times);
    let two = query.newest(2).await.unwrap();
    assert_eq!((two.deliveries.len(), two.more), (2, true));
}

#[tokio::test]
async fn published_events_are_counted_by_the_hour_of_their_receipt() {
    let world = World::start().await;
    let counts = PublishedCounts::new(world.client.clone(), world.dynamodb.events_table());
    let hour = secs(60 * 60);
    counts.add([noon(), noon().plus(secs(59)), noon().plus(hour)]).await.unwrap();
    counts.add([noon()]).await.unwrap();
    let name = |at| PublishedCounts::hour(at);
    let read = counts.read(noon(), noon().plus(hour)).await.unwrap();
    assert_eq!(read, [(name(noon()), 3), (name(noon().plus(hour)), 1)].into());
    let read = counts.read(noon().plus(hour), noon().plus(hour)).await.unwrap();
    assert_eq!(read, [(name(noon().plus(hour)), 1)].into());
}
