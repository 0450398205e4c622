//! The questions that the tables answer, page by page.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, delivery, everything, noon, raw_delivery, secs, update};
use serde_json::json;
use shared::{Entity, EventId, Integer, Kind};
use store::{Cursor, Listing, Order, Page, StoredDelivery};

/// Asks for page after page, until there is none.
async fn all_pages<T, F>(mut ask: impl FnMut(Option<Cursor>) -> F) -> Vec<T>
where
    F: Future<Output = Page<T>>,
{
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..1_000 {
        let page = ask(after).await;
        all.extend(page.items);
        match page.next {
            Some(next) => after = Some(Cursor::from_text(next.as_str())),
            None => return all,
        }
    }
    panic!("the pages have no end");
}

fn ids(deliveries: &[StoredDelivery]) -> Vec<EventId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

/// 40 deliveries of 20 lines over three months, one of them quarantined.
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
    for limit in [1, 7, 39, 40, 1_000] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let listed = all_pages(async |after| {
                let listing = Listing { order, after, limit, ..everything() };
                let page = world.reader.by_time(&listing).await.unwrap();
                assert!(page.items.len() <= usize::from(limit));
                page
            });
            let mut listed = ids(&listed.await);
            if order == Order::NewestFirst {
                listed.reverse();
            }
            assert_eq!(listed, recorded, "{limit} {order:?}");
        }
    }
}

#[tokio::test]
async fn a_page_does_not_ask_the_months_of_the_pages_before() {
    let (world, _) = filled().await;
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let first = Listing { order, limit: 2, ..everything() };
        let after = world.reader.by_time(&first).await.unwrap().next;
        world.requests.take();
        let second = world.reader.by_time(&Listing { after, ..first }).await.unwrap();
        assert_eq!((second.items.len(), world.requests.take()), (2, 8), "{order:?}");
    }
}

#[tokio::test]
async fn a_listing_has_what_was_received_from_its_start_and_before_its_end() {
    let world = World::start().await;
    for second in 0..4 {
        world.recorder.record(&delivery(noon().plus(secs(second)), &update(second.try_into().unwrap()))).await.unwrap();
    }
    let listing = Listing { times: noon().plus(secs(1))..noon().plus(secs(3)), ..everything() };
    let of_line = world.reader.history(&Entity::named(LINE), &listing).await.unwrap();
    let of_all = world.reader.by_time(&listing).await.unwrap();
    let of_reference = world.reader.by_reference("client-7", &listing).await.unwrap();
    let times: Vec<_> = of_line.items.iter().map(|delivery| delivery.received_at).collect();
    assert_eq!(times, [noon().plus(secs(1)), noon().plus(secs(2))]);
    assert_eq!((&of_all.items, &of_reference.items), (&of_line.items, &of_line.items));
    let nothing = Listing { times: noon()..noon(), ..everything() };
    assert_eq!(world.reader.by_time(&nothing).await.unwrap().items, []);
}

#[tokio::test]
async fn the_history_of_an_entity_is_paged_in_both_orders() {
    let world = World::start().await;
    let mut recorded = Vec::new();
    for second in 0..10 {
        let event = delivery(noon().plus(secs(second)), &update(second.try_into().unwrap()));
        world.recorder.record(&event).await.unwrap();
        recorded.push(event.id);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let listed = all_pages(async |after| {
            let listing = Listing { order, after, limit: 3, ..everything() };
            world.reader.history(&Entity::named(LINE), &listing).await.unwrap()
        });
        assert_eq!(ids(&listed.await), recorded);
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
async fn what_could_not_be_decoded_is_listed_by_its_day() {
    let (world, _) = filled().await;
    let page = world.reader.history(&Entity::named("quarantine#2026-10-23"), &everything()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!((page.items[0].kind.as_str(), &page.items[0].body), ("quarantine", &None));
}

#[tokio::test]
async fn clients_and_their_deliveries_are_found_by_the_partners_reference() {
    let (world, _) = filled().await;
    let deliveries = all_pages(async |after| {
        let listing = Listing { after, limit: 4, ..everything() };
        world.reader.by_reference("client-1", &listing).await.unwrap()
    });
    assert_eq!(deliveries.await.len(), 13);
    let states = all_pages(async |after: Option<Cursor>| {
        world.reader.states_by_reference("client-1", after.as_ref(), 2).await.unwrap()
    });
    let states = states.await;
    assert!(states.iter().all(|state| state.reference() == Some("client-1")) && states.len() > 2, "{}", states.len());
    let nobody = world.reader.states_by_reference("client-99", None, 2).await.unwrap();
    assert_eq!((nobody.items, nobody.next), (vec![], None));
}

#[tokio::test]
async fn states_are_listed_by_kind_and_by_status() {
    let (world, _) = filled().await;
    world.recorder.record(&delivery(noon(), &json!({"event": "whatsapp", "whatsapp": "1"}))).await.unwrap();
    world.recorder.record(&delivery(noon(), &json!({"event": "builder", "builderID": 1}))).await.unwrap();
    for limit in [1, 3, 100] {
        let all = all_pages(async |after: Option<Cursor>| {
            world.reader.states(&Kind::Whatsapp, None, after.as_ref(), limit).await.unwrap()
        });
        assert_eq!(all.await.len(), 21, "{limit}");
        let two = Integer::parse("2").unwrap();
        let of_status = all_pages(async |after: Option<Cursor>| {
            world.reader.states(&Kind::Whatsapp, Some(&two), after.as_ref(), limit).await.unwrap()
        });
        let of_status = of_status.await;
        assert_eq!(of_status.len(), 5, "{limit}");
        assert!(of_status.iter().all(|state| state.extra_info() == Some(&two)));
    }
}

#[tokio::test]
async fn a_text_that_is_no_cursor_is_refused() {
    let world = World::start().await;
    let after = Some(Cursor::from_text("not a cursor"));
    let listing = Listing { after: after.clone(), ..everything() };
    assert!(world.reader.by_time(&listing).await.is_err());
    assert!(world.reader.history(&Entity::named(LINE), &listing).await.is_err());
    assert!(world.reader.states(&Kind::Whatsapp, None, after.as_ref(), 1).await.is_err());
}

#[tokio::test]
async fn an_entity_without_events_has_no_state() {
    let world = World::start().await;
    assert_eq!(world.reader.state(&Entity::named(LINE)).await.unwrap(), None);
}
