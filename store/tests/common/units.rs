//! Capacity units that a request consumes, as DynamoDB counts them.

use std::collections::BTreeMap;

use emulators::dynamodb::DynamoDb;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Units by table or index.
pub type Units = BTreeMap<String, f64>;

/// Sends a request again, and returns its units and whether it was carried out.
pub async fn consumed(dynamodb: &DynamoDb, operation: &str, mut request: Value) -> (Units, bool) {
    request["ReturnConsumedCapacity"] = "INDEXES".into();
    let body = request.to_string();
    let address = dynamodb.url().trim_start_matches("http://").to_owned();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
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
    // A transaction has an array of them, other operations have one.
    let capacity = &answer["ConsumedCapacity"];
    for table in capacity.as_array().map_or(std::slice::from_ref(capacity), Vec::as_slice) {
        let mut count = |name: &str, capacity: &Value| {
            let taken = capacity["WriteCapacityUnits"].as_f64().or(capacity["CapacityUnits"].as_f64()).unwrap_or(0.0);
            *units.entry(name.to_owned()).or_default() += taken;
        };
        if let Some(name) = table["TableName"].as_str() {
            count(name, &table["Table"]);
        }
        for (index, capacity) in table["GlobalSecondaryIndexes"].as_object().into_iter().flatten() {
            count(index, capacity);
        }
    }
    (units, head.contains(" 200 "))
}
