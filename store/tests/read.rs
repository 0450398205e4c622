//! Tests the lists that the tables return.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::pin::pin;

use common::{LINE, World, delivery, everything, noon, raw_delivery, secs, update};
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde_json::json;
use shared::{Entity, EventId, Integer, Kind};
use store::{Delivery, Listing, Order, StoreError, StoredDelivery, first, page_size};

/// Reads a stream to its end.
async fn all<T>(stream: impl Stream<Item = Result<T, StoreError>>) -> Vec<T> {
    stream.try_collect().await.unwrap()
}

fn ids(deliveries: &[StoredDelivery]) -> Vec<EventId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

#[tokio::test]
async fn a_list_of_exactly_the_limit_has_no_more() {
    for (limit, expected) in [(2, (vec![0, 1], true)), (3, (vec![0, 1, 2], false)), (4, (vec![0, 1, 2], false))] {
        let list = futures_util::stream::iter((0..3).map(Ok::<_, StoreError>));
        assert_eq!(first(list, limit).await.unwrap(), expected, "{limit}");
    }
}

/// Records 40 deliveries of 20 lines over three months, one of them quarantined.
async fn filled() -> (World, Vec<EventId>) {
    let world = World::start().await;
    let mut recorded = Vec::new();
    for n in 0..40_u64 {
        let body = json!({"event": "whatsapp", "whatsapp": format!("9725{}", n % 20), "whatsapp_reference": format!("client-{}", n % 3), "whatsapp_extra_info": n % 20 % 4, "n": n});
        let at = noon().minus(secs(n * 36 * 3600));
        let event = if n == 20 { raw_delivery(at, b"garbage") } else { delivery(at, &body) };
        world.recorder.record(&event).await.unwrap();
        recorded.push(event.id);
    }
    recorded.sort();
    (world, recorded)
}

#[tokio::test]
async fn everything_is_listed_by_time_across_months_in_both_orders_in_pages_of_any_size() {
    let (world, recorded) = filled().await;
    for page_size in [0, 1, 7, 39, 40, 1_000] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let listing = Listing { order, page_size, ..everything() };
            let mut listed = ids(&all(world.reader.by_time(&listing)).await);
            if order == Order::NewestFirst {
                listed.reverse();
            }
            assert_eq!(listed, recorded, "{page_size} {order:?}");
        }
    }
}

#[tokio::test]
async fn everything_is_listed_by_time_however_its_ids_spread_over_the_partitions() {
    let world = World::start().await;
    let mut recorded = Vec::new();
    for n in 0..60_u64 {
        // The first partition has half of them, and a second one comes in only at the end.
        let partition = if n % 2 == 0 {
            0
        } else if n < 40 {
            n % 3
        } else {
            7
        };
        let id = EventId::new(noon().plus(secs(n)), partition.to_be_bytes());
        world.recorder.record(&Delivery { id, ..delivery(noon().plus(secs(n)), &update(1)) }).await.unwrap();
        recorded.push(id);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for page_size in [1, 50] {
            let listing = Listing { order, page_size, ..everything() };
            assert_eq!(ids(&all(world.reader.by_time(&listing)).await), recorded, "{order:?} {page_size}");
        }
        recorded.reverse();
    }
}

#[tokio::test]
async fn a_page_takes_a_little_more_than_its_share_of_each_partition() {
    let world = World::start().await;
    for (page_size, share) in [(0, 8), (50, 14), (200, 33)] {
        world.requests.take();
        all(world.reader.by_time(&Listing { page_size, ..everything() })).await;
        let requests = world.requests.take_bodies();
        assert!(requests.iter().all(|request| request["Limit"] == share), "{page_size}: {requests:?}");
    }
    assert_eq!([0, 1, 50, 199, usize::MAX].map(page_size), [1, 2, 51, 200, 200]);
}

