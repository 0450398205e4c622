use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

use emulators::dynamodb;
use fixtures::{RecentDeliveries, fingerprint_key, settings};
use inspector::{Actions, Source};
use serde_json::json;
use shared::Received;
use store::{AcceptedTokens, Delivery, ForwardRecords, Reader, RegistrationLedger};

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
        Source {
            reader: Reader::new(client.clone(), table),
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
                sync: Box::new(move |()| {
                    synced.lock().unwrap().push("sync".to_owned());
                    Box::pin(async { Ok(json!({ "outcome": "up_to_date", "registered": "https://a.example/***1" })) })
                }),
            }),
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
