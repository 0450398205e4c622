//! Tests the write units and requests of an event, as DynamoDB counts them; docs/costs-and-limits.md lists them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use common::{
    World, noon, raw_delivery, secs,
    units::{Units, consumed},
    update,
};
use emulators::dynamodb::DynamoDb;
use serde_json::json;
use store::Delivery;

/// Records a delivery; returns the number of requests, and the units of the successful one. The embedded DynamoDB does not
/// report those of a refused one.
async fn record(world: &World, twin: &DynamoDb, delivery: &Delivery) -> (usize, Units) {
    world.requests.take();
    world.recorder.record(delivery).await.unwrap();
    let requests = world.requests.take_bodies();
    let count = requests.len();
    let mut carried_out = Units::new();
    for request in requests {
        let (units, done) = consumed(twin, "TransactWriteItems", request).await;
        if done {
            carried_out = units;
        }
    }
    (count, carried_out)
}

#[tokio::test]
async fn an_event_takes_the_documented_requests_and_write_units() {
    let world = World::start().await;
    let twin = DynamoDb::start().await.unwrap();
    let (mut with_limit, mut with_key) = (update(2), update(3));
    with_limit["daily_limit"] = json!(250);
    with_key["whatsapp_apiKey"] = json!("123-456-789");
    let without_reference = json!({"event": "whatsapp", "whatsapp": "972509999999", "whatsapp_extra_info": 1});
    for (second, what, body, requests, units) in [
        (0, "first event of an entity", update(1).to_string(), 1, 8.0),
        (1, "new event, other extra_info", update(2).to_string(), 1, 9.0),
        (2, "new event, same extra_info", with_limit.to_string(), 1, 8.0),
        (3, "new event with an API key", with_key.to_string(), 1, 9.0 + 2.0),
        // The first of its two requests is refused and takes units too.
        (4, "duplicate", with_key.to_string(), 2, 8.0),
        (5, "first event, without a reference", without_reference.to_string(), 1, 8.0 - 2.0),
        (6, "undecodable body", "no json".to_owned(), 1, 5.0),
    ] {
        let (count, taken) = record(&world, &twin, &raw_delivery(noon().plus(secs(second)), body.as_bytes())).await;
        println!("{what:34} {count} requests, {:4} write units {taken:?}", taken.values().sum::<f64>());
        assert_eq!((count, taken.values().sum::<f64>()), (requests, units), "{what}: {taken:?}");
    }
}
