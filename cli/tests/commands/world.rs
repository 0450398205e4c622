use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Deref,
    path::{Path, PathBuf},
    process::Stdio,
};

use emulators::{
    event_bus::EventBus,
    secrets::SecretsManager,
    sqs::{Name, Rules, Sqs},
};
use fixtures::{API_KEY, RecentDeliveries, fingerprint_key};
use serde_json::{Value, json};
use shared::{Received, Undecodable};
use store::{Content, Delivery, ForwardRecords, PublishedCounts};
use tokio::process::Child;

use crate::program::{self, Ended, hooks, project};

/// The secret that the events are signed with.
pub const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A local run, as `hooks dev` leaves it for the commands beside it, with nothing received yet.
pub struct World {
    deliveries: RecentDeliveries,
    pub project: PathBuf,
    pub sqs: Sqs,
    pub event_bus: EventBus,
    pub secrets: SecretsManager,
}

impl Deref for World {
    type Target = RecentDeliveries;

    fn deref(&self) -> &RecentDeliveries {
        &self.deliveries
    }
}

impl World {
    /// Each test has a project folder of its own, by this name.
    pub async fn start(name: &str) -> Self {
        let deliveries = RecentDeliveries::start().await;
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let project = project(&format!("reading/{name}"));
        let event_bus = EventBus::start().await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("forward", SIGNING_SECRET);
        let world = Self { deliveries, project, sqs, event_bus, secrets };
        world.run_in(&world.project);
        world.forward_to("http://127.0.0.1:1/events");
        world
    }

    /// Makes it the local run of a checkout.
    pub fn run_in(&self, project: &Path) {
        program::remember(
            project,
            ("http://127.0.0.1:9000/v1/webhook", "http://127.0.0.1:9001/api"),
            SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            &self.dynamodb,
            &self.sqs,
        );
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

    /// Quarantines a delivery received that many minutes ago, as a program that cannot decode it would.
    pub async fn quarantine(&self, minutes: u64, body: &[u8]) {
        let (bytes, cause) = (body.to_vec(), Undecodable::NotJson.into());
        let content = Content::Quarantined { bytes, cause, content_type: None, content_encoding: None };
        let decoded = Delivery::decode(&self.received(minutes, body), &fingerprint_key());
        self.record_delivery(&Delivery { content, ..decoded }).await;
    }

    /// Holds a delivery received that many minutes ago from an unlisted address.
    pub async fn hold(&self, minutes: u64, source_ip: Option<IpAddr>, body: &str) {
        let received = Received {
            source_ip,
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("br".to_owned()),
            ..self.received(minutes, body.as_bytes())
        };
        self.record_delivery(&Delivery::hold(&received, &fingerprint_key())).await;
    }

    /// Makes the commands reach the table at another URL.
    pub fn reach_dynamodb_by(&self, url: &str) {
        self.change_run(|run| run["dynamodb"] = url.into());
    }

    /// Makes the commands read another sealed table.
    pub fn use_sealed_table(&self, name: &str) {
        self.change_run(|run| run["sealed_table"] = name.into());
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
        self.start_hooks_with(arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_hooks_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        hooks(&self.project, arguments, environment).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    /// Returns the printed lines with minutes in place of times and ids, without frames and repeated blanks.
    pub fn lines(&self, printed: &str) -> Vec<String> {
        let one_blank = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed = self.with_minutes(printed);
        printed.lines().filter(|line| !line.starts_with(['┌', '╞', '└'])).map(one_blank).collect()
    }
}

/// Each line of what was printed, read as JSON.
pub fn objects(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