#[tokio::test]
async fn each_month_that_a_range_touches_is_asked_once_and_none_before_2026() {
    let world = World::start().await;
    for (start, end, expected) in [
        ("2026-01-31T23:00:00.000000Z", "2026-03-01T00:00:00.000000Z", &["2026-01", "2026-02", "2026-03"][..]),
        ("2025-11-05T12:00:00.000000Z", "2026-02-01T12:00:00.000000Z", &["2026-01", "2026-02"]),
        ("2026-11-22T12:00:00.000000Z", "2026-11-22T12:00:01.000000Z", &["2026-11"]),
        ("9999-12-30T12:00:00.000000Z", "9999-12-31T23:59:59.999999Z", &["9999-12"]),
    ] {
        let times = start.parse().unwrap()..end.parse().unwrap();
        all(world.reader.by_time(&Listing { times, ..everything() })).await;
        let requests = world.requests.take_bodies();
        let shards = requests.iter().map(|request| request["ExpressionAttributeValues"][":partition"]["S"].as_str());
        let mut months: Vec<_> = shards.map(|shard| shard.unwrap()[..7].to_owned()).collect();
        months.dedup();
        assert!(months == expected && requests.len() == 8 * expected.len(), "{start}: {months:?}");
    }
}

#[tokio::test]
async fn a_listing_goes_on_after_any_delivery_and_asks_no_month_before_it() {
    let (world, mut recorded) = filled().await;
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let from = |after| Listing { order, after: Some(after), page_size: 2, ..everything() };
        for n in [0, 1, 20, 38, 39] {
            let rest = all(world.reader.by_time(&from(recorded[n]))).await;
            assert_eq!(ids(&rest), recorded[n + 1..], "{order:?} {n}");
        }
        world.requests.take();
        let next = all(world.reader.by_time(&from(recorded[1])).take(2)).await;
        assert_eq!((ids(&next), world.requests.take()), (recorded[2..4].to_vec(), 8), "{order:?}");
        recorded.reverse();
    }
}

#[tokio::test]
async fn a_stream_reads_nothing_until_it_is_polled_and_no_page_that_nobody_takes_from() {
    let world = World::start().await;
    for second in 0..6 {
        world.recorder.record(&delivery(noon().plus(secs(second)), &update(second.try_into().unwrap()))).await.unwrap();
    }
    world.requests.take();
    let listing = Listing { page_size: 2, ..everything() };
    let line = Entity::named(LINE);
    let mut history = pin!(world.reader.history(&line, &listing));
    assert_eq!(world.requests.take(), 0);
    for requests in [1, 0, 1, 0, 1, 0] {
        assert!(history.try_next().await.unwrap().is_some());
        assert_eq!(world.requests.take(), requests);
    }
    // DynamoDB does not mark a full page as the last one.
    assert!(history.try_next().await.unwrap().is_none());
    assert_eq!(world.requests.take(), 1);
}

#[tokio::test]
async fn a_listing_includes_its_start_and_excludes_its_end() {
    let world = World::start().await;
    for second in 0..4 {
        world.recorder.record(&delivery(noon().plus(secs(second)), &update(second.try_into().unwrap()))).await.unwrap();
    }
    let listing = Listing { times: noon().plus(secs(1))..noon().plus(secs(3)), ..everything() };
    let of_line = all(world.reader.history(&Entity::named(LINE), &listing)).await;
    let of_all = all(world.reader.by_time(&listing)).await;
    let of_reference = all(world.reader.by_reference("client-7", &listing)).await;
    let times: Vec<_> = of_line.iter().map(|delivery| delivery.received_at).collect();
    assert_eq!(times, [noon().plus(secs(1)), noon().plus(secs(2))]);
    assert_eq!((&of_all, &of_reference), (&of_line, &of_line));
    let nothing = Listing { times: noon()..noon(), ..everything() };
    assert_eq!(all(world.reader.by_time(&nothing)).await, []);
    assert_eq!(all(world.reader.history(&Entity::named(LINE), &nothing)).await, []);
}

#[tokio::test]
async fn the_history_of_an_entity_is_listed_in_both_orders_from_any_delivery_on() {
    let world = World::start().await;
    let mut recorded = Vec::new();
    for second in 0..10 {
        let event = delivery(noon().plus(secs(second)), &update(second.try_into().unwrap()));
        world.recorder.record(&event).await.unwrap();
        recorded.push(event.id);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let listing = Listing { order, page_size: 3, ..everything() };
        assert_eq!(ids(&all(world.reader.history(&Entity::named(LINE), &listing)).await), recorded);
        let rest = Listing { after: Some(recorded[3]), ..listing };
        assert_eq!(ids(&all(world.reader.history(&Entity::named(LINE), &rest)).await), recorded[4..]);
        recorded.reverse();
    }
}

