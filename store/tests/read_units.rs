//! Tests the read units of a first look, as DynamoDB counts them: they do not grow with the number of deliveries.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use std::{env, time::Duration};

use common::{World, delivery, noon, secs, units::consumed, update};
use futures_util::{Stream, StreamExt, TryStreamExt};
use shared::{Entity, EventId, Kind};
use store::{Delivery, Listing, Order, StoreError};

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
    take(world.reader.states(&Kind::Whatsapp, None, None, 10), 10).await;
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
