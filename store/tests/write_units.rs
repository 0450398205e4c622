//! How many write units an event takes, as DynamoDB counts them, and by how many requests: docs/costs-and-limits.md has them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use std::collections::BTreeMap;

use common::{World, noon, raw_delivery, secs, update};
use local::dynamodb::DynamoDb;
use serde_json::{Value, json};
use store::Delivery;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Units by table or index.
type Units = BTreeMap<String, f64>;

/// Sends a request once more to another DynamoDB, and asks it what it takes.
async fn consumed(dynamodb: &DynamoDb, mut request: Value) -> (Units, bool) {
    request["ReturnConsumedCapacity"] = "INDEXES".into();
    let body = request.to_string();
    let address = dynamodb.url().trim_start_matches("http://").to_owned();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-target: DynamoDB_20120810.TransactWriteItems\r\n\
         content-type: application/x-amz-json-1.0\r\nconnection: close\r\ncontent-length: {}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=local/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
         Signature=0\r\nx-amz-date: 20261122T120000Z\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(&address).await.unwrap();
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{head}\n{body}"));
    let mut units = Units::new();
    for table in answer["ConsumedCapacity"].as_array().into_iter().flatten() {
        let mut count = |name: &str, capacity: &Value| {
            let taken = capacity["WriteCapacityUnits"].as_f64().or(capacity["CapacityUnits"].as_f64()).unwrap_or(0.0);
            *units.entry(name.to_owned()).or_default() += taken;
        };
        count(table["TableName"].as_str().unwrap(), &table["Table"]);
        for (index, capacity) in table["GlobalSecondaryIndexes"].as_object().into_iter().flatten() {
            count(index, capacity);
        }
    }
    (units, head.contains(" 200 "))
}

/// Records a delivery: how many requests that takes, and what the one takes that is carried out. What a refused one takes the
/// embedded DynamoDB does not say.
async fn record(world: &World, twin: &DynamoDb, delivery: &Delivery) -> (usize, Units) {
    world.requests.take();
    world.recorder.record(delivery).await.unwrap();
    let requests = world.requests.take_bodies();
    let count = requests.len();
    let mut carried_out = Units::new();
    for request in requests {
        let (units, done) = consumed(twin, request).await;
        if done {
            carried_out = units;
        }
    }
    (count, carried_out)
}

#[tokio::test]
async fn an_event_takes_the_requests_and_the_write_units_that_the_costs_are_made_of() {
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
        // And what the first of its two requests takes, which is refused.
        (4, "duplicate", with_key.to_string(), 2, 8.0),
        (5, "first event, without a reference", without_reference.to_string(), 1, 8.0 - 2.0),
        (6, "undecodable body", "no json".to_owned(), 1, 5.0),
    ] {
        let (count, taken) = record(&world, &twin, &raw_delivery(noon().plus(secs(second)), body.as_bytes())).await;
        println!("{what:34} {count} requests, {:4} write units {taken:?}", taken.values().sum::<f64>());
        assert_eq!((count, taken.values().sum::<f64>()), (requests, units), "{what}: {taken:?}");
    }
}
