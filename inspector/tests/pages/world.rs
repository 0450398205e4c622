use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use emulators::dynamodb::{self, DynamoDb};
use inspector::{Actions, Source};
use serde_json::json;
use shared::{EventId, FingerprintKey, Received, Secret, Timestamp};
use store::{AcceptedTokens, Delivery, ForwardRecords, Reader, Recorder, RegistrationLedger, Settings};

/// Secrets that must never be shown.
pub const API_KEY: &str = "123-456-789";

const DEDUP_WINDOW: Duration = Duration::from_secs(600);

/// A local run with nothing received yet.
pub struct World {
    recorder: Recorder,
    /// Start of the test.
    now: Timestamp,
    dynamodb: DynamoDb,
    /// The actions of the pages, by name.
    pub done: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub async fn start() -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let settings = Settings {
            events_table: dynamodb.events_table().to_owned(),
            sealed_table: dynamodb.sealed_table().to_owned(),
            dedup_window: DEDUP_WINDOW,
            retention: None,
        };
        let recorder = Recorder::new(dynamodb.client(), settings);
        Self { recorder, now: SystemTime::now().into(), dynamodb, done: Arc::default() }
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
            dedup_window: DEDUP_WINDOW,
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

    /// A moment some minutes before the test. The half minute keeps "2 h ago" from becoming 3 while it runs.
    pub fn ago(&self, minutes: u64) -> Timestamp {
        self.now.minus(Duration::from_secs(minutes * 60 + 30))
    }

    /// Returns the id of the delivery received that many minutes ago.
    pub fn id(&self, minutes: u64) -> EventId {
        EventId::new(self.ago(minutes), minutes.to_be_bytes())
    }

    /// Records a delivery received that many minutes ago.
    pub async fn record(&self, minutes: u64, body: &str) {
        self.record_at(self.ago(minutes), self.id(minutes), body).await;
    }

    pub async fn record_at(&self, received_at: Timestamp, id: EventId, body: &str) {
        let received = received(received_at, id, body);
        self.recorder.record(&Delivery::decode(&received, &key())).await.unwrap();
    }

    /// Holds a delivery received that many minutes ago from an unlisted address.
    pub async fn hold(&self, minutes: u64, body: &str) {
        let received = received(self.ago(minutes), self.id(minutes), body);
        self.recorder.record(&Delivery::hold(&received, &key())).await.unwrap();
    }

    /// Records two events of a line, the first one twice, an event of a bot, a body that is no event, and an event of the line
    /// from three days ago.
    pub async fn fill(&self) {
        self.record(4_320, &update(0)).await;
        self.record(50, &update(1)).await;
        self.record(45, &update(1)).await;
        self.record(40, &update(2)).await;
        self.record(30, r#"{"event":"builder","builderID":523,"builder_extra_info":3,"new":{"a":1e2}}"#).await;
        self.record(20, &format!("not JSON {API_KEY}")).await;
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

    /// Returns a text with minutes in place of times and ids, which differ in every run.
    pub fn with_minutes(&self, shown: &str) -> String {
        let mut shown = shown.to_owned();
        for minutes in [4_320, 50, 45, 40, 30, 20] {
            let (id, time) = (self.id(minutes).to_string(), self.ago(minutes).to_string());
            shown = shown
                .replace(&id, &format!("#{minutes}"))
                .replace(&format!("…{}", &id[28..]), &format!("…#{minutes}"))
                .replace(&time, &format!("-{minutes}"))
                .replace(&format!("{}Z", &time[..19]), &format!("-{minutes}"));
        }
        shown
    }
}

fn key() -> FingerprintKey {
    FingerprintKey::new(Secret::new("a key for tests only")).unwrap()
}

fn received(received_at: Timestamp, id: EventId, body: &str) -> Received {
    Received {
        id,
        received_at,
        source_ip: Some(IpAddr::from([34, 165, 99, 212])),
        request_id: "request-1".to_owned(),
        content_type: Some("application/json; charset=utf-8".to_owned()),
        content_encoding: Some("identity".to_owned()),
        body: body.as_bytes().to_vec(),
    }
}

/// A line's update, with an API key.
pub fn update(extra_info: u8) -> String {
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "client-7",
        "whatsapp_extra_info": extra_info, "whatsapp_apiKey": API_KEY,
    })
    .to_string()
}
