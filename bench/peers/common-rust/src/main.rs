//! A webhook as the examples of lambda_http and of the AWS SDK for Rust would have it: each call is put into a table.

use std::env;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn, tracing};
use serde_json::{Value, json};

async fn handler(client: &Client, table: &str, request: Request) -> Result<Response<Body>, Error> {
    let body: Value = serde_json::from_slice(request.body())?;
    let id = request.lambda_context().request_id;
    let line = body["whatsapp"].as_str().unwrap_or("-");
    client
        .put_item()
        .table_name(table)
        .item("pk", AttributeValue::S(format!("whatsapp#{line}")))
        .item("sk", AttributeValue::S(format!("event#{id}")))
        .item("body", AttributeValue::S(body.to_string()))
        .send()
        .await?;
    let answer = json!({"status": "OK", "id": id}).to_string();
    Ok(Response::builder().header("content-type", "application/json").body(answer.into())?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_from_env().await;
    let client = Client::new(&config);
    let table = env::var("TABLE")?;
    run(service_fn(|request| handler(&client, &table, request))).await
}
