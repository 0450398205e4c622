//! Tests the requests and read units of a first look, as DynamoDB counts them: they do not grow with the number of items.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use common::{World, delivery, noon, secs, units::consumed, update};
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde_json::json;
use shared::{Entity, EventId, Kind};
use std::{collections::BTreeSet, env, time::Duration};
use store::{Delivery, Listing, Order, StoreError, named};

/// Returns the units of the requests since the last call.
async fn taken(world: &World) -> (usize, f64) {
    let requests = world.requests.take_bodies();
    let (count, mut units) = (requests.len(), 0.0);
    for request in requests {
        let operation = if request.get("Key").is_some() { "GetItem" } else { "Query" };
        units += consumed(&world.dynamodb, operation, request).await.0.values().sum::<f64>();
    }
    (count, units)
}

/// Takes this number of items from a list that has at least as many.
async fn take<T>(list: impl Stream<Item = Result<T, StoreError>>, number: usize) {
    assert_eq!(list.take(number).try_collect::<Vec<T>>().await.unwrap().len(), number);
}

/// Returns the name, requests and read units of each first look.
async fn looks(world: &World) -> Vec<(&'static str, usize, f64)> {
    let last_hour = |page_size| Listing {
        times: noon()..noon().plus(secs(3_600)),
        order: Order::NewestFirst,
        after: None,
        page_size,
    };
    let line = Entity::named(common::LINE);
    let mut looks = Vec::new();
    world.requests.take();
    take(world.reader.by_time(&last_hour(21)), 21).await;
    let (requests, units) = taken(world).await;
    looks.push(("20 of the last hour, and whether there are more", requests, units));
    take(world.reader.by_time(&last_hour(50)), 50).await;
    let (requests, units) = taken(world).await;
    looks.push(("50 of the last hour", requests, units));
    take(world.reader.history(&line, &last_hour(50)), 50).await;
    let (requests, units) = taken(world).await;
    looks.push(("50 of an entity", requests, units));
    take(world.reader.by_reference("client-7", &last_hour(50)), 50).await;
    let (requests, units) = taken(world).await;
    looks.push(("50 with a reference", requests, units));
    world.reader.state(&line).await.unwrap();
    let (requests, units) = taken(world).await;
    looks.push(("the state of an entity", requests, units));
    take(world.reader.states(&Kind::Whatsapp, None, 10), 10).await;
    let (requests, units) = taken(world).await;
    looks.push(("10 states", requests, units));
    looks
}

/// Records deliveries, 40 a second: every other one of the line used by all tests, the others of 900 lines.
async fn fill(world: &World, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let mut body = update(i64::try_from(number % 7).unwrap());
        if number % 2 == 0 {
            body["whatsapp"] = format!("97250{:07}", number % 1_800).into();
        }
        let at = noon().plus(Duration::from_millis(25 * number));
        // With random ids, one partition could hold enough of the latest deliveries to end a page early.
        let id = EventId::new(at, number.to_be_bytes());
        world.recorder.record(&Delivery { id, ..delivery(at, &body) }).await.unwrap();
    }
}

/// Total number of deliveries: `EVENTS` if set, otherwise a few hundred.
#[tokio::test]
async fn a_first_read_costs_no_more_when_there_are_more_items() {
    let all = env::var("EVENTS").map_or(900, |number| number.parse().unwrap());
    let world = World::start().await;
    fill(&world, 0..300).await;
    let few = looks(&world).await;
    fill(&world, 300..all).await;
    let many = looks(&world).await;
    for ((what, requests, units), (_, requests_of_many, units_of_many)) in few.iter().zip(&many) {
        println!("{what:48} {requests:2} requests, {units:5.1} read units of 300; {units_of_many:5.1} of {all}");
        assert_eq!(requests, requests_of_many, "{what}");
        // The items read differ by a few bytes.
        assert!(*units_of_many <= units + 1.0, "{what}: {units} and {units_of_many}");
    }
}

/// Puts copies of a state there, as those of inboxes of a server, and returns their entities.
async fn copy_inboxes(world: &World, state: &Entity, server: &str, numbers: std::ops::Range<u64>) -> Vec<Entity> {
    let table = world.dynamodb.events_table();
    let (pk, sk) = (AttributeValue::S(state.to_string()), AttributeValue::S("state".to_owned()));
    let item =
        world.client.get_item().table_name(table).key("pk", pk).key("sk", sk).send().await.unwrap().item.unwrap();
    let entities: Vec<Entity> = numbers.map(|n| Entity::named(format!("online#{server}#{n}"))).collect();
    for entities in entities.chunks(25) {
        let copies = entities.iter().map(|entity| {
            let mut item = item.clone();
            item.insert("pk".to_owned(), AttributeValue::S(entity.to_string()));
            WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().unwrap()).build()
        });
        world.client.batch_write_item().request_items(table, copies.collect()).send().await.unwrap();
    }
    entities
}

#[tokio::test]
async fn a_short_number_costs_no_more_when_there_are_more_inboxes() {
    let world = World::start().await;
    for server in ["eu1", "eu2"] {
        let body = json!({"event": "online", "accountID": 1, "server": server});
        world.recorder.record(&delivery(noon(), &body)).await.unwrap();
    }
    let inbox = Entity::named("online#eu1#1");
    let mut last = copy_inboxes(&world, &inbox, "eu1", 2..1_200).await.pop().unwrap();
    let mut cost = Vec::new();
    for more in [1_200..1_200, 1_200..2_400] {
        last = copy_inboxes(&world, &inbox, "eu1", more).await.pop().unwrap_or(last);
        let number = last.as_str().rsplit('#').next().unwrap();
        world.requests.take();
        let named = named::entities(&world.reader, number).await.unwrap();
        let (requests, units) = taken(&world).await;
        assert_eq!(named.same, BTreeSet::from([last.clone()]));
        cost.push(requests);
        println!("a short number: {requests} requests, {units:.1} read units");
    }
    assert_eq!(cost[0], cost[1]);
    let named = named::entities(&world.reader, "1").await.unwrap();
    assert_eq!(named.same, BTreeSet::from(["online#eu1#1", "online#eu2#1"].map(Entity::named)));
}
