use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use emulators::dynamodb;
use fixtures::{RecentDeliveries, fingerprint_key, settings};
use inspector::{Actions, LineReader, Source};
use serde_json::json;
use shared::{EventId, Received};
use store::{AcceptedTokens, Delivery, ForwardRecords, Inventory, Lines, Reader, RegistrationLedger, SealedReader};

/// A local run.
pub struct World {
    deliveries: RecentDeliveries,
    /// The actions of the pages, by name.
    pub done: Arc<Mutex<Vec<String>>>,
}

impl Deref for World {
    type Target = RecentDeliveries;

    fn deref(&self) -> &RecentDeliveries {
        &self.deliveries
    }
}

impl World {
    /// A run with nothing received yet.
    pub async fn start() -> Self {
        Self { deliveries: RecentDeliveries::start().await, done: Arc::default() }
    }

    /// The local run as the pages see it.
    pub fn source(&self) -> Source {
        self.source_by(&self.dynamodb.url())
    }

    /// The same, with its tables reached by a URL.
    pub fn source_by(&self, url: &str) -> Source {
        let (client, table) = (dynamodb::client(url), self.dynamodb.events_table());
        let (sent, synced) = (Arc::clone(&self.done), Arc::clone(&self.done));
        let (read, retried) = (Arc::clone(&self.done), Arc::clone(&self.done));
        Source {
            reader: Reader::new(client.clone(), table),
            lines: LineReader {
                reader: Reader::new(client.clone(), table),
                inventory: Inventory::new(client.clone(), table),
                lines: Lines::new(client.clone(), table),
                // The pages must not look there: it would answer that it does not exist.
                sealed: SealedReader::new(client.clone(), "no-such-table"),
                keeps_lines: true,
            },
            ledger: RegistrationLedger::new(client.clone(), table),
            forward_records: Some(ForwardRecords::new(client, table)),
            dedup_window: settings().dedup_window,
            stack: None,
            arguments: String::new(),
            actions: Some(Actions {
                samples: vec!["package".to_owned(), "whatsapp".to_owned()],
                send: Box::new(move |sample| {
                    sent.lock().unwrap().push(sample);
                    Box::pin(async { Ok((200, json!({ "status": "OK", "id": "id-of-it" }).to_string())) })
                }),
                raw: Box::new(move |id| {
                    read.lock().unwrap().push(format!("raw {id}"));
                    Box::pin(async { Ok(Some(b"not <b>JSON\r\n\x1b[2J".to_vec())) })
                }),
                retry: Box::new(move |id| {
                    retried.lock().unwrap().push(format!("retry {id}"));
                    Box::pin(async { Ok("still undecodable: the body is not JSON".to_owned()) })
                }),
                sync: Box::new(move |()| {
                    synced.lock().unwrap().push("sync".to_owned());
                    Box::pin(async { Ok(json!({ "outcome": "up_to_date", "registered": "https://a.example/***1" })) })
                }),
            }),
        }
    }

    /// Puts as many copies of a recorded delivery beside it, with later ids of the same moment.
    pub async fn repeat(&self, id: &EventId, number: u64) {
        let (client, table) = (self.dynamodb.client(), self.dynamodb.events_table());
        let scan = client.scan().table_name(table).filter_expression("sk = :sk");
        let found = scan.expression_attribute_values(":sk", AttributeValue::S(format!("event#{id}"))).into_paginator();
        let item = found.items().send().next().await.unwrap().unwrap();
        let copies: Vec<WriteRequest> = (1..=number)
            .map(|n| {
                let at = id.received_at().plus(Duration::from_micros(n));
                let copy = EventId::new(at, n.to_be_bytes());
                let shard = format!("{}#{}", &at.to_string()[..7], n % 8);
                let mut item = item.clone();
                for (name, value) in
                    [("sk", format!("event#{copy}")), ("received_at", at.to_string()), ("time_shard", shard)]
                {
                    item.insert(name.to_owned(), AttributeValue::S(value));
                }
                WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().unwrap()).build()
            })
            .collect();
        for copies in copies.chunks(25) {
            client.batch_write_item().request_items(table, copies.to_vec()).send().await.unwrap();
        }
    }

    /// Returns the address of the tables.
    pub fn url(&self) -> String {
        self.dynamodb.url()
    }

    /// Holds a delivery received that many minutes ago from an unlisted address.
    pub async fn hold(&self, minutes: u64, body: &str) {
        let received = Received {
            content_type: Some("application/json; charset=utf-8".to_owned()),
            content_encoding: Some("identity".to_owned()),
            ..self.received(minutes, body.as_bytes())
        };
        self.record_delivery(&Delivery::hold(&received, &fingerprint_key())).await;
    }

    /// Returns the registration's items in the table.
    pub fn ledger(&self) -> RegistrationLedger {
        RegistrationLedger::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    /// Returns the forwarder's records in the table.
    pub fn forward_records(&self) -> ForwardRecords {
        ForwardRecords::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    /// The tokens that the webhook accepts.
    pub fn tokens(&self) -> AcceptedTokens {
        AcceptedTokens::new(self.dynamodb.client(), self.dynamodb.events_table())
    }
}
