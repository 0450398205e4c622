//! Tests the record of the provider's lists, and the events that were rebuilt from them.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{LINE, World, delivery, noon, secs, update};
use serde_json::json;
use shared::{Entity, Kind, Timestamp};
use store::{Delivery, Inventory, ListTime, Origin, StoreError, Tracked};

fn rebuilt(at: Timestamp) -> Delivery {
    let body = json!({"status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "from-the-list", "whatsapp_apiKey": "listed-key"});
    Delivery { origin: Origin::Reconciled, ..delivery(at, &body) }
}

#[tokio::test]
async fn a_rebuilt_event_is_recorded_once_and_marks_the_state_it_begins() {
    let world = World::start().await;
    let rebuilt = rebuilt(noon());
    for _ in 0..3 {
        world.recorder.record_first(&rebuilt).await.unwrap();
    }
    let state = world.state(LINE).await;
    assert_eq!((state.is_reconciled, state.version, state.extra_info()), (true, 1, None));
    let [event] = world.history(LINE).await.try_into().unwrap();
    assert_eq!((event.origin, event.has_api_key), (Origin::Reconciled, true));
    let key = world.sealed.api_key(&Entity::named(LINE)).await.unwrap().unwrap();
    assert_eq!(key.api_key.expose(), "listed-key");
}

#[tokio::test]
async fn a_rebuilt_event_is_not_recorded_when_an_event_has_come() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(1))).await.unwrap();
    for at in [noon().plus(secs(60)), noon().minus(secs(60))] {
        let refused = world.recorder.record_first(&rebuilt(at)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    assert_eq!(world.history(LINE).await.len(), 1);
    assert!(!world.state(LINE).await.is_reconciled);
    assert!(world.sealed.api_key(&Entity::named(LINE)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_delivered_event_ends_the_mark_and_the_later_one_wins() {
    for (at, reference) in [(noon().plus(secs(60)), "client-7"), (noon().minus(secs(60)), "from-the-list")] {
        let world = World::start().await;
        world.recorder.record_first(&rebuilt(noon())).await.unwrap();
        world.recorder.record(&delivery(at, &update(4))).await.unwrap();
        let state = world.state(LINE).await;
        assert_eq!((state.is_reconciled, state.reference()), (false, Some(reference)));
        assert_eq!(state.extra_info().unwrap().as_str(), "4");
    }
}

#[tokio::test]
async fn a_later_rebuilt_event_leaves_the_state_of_a_delivered_one_unmarked() {
    let world = World::start().await;
    world.recorder.record(&delivery(noon(), &update(1))).await.unwrap();
    world.recorder.record(&rebuilt(noon().plus(secs(60)))).await.unwrap();
    let state = world.state(LINE).await;
    assert_eq!((state.is_reconciled, state.reference(), state.version), (false, Some("from-the-list"), 2));
}

#[tokio::test]
async fn what_the_lists_have_shown_is_read_back_also_of_many_entities() {
    let world = World::start().await;
    let inventory = Inventory::new(world.dynamodb.client(), world.dynamodb.events_table());
    let (times, entities) = inventory.read().await.unwrap();
    assert!(times.is_empty() && entities.is_empty());
    let full = Tracked {
        listed_at: Some(noon()),
        not_listed_at: Some(noon().minus(secs(60))),
        created_at: Some(noon().minus(secs(90))),
        is_later: true,
        is_suspended: true,
        rebuilt_at: Some(noon().plus(secs(1))),
        key: Some("fingerprint".to_owned()),
        absent_since: Some(noon().plus(secs(2))),
        gone_at: Some(noon().plus(secs(3))),
        ..Tracked::new(Entity::named("online#a#1"))
    };
    let mut all = vec![full];
    all.extend((0..60).map(|n| Tracked::new(Entity::named(format!("builder#{n}")))));
    inventory.write(&all).await.unwrap();
    inventory.listed(&Kind::Builder, noon().minus(secs(2)), true).await.unwrap();
    inventory.listed(&Kind::Builder, noon(), false).await.unwrap();
    inventory.listed(&Kind::Builder, noon().minus(secs(1)), true).await.unwrap();
    inventory.listed(&Kind::Store, noon().plus(secs(1)), true).await.unwrap();
    let (times, entities) = inventory.read().await.unwrap();
    let builders = ListTime { last: noon(), whole: Some(noon().minus(secs(2))) };
    let stores = ListTime { last: noon().plus(secs(1)), whole: Some(noon().plus(secs(1))) };
    assert_eq!((times["builder"], times["store"], times.len()), (builders, stores, 2), "none goes back");
    assert_eq!(entities.len(), 61);
    assert!(all.iter().all(|tracked| entities[&tracked.entity].as_ref().unwrap() == tracked));
    assert_eq!(inventory.entity(&all[0].entity).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(inventory.entity(&Entity::named("builder#60")).await.unwrap(), None);
    assert_eq!(world.reader.state(&Entity::named("inventory")).await.unwrap(), None, "it is no entity");
}

#[tokio::test]
async fn a_list_that_dynamodb_does_not_write_down_is_an_error() {
    let world = World::start().await;
    let inventory = Inventory::new(world.dynamodb.client(), "no-such-table");
    assert!(inventory.listed(&Kind::Builder, noon(), true).await.is_err());
}

#[test]
fn an_entity_is_gone_until_an_event_comes_after_the_mark() {
    let gone = Tracked { gone_at: Some(noon()), ..Tracked::new(Entity::named(LINE)) };
    for (last_seen, expected) in [
        (None, Some(noon())),
        (Some(noon().minus(secs(1))), Some(noon())),
        (Some(noon()), Some(noon())),
        (Some(noon().plus(secs(1))), None),
    ] {
        assert_eq!(gone.gone_since(last_seen), expected, "{last_seen:?}");
    }
    assert_eq!(Tracked::new(Entity::named(LINE)).gone_since(None), None);
}

#[tokio::test]
async fn a_list_of_an_earlier_version_counts_as_whole_and_one_that_never_was_does_not() {
    let world = World::start().await;
    let inventory = Inventory::new(world.dynamodb.client(), world.dynamodb.events_table());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let earlier = world.dynamodb.client().put_item().table_name(world.dynamodb.events_table());
    let earlier = earlier.item("pk", text("inventory")).item("sk", text("lists"));
    earlier.item("builder", text(&noon().to_string())).send().await.unwrap();
    let (times, _) = inventory.read().await.unwrap();
    assert_eq!(times["builder"], ListTime { last: noon(), whole: Some(noon()) });
    let later = noon().plus(secs(1));
    inventory.listed(&Kind::Builder, later, false).await.unwrap();
    inventory.listed(&Kind::Store, later, false).await.unwrap();
    let (times, _) = inventory.read().await.unwrap();
    assert_eq!(times["builder"], ListTime { last: later, whole: Some(noon()) });
    assert_eq!(times["store"], ListTime { last: later, whole: None });
}