#[tokio::test]
async fn a_delivery_is_found_by_its_id_with_one_query() {
    let (world, recorded) = filled().await;
    world.requests.take();
    for (n, id) in recorded.iter().rev().enumerate() {
        let found = world.reader.delivery(id).await.unwrap().unwrap();
        assert_eq!((&found.id, found.received_at), (id, noon().minus(secs(n as u64 * 36 * 3600))));
        if n == 20 {
            assert_eq!((found.kind.as_str(), found.cause.is_some(), found.body_bytes), ("quarantine", true, Some(7)));
            assert_eq!((found.reference, found.extra_info, found.body), (None, None, None));
        } else {
            assert_eq!(found.reference, Some(format!("client-{}", n % 3)));
            assert_eq!(found.extra_info.unwrap().to_string(), (n % 20 % 4).to_string());
            assert_eq!((found.cause, found.body_bytes), (None, None));
        }
    }
    assert_eq!(world.requests.take(), recorded.len());
    let nothing = EventId::new(noon(), [1; 8]);
    assert_eq!(world.reader.delivery(&nothing).await.unwrap(), None);
}

#[tokio::test]
async fn a_long_number_is_read_as_it_came() {
    let world = World::start().await;
    let digits = "12345678901234567890123456789012345678";
    let body = format!(r#"{{"event":"whatsapp","whatsapp":"1","whatsapp_extra_info":{digits}}}"#);
    let event = raw_delivery(noon(), body.as_bytes());
    world.recorder.record(&event).await.unwrap();
    let found = world.reader.delivery(&event.id).await.unwrap().unwrap();
    assert_eq!(found.extra_info, Integer::parse(digits));
    assert_eq!(world.state("whatsapp#1").await.extra_info(), Integer::parse(digits).as_ref());
}

#[tokio::test]
async fn quarantined_deliveries_are_listed_by_their_day() {
    let (world, _) = filled().await;
    let of_day = all(world.reader.history(&Entity::named("quarantine#2026-10-23"), &everything())).await;
    assert_eq!(of_day.len(), 1);
    assert_eq!((of_day[0].kind.as_str(), &of_day[0].body), ("quarantine", &None));
}

#[tokio::test]
async fn clients_and_their_deliveries_are_found_by_the_partners_reference() {
    let (world, _) = filled().await;
    let deliveries = world.reader.by_reference("client-1", &Listing { page_size: 4, ..everything() });
    assert_eq!(all(deliveries).await.len(), 13);
    let states = all(world.reader.states_by_reference("client-1", 2)).await;
    assert!(states.iter().all(|state| state.reference() == Some("client-1")) && states.len() > 2, "{}", states.len());
    assert_eq!(all(world.reader.states_by_reference("client-99", 2)).await, []);
}

#[tokio::test]
async fn states_are_listed_by_kind_and_by_status() {
    let (world, _) = filled().await;
    world.recorder.record(&delivery(noon(), &json!({"event": "whatsapp", "whatsapp": "1"}))).await.unwrap();
    world.recorder.record(&delivery(noon(), &json!({"event": "builder", "builderID": 1}))).await.unwrap();
    let two = Integer::parse("2").unwrap();
    for page_size in [1, 3, 100] {
        for (extra_info, number) in [(None, 21), (Some(&two), 5)] {
            let states = all(world.reader.states(&Kind::Whatsapp, extra_info, page_size)).await;
            assert_eq!(states.len(), number, "{page_size} {extra_info:?}");
            assert!(states.iter().all(|state| state.kind == "whatsapp"));
            assert!(extra_info.is_none() || states.iter().all(|state| state.extra_info() == extra_info));
        }
    }
}

#[tokio::test]
async fn an_entity_without_events_has_no_state() {
    let world = World::start().await;
    assert_eq!(world.reader.state(&Entity::named(LINE)).await.unwrap(), None);
}
