//! How many read units a first look takes, as DynamoDB counts them: as many when there is more to look at.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use common::{World, delivery, noon, secs, units::consumed, update};
use shared::{Entity, Kind};
use store::{Listing, Order};

/// What the requests take that were sent since the last call.
async fn taken(world: &World) -> (usize, f64) {
    let requests = world.requests.take_bodies();
    let (count, mut units) = (requests.len(), 0.0);
    for request in requests {
        let operation = if request.get("Key").is_some() { "GetItem" } else { "Query" };
        units += consumed(&world.dynamodb, operation, request).await.0.values().sum::<f64>();
    }
    (count, units)
}

/// What each first look takes: its name, its requests and its read units.
async fn looks(world: &World) -> Vec<(&'static str, usize, f64)> {
    let last_hour =
        |limit| Listing { times: noon()..noon().plus(secs(3_600)), order: Order::NewestFirst, after: None, limit };
    let line = Entity::named(common::LINE);
    let mut looks = Vec::new();
    world.requests.take();
    let found = world.reader.by_time(&last_hour(21)).await.unwrap().items.len();
    assert_eq!(found, 21);
    let (requests, units) = taken(world).await;
    looks.push(("20 of the last hour, and whether there are more", requests, units));
    assert_eq!(world.reader.by_time(&last_hour(50)).await.unwrap().items.len(), 50);
    let (requests, units) = taken(world).await;
    looks.push(("50 of the last hour", requests, units));
    world.reader.history(&line, &last_hour(50)).await.unwrap();
    let (requests, units) = taken(world).await;
    looks.push(("50 of an entity", requests, units));
    world.reader.by_reference("client-7", &last_hour(50)).await.unwrap();
    let (requests, units) = taken(world).await;
    looks.push(("50 with a reference", requests, units));
    world.reader.state(&line).await.unwrap();
    let (requests, units) = taken(world).await;
    looks.push(("the state of an entity", requests, units));
    world.reader.states(&Kind::Whatsapp, None, None, 10).await.unwrap();
    let (requests, units) = taken(world).await;
    looks.push(("10 states", requests, units));
    looks
}

/// Records deliveries of that many seconds: one a second of a line of its own, and one of the line that all tests know.
async fn fill(world: &World, seconds: std::ops::Range<u64>) {
    for second in seconds {
        let at = noon().plus(secs(second));
        world.recorder.record(&delivery(at, &update(i64::try_from(second % 7).unwrap()))).await.unwrap();
        let mut other = update(1);
        other["whatsapp"] = format!("97250{:07}", second % 900).into();
        world.recorder.record(&delivery(at, &other)).await.unwrap();
    }
}

#[tokio::test]
async fn a_first_look_takes_no_more_when_there_is_more_to_look_at() {
    let world = World::start().await;
    fill(&world, 0..150).await;
    let few = looks(&world).await;
    fill(&world, 150..450).await;
    let many = looks(&world).await;
    for ((what, requests, units), (_, requests_of_many, units_of_many)) in few.iter().zip(&many) {
        println!("{what:48} {requests:2} requests, {units:5.1} read units; of three times as many {units_of_many:5.1}");
        assert_eq!(requests, requests_of_many, "{what}");
        // What is read is not alike to the byte.
        assert!(*units_of_many <= units + 1.0, "{what}: {units} and {units_of_many}");
    }
}
