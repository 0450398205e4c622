//! Shared by the store's tests: a world with an embedded DynamoDB, and deliveries.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a failed step should end the test")]

pub mod units;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
    types::AttributeValue,
};
use emulators::dynamodb::DynamoDb;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, EventId, FingerprintKey, Received, Secret, Timestamp, Undecodable};
use store::{
    Content, Delivery, Listing, Order, Quarantine, Reader, Recorder, SealedReader, Settings, State, StoredDelivery,
};

pub const WINDOW: Duration = Duration::from_secs(600);
pub const LINE: &str = "whatsapp#972501234567";

/// Noon of 2026-11-22.
pub fn noon() -> Timestamp {
    "2026-11-22T12:00:00.000000Z".parse().unwrap()
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Keeps the requests that a client sends.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Value>>>);

impl Requests {
    /// Returns the number of requests since the last call.
    pub fn take(&self) -> usize {
        self.take_bodies().len()
    }

    /// Returns the requests since the last call.
    pub fn take_bodies(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "keeps requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request().body().bytes().unwrap_or_default();
        self.0.lock().unwrap().push(serde_json::from_slice(body)?);
        Ok(())
    }
}

pub struct World {
    pub dynamodb: DynamoDb,
    /// A client whose requests are kept.
    pub client: Client,
    pub recorder: Recorder,
    pub reader: Reader,
    pub quarantine: Quarantine,
    pub sealed: SealedReader,
    pub settings: Settings,
    pub requests: Requests,
}

impl World {
    pub async fn start() -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let requests = Requests::default();
        let config = dynamodb.client().config().to_builder().interceptor(requests.clone()).build();
        let client = Client::from_conf(config);
        let settings = Settings {
            events_table: dynamodb.events_table().to_owned(),
            sealed_table: dynamodb.sealed_table().to_owned(),
            dedup_window: WINDOW,
            retention: Some(Duration::from_secs(365 * 24 * 60 * 60)),
        };
        let reader = Reader::new(client.clone(), dynamodb.events_table());
        let sealed = SealedReader::new(client.clone(), dynamodb.sealed_table());
        let quarantine = Quarantine::new(client.clone(), settings.clone());
        let recorder = Recorder::new(client.clone(), settings.clone());
        Self { client, recorder, reader, quarantine, sealed, settings, dynamodb, requests }
    }

    pub async fn state(&self, entity: &str) -> State {
        self.reader.state(&Entity::named(entity)).await.unwrap().unwrap()
    }

    pub async fn history(&self, entity: &str) -> Vec<StoredDelivery> {
        self.reader.history(&Entity::named(entity), &everything()).try_collect().await.unwrap()
    }

    /// Deletes a delivery's item from the events table, as a person may.
    pub async fn delete(&self, delivery: &Delivery) {
        let Content::Event(event) = &delivery.content else { panic!("an event") };
        let delete = self.dynamodb.client().delete_item().table_name("events");
        let delete = delete.key("pk", AttributeValue::S(event.entity.to_string()));
        delete.key("sk", AttributeValue::S(format!("event#{}", delivery.id))).send().await.unwrap();
    }

    /// Returns every item of both tables, in a fixed order.
    pub async fn all_items(&self) -> Vec<String> {
        let mut items = Vec::new();
        for table in ["events", "sealed"] {
            let sorted = |item: HashMap<String, AttributeValue>| item.into_iter().collect::<BTreeMap<_, _>>();
            items.extend(self.items(table).await.into_iter().map(|item| format!("{table} {:?}", sorted(item))));
        }
        items.sort();
        items
    }

    pub async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        self.dynamodb.client().scan().table_name(table).into_paginator().items().send().try_collect().await.unwrap()
    }
}

pub fn everything() -> Listing {
    let times = noon().minus(secs(90 * 24 * 3600))..noon().plus(secs(90 * 24 * 3600));
    Listing { times, order: Order::OldestFirst, after: None, page_size: 1_000 }
}

/// Returns a delivery of a body at a time.
pub fn delivery(at: Timestamp, body: &Value) -> Delivery {
    raw_delivery(at, body.to_string().as_bytes())
}

pub fn raw_delivery(at: Timestamp, body: &[u8]) -> Delivery {
    Delivery::decode(&received(at, body), &fingerprint_key())
}

pub fn fingerprint_key() -> FingerprintKey {
    FingerprintKey::new(Secret::new("a key for tests only")).unwrap()
}

/// Returns a call with a body, at a time.
pub fn received(at: Timestamp, body: &[u8]) -> Received {
    Received {
        id: EventId::new(at, fastrand::u64(..).to_be_bytes()),
        received_at: at,
        source_ip: Some(IpAddr::from([34, 165, 99, 212])),
        request_id: "request-1".to_owned(),
        content_type: None,
        content_encoding: None,
        body: body.to_vec(),
    }
}

/// Returns the same delivery as recorded by a program that could not decode the body.
pub fn undecodable(delivery: &Delivery, body: &[u8]) -> Delivery {
    let (bytes, cause) = (body.to_vec(), Undecodable::NotJson.into());
    let content = Content::Quarantined { bytes, cause, content_type: None, content_encoding: None };
    Delivery { content, ..delivery.clone() }
}

/// Returns a line's update.
pub fn update(extra_info: i64) -> Value {
    json!({"status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "client-7", "whatsapp_extra_info": extra_info})
}
