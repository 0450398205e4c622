//! A receiver as it runs in Lambda, in front of an embedded DynamoDB.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a failed step should end the test")]

use std::{collections::HashMap, fs, io::Write, path::PathBuf, sync::atomic::AtomicU64, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    faults::Faults,
    sqs::{Rules, Sqs},
};
use fixtures::{ENVIRONMENT, noon};
use futures_util::TryStreamExt;
use lambda::{Environment, Metrics, Patience};
use lambda_http::{Body, Response};
use receiver::{Arrival, Config, GatewayRequest, Receiver};
use serde_json::Value;
use shared::{Entity, QueuedDelivery, Timestamp, TokenHash};
use store::{AcceptedTokens, Listing, Order, Reader, State, StoredDelivery};

/// The token in the paths of the samples.
pub const TOKEN: &str = "local-sample-token-0123456789abcdef";

pub struct World {
    pub dynamodb: DynamoDb,
    pub link: Faults,
    pub sqs: Sqs,
    pub sqs_link: Faults,
    pub cloudwatch: CloudWatch,
    pub receiver: Receiver,
    pub tokens: AcceptedTokens,
    clock: AtomicU64,
}

/// An answer, its body read as JSON where it has one.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub allow: Option<String>,
    pub body: Value,
}

/// The settings of a receiver; `unlisted_source` is `hold` or `refuse`.
pub fn config(unlisted_source: &str) -> Config {
    let mut environment = Environment::from(ENVIRONMENT);
    environment.extend([("UNLISTED_SOURCE".to_owned(), unlisted_source.to_owned())]);
    Config::read(&environment).unwrap()
}

/// The SDK as the function configures it, but for where it connects to.
pub async fn aws(url: &str, patience: Patience) -> SdkConfig {
    emulators::sdk::to(url, lambda::aws_config(&Environment::from([]), patience).await.unwrap())
}

/// A receiver that starts at noon.
pub async fn receiver(dynamodb: &Faults, sqs: &Faults, output: impl Write + Send + 'static) -> Receiver {
    receiver_with(config("hold"), dynamodb, sqs, output).await
}

async fn receiver_with(
    config: Config,
    dynamodb: &Faults,
    sqs: &Faults,
    output: impl Write + Send + 'static,
) -> Receiver {
    let dynamodb = aws(&dynamodb.url(), receiver::DYNAMODB).await;
    let queue = aws(&sqs.url(), receiver::QUEUE).await;
    let metrics = Metrics::read(&Environment::from([]), output).unwrap();
    Receiver::start(config, &dynamodb, &queue, metrics, noon()).await
}

impl World {
    /// A receiver that has started after the samples' token was accepted.
    pub async fn start() -> Self {
        Self::start_with(config("hold")).await
    }

    /// One that refuses calls from unlisted addresses.
    pub async fn that_refuses() -> Self {
        Self::start_with(config("refuse")).await
    }

    async fn start_with(config: Config) -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let tokens = AcceptedTokens::new(dynamodb.client(), dynamodb.events_table());
        tokens.accept(&TokenHash::of(TOKEN), noon()).await.unwrap();
        let link = Faults::before(&dynamodb.url()).await.unwrap();
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let sqs_link = Faults::before(&sqs.url()).await.unwrap();
        let cloudwatch = CloudWatch::default();
        let receiver = receiver_with(config, &link, &sqs_link, cloudwatch.clone()).await;
        Self { dynamodb, link, sqs, sqs_link, cloudwatch, receiver, tokens, clock: AtomicU64::new(0) }
    }

    /// The deliveries in the fallback queue.
    pub fn queued(&self) -> Vec<QueuedDelivery> {
        self.sqs.queued().iter().map(|message| QueuedDelivery::from_message(message).unwrap()).collect()
    }

    /// Hands the receiver a gateway's event, a second after the one before.
    pub async fn send(&self, event: &str) -> Answer {
        let second = self.clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.send_at(event, noon().plus(Duration::from_secs(second))).await
    }

    pub async fn send_at(&self, event: &str, received_at: Timestamp) -> Answer {
        let arrival = Arrival { received_at, random: fastrand::u64(..).to_be_bytes() };
        answer(self.receiver.handle(request(event), arrival).await)
    }

    pub async fn state(&self, entity: &str) -> Option<State> {
        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        reader.state(&Entity::named(entity)).await.unwrap()
    }

    /// All deliveries in the table, oldest first.
    pub async fn deliveries(&self) -> Vec<StoredDelivery> {
        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        let day = Duration::from_secs(24 * 60 * 60);
        let listing = Listing {
            times: noon().minus(day)..noon().plus(day),
            order: Order::OldestFirst,
            after: None,
            page_size: 1_000,
        };
        reader.by_time(&listing).try_collect().await.unwrap()
    }

    pub async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        self.dynamodb.client().scan().table_name(table).into_paginator().items().send().try_collect().await.unwrap()
    }
}

/// A gateway's event as the runtime hands it to the function.
pub fn request(event: &str) -> GatewayRequest {
    serde_json::from_str(event).unwrap()
}

pub fn answer(response: Response<Body>) -> Answer {
    let allow = response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = match response.body() {
        Body::Empty => Value::Null,
        body => serde_json::from_slice(body).unwrap(),
    };
    Answer { status, allow, body }
}

/// The sample requests: file name and content.
pub fn samples() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/receiver");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()))
        .collect();
    samples.sort();
    samples
}

pub fn sample(name: &str) -> String {
    let found = samples().into_iter().find(|(file, _)| file == name);
    found.unwrap_or_else(|| panic!("there is no sample {name}")).1
}

/// A sample with another body.
pub fn with_body(body: &str) -> String {
    let mut event: Value = serde_json::from_str(&sample("200-whatsapp.json")).unwrap();
    event["body"] = body.into();
    event.to_string()
}

/// A sample with another token in its path.
pub fn with_token(token: &str) -> String {
    sample("200-whatsapp.json").replace(TOKEN, token)
}
