use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use emulators::{
    dynamodb::DynamoDb,
    event_bus::EventBus,
    secrets::SecretsManager,
    sqs::{Name, Rules, Sqs},
};
use serde_json::{Value, json};
use shared::{EventId, FingerprintKey, Received, Secret, Timestamp, Undecodable};
use store::{Content, Delivery, ForwardRecords, PublishedCounts, Recorder, Settings};
use tokio::process::Child;

use crate::program::{self, Ended, hooks, project};

pub const LINE: &str = "whatsapp#972501234567";
/// Secrets that must never be shown.
pub const API_KEY: &str = "123-456-789";

/// The secret that the events are signed with.
pub const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A local run, as `hooks dev` leaves it for the commands beside it, with nothing received yet.
pub struct World {
    recorder: Recorder,
    /// Start of the test.
    now: Timestamp,
    pub project: PathBuf,
    dynamodb: DynamoDb,
    pub sqs: Sqs,
    pub event_bus: EventBus,
    pub secrets: SecretsManager,
}

impl World {
    /// Each test has a project folder of its own, by this name.
    pub async fn start(name: &str) -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let settings = Settings {
            events_table: dynamodb.events_table().to_owned(),
            sealed_table: dynamodb.sealed_table().to_owned(),
            dedup_window: Duration::from_secs(600),
            retention: None,
        };
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let project = project(&format!("reading/{name}"));
        let functions = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
        program::remember(
            &project,
            ("http://127.0.0.1:9000/v1/webhook", "http://127.0.0.1:9001/api"),
            functions,
            &dynamodb,
            &sqs,
        );
        let event_bus = EventBus::start().await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("forward", SIGNING_SECRET);
        let recorder = Recorder::new(dynamodb.client(), settings);
        let world = Self { recorder, now: SystemTime::now().into(), project, dynamodb, sqs, event_bus, secrets };
        world.forward_to("http://127.0.0.1:1/events");
        world
    }

    /// Has events forwarded to an endpoint.
    pub fn forward_to(&self, endpoint: &str) {
        self.change_run(|run| {
            run["handing_on"] = json!({
                "event_bridge": self.event_bus.url(),
                "event_bus_name": "hooks",
                "publish_failures_queue_url": self.sqs.url_of(Name::PublishFailures),
                "forward": {
                    "secrets_manager": self.secrets.url(),
                    "forward_url": endpoint,
                    "forward_timeout_seconds": "10",
                    "forward_queue_url": self.sqs.url_of(Name::Forward),
                    "forward_dead_letter_queue_url": self.sqs.url_of(Name::ForwardDeadLetters),
                    "forward_secret_id": "forward",
                },
            });
        });
    }

    /// Has events published and not forwarded.
    pub fn forward_nowhere(&self) {
        self.change_run(|run| run["handing_on"]["forward"] = Value::Null);
    }

    /// Has events neither published nor forwarded.
    pub fn hand_nothing_on(&self) {
        self.change_run(|run| run["handing_on"] = Value::Null);
    }

    fn change_run(&self, change: impl FnOnce(&mut Value)) {
        let file = self.project.join("target/hooks/run.json");
        let mut run = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut run);
        fs::write(file, run.to_string()).unwrap();
    }

    /// The forwarder's records.
    pub fn forward_records(&self) -> ForwardRecords {
        ForwardRecords::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    /// The publisher's counts.
    pub fn published(&self) -> PublishedCounts {
        PublishedCounts::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    /// Its checkout.
    pub fn project(&self) -> &Path {
        &self.project
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
        self.recorder.record(&decoded(&received(received_at, id, body.as_bytes()))).await.unwrap();
    }

    /// Quarantines a delivery received that many minutes ago, as a program that cannot decode it would.
    pub async fn quarantine(&self, minutes: u64, body: &[u8]) {
        let received = received(self.ago(minutes), self.id(minutes), body);
        let (bytes, cause) = (body.to_vec(), Undecodable::NotJson.into());
        let content = Content::Quarantined { bytes, cause, content_type: None, content_encoding: None };
        self.recorder.record(&Delivery { content, ..decoded(&received) }).await.unwrap();
    }

    /// Holds a delivery received that many minutes ago from an unlisted address.
    pub async fn hold(&self, minutes: u64, source_ip: Option<IpAddr>, body: &str) {
        let received = Received {
            source_ip,
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("br".to_owned()),
            ..received(self.ago(minutes), self.id(minutes), body.as_bytes())
        };
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

    /// Makes the commands reach the table at another URL.
    pub fn reach_dynamodb_by(&self, url: &str) {
        self.change_run(|run| run["dynamodb"] = url.into());
    }

    /// Returns the address of the table.
    pub fn dynamodb_url(&self) -> String {
        self.dynamodb.url()
    }

    /// Runs `hooks` with these arguments, and checks that no secret is shown.
    pub async fn hooks(&self, arguments: &[&str]) -> Ended {
        let ended = program::run(hooks(&self.project, arguments, &[])).await;
        assert!(!format!("{ended:?}").contains(API_KEY), "{ended:?}");
        if !arguments.starts_with(&["forward", "secret"]) {
            assert!(!format!("{ended:?}").contains(&SIGNING_SECRET[6..]), "{ended:?}");
        }
        ended
    }

    /// Starts `hooks` with these arguments.
    pub fn start_hooks(&self, arguments: &[&str]) -> Child {
        hooks(&self.project, arguments, &[]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    /// Returns the printed lines with minutes in place of times and ids, which differ in every run; without frames and
    /// repeated blanks.
    pub fn lines(&self, printed: &str) -> Vec<String> {
        let mut printed = printed.to_owned();
        for minutes in [4_320, 50, 45, 40, 30, 20] {
            let (id, time) = (self.id(minutes).to_string(), self.ago(minutes).to_string());
            printed = printed
                .replace(&id, &format!("#{minutes}"))
                .replace(&format!("…{}", &id[28..]), &format!("…#{minutes}"))
                .replace(&time, &format!("-{minutes}"))
                .replace(&format!("{}Z", &time[..19]), &format!("-{minutes}"));
        }
        let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        printed.lines().filter(|line| !line.starts_with(['┌', '╞', '└'])).map(one_blank).collect()
    }
}

/// A call with a body.
pub fn received(received_at: Timestamp, id: EventId, body: &[u8]) -> Received {
    Received {
        id,
        received_at,
        source_ip: Some(IpAddr::from([34, 165, 99, 212])),
        request_id: "request-1".to_owned(),
        content_type: None,
        content_encoding: None,
        body: body.to_vec(),
    }
}

fn decoded(received: &Received) -> Delivery {
    Delivery::decode(received, &key())
}

fn key() -> FingerprintKey {
    FingerprintKey::new(Secret::new("a key for tests only")).unwrap()
}

/// A line's update, with an API key.
pub fn update(extra_info: u8) -> String {
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "client-7",
        "whatsapp_extra_info": extra_info, "whatsapp_apiKey": API_KEY,
    })
    .to_string()
}

/// Each line of what was printed, read as JSON.
pub fn objects(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
