//! SIGKILL of sync at every request of a pass of the inventory: while it imports everything, and while it rebuilds a missed event and
//! seals a changed key. Sync runs again, as the schedule starts it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the counts are the result"
)]

mod common;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{TOKEN, World};
use emulators::{
    faults::{Faults, Point},
    partner::{CLIENT_ID, CLIENT_SECRET, Call, Partner},
    runtime_api::{Function, Outcome},
    secrets::SecretsManager,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use shared::Entity;
use store::{Inventory, Origin, Reader, SealedReader, StoredDelivery};

/// Number of crashes at a time.
const AT_ONCE: usize = 8;

/// The peer that sync waits for when it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    DynamoDb,
    Sqs,
    Partner,
}

const PEERS: [Peer; 3] = [Peer::DynamoDb, Peer::Sqs, Peer::Partner];

/// The nth request to a peer, at which sync is killed.
type Crash = Option<(Peer, usize, Point)>;

/// The work of the pass that is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    /// Three lines and a bot are imported.
    Import,
    /// A line is missed, and the key of another one has changed.
    Missed,
}

struct SyncWorld {
    world: World,
    partner: Partner,
    to_partner: Faults,
    secrets: SecretsManager,
}

fn line(n: usize, key: &str) -> Value {
    json!({"create_time": 1_735_811_185, "whatsapp": format!("97250000000{n}"), "apiKey": format!("Line-Key-{key}-{n}")})
}

fn entity(n: usize) -> Entity {
    Entity::named(format!("whatsapp#97250000000{n}"))
}

impl SyncWorld {
    async fn start() -> Self {
        let world = World::start().await;
        let partner = Partner::start().await.unwrap();
        let to_partner = Faults::before(partner.url().trim_end_matches("/api")).await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        partner.list(Call::Lines, (0..3).map(|n| line(n, "old")));
        partner.list(Call::Builders, [json!({"create_time": 1_735_811_185, "builderID": "523"})]);
        Self { world, partner, to_partner, secrets }
    }

    async fn sync(&self) -> Function {
        let more = [
            ("PARTNER_API_BASE_URL", format!("{}/api", self.to_partner.url())),
            ("PARTNER_SECRET_ID", "partner".to_owned()),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token".to_owned()),
            ("WEBHOOK_URL", "https://hooks.example.com/v1/webhook".to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets.url()),
            ("DEAD_LETTER_QUEUE_URL", self.world.sqs.dead_letter_queue_url()),
            ("MISSED_AFTER_MINUTES", "0".to_owned()),
        ];
        self.world.sync(&more).await
    }

    /// Takes inventory. Returns the report; `None` when the pass did not end.
    async fn inventory(&self, sync: &Function) -> Option<Value> {
        match sync.invoke(&json!({ "action": "inventory" }).to_string()).await.0 {
            Outcome::Answer(report) => Some(report),
            Outcome::Died => None,
            Outcome::Error(error) => panic!("{error}: {:?}", sync.log()),
        }
    }

    fn peer(&self, peer: Peer) -> &Faults {
        match peer {
            Peer::DynamoDb => &self.world.to_dynamodb,
            Peer::Sqs => &self.world.to_sqs,
            Peer::Partner => &self.to_partner,
        }
    }

    async fn history(&self, entity: &Entity) -> Vec<StoredDelivery> {
        let reader = Reader::new(self.world.dynamodb.client(), self.world.dynamodb.events_table());
        self.world.history(&reader, entity).await
    }

    async fn api_key(&self, entity: &Entity) -> Option<String> {
        let sealed = SealedReader::new(self.world.dynamodb.client(), self.world.dynamodb.sealed_table());
        sealed.api_key(entity).await.unwrap().map(|key| key.api_key.expose().to_owned())
    }

    async fn events_table(&self) -> Vec<HashMap<String, AttributeValue>> {
        let table = self.world.dynamodb.events_table();
        self.world.dynamodb.client().scan().table_name(table).send().await.unwrap().items.unwrap()
    }
}

/// Kills sync on its way, and lets it run again. Returns the numbers of requests to each peer.
async fn crash(scenario: Scenario, crash: Crash) -> [usize; 3] {
    let world = SyncWorld::start().await;
    if scenario == Scenario::Missed {
        let sync = world.sync().await;
        assert_eq!(world.inventory(&sync).await.unwrap()["imported"], 4);
        world.partner.list(Call::Lines, [line(0, "new"), line(1, "old"), line(2, "old"), line(3, "old")]);
    }
    for peer in PEERS {
        world.peer(peer).take_seen();
    }
    let sync = world.sync().await;
    let mut missed = 0;
    match crash {
        None => missed += count(&world.inventory(&sync).await.unwrap()["missed"]),
        Some((peer, n, point)) => {
            let held = world.peer(peer).hold(n, point);
            let killer = async {
                let holding = held.reached().await;
                sync.kill().await;
                drop(holding);
            };
            let (report, ()) = tokio::join!(world.inventory(&sync), killer);
            assert_eq!(report, None, "{scenario:?} {crash:?}: not killed");
        }
    }
    let requests = PEERS.map(|peer| world.peer(peer).take_seen().len());
    let inventory = Inventory::new(world.world.dynamodb.client(), world.world.dynamodb.events_table());
    let (_, tracked) = inventory.read().await.unwrap();
    let noted = tracked.get(&entity(3)).is_some_and(|tracked| tracked.rebuilt_at.is_some());
    // As the schedule does, twice: only the first may have something to finish.
    let sync = world.sync().await;
    missed += count(&world.inventory(&sync).await.unwrap()["missed"]);
    let last = world.inventory(&sync).await.unwrap();
    assert_eq!(last["outcome"], "up_to_date", "{scenario:?} {crash:?}: {last}");
    check(&world, scenario, crash, &last).await;
    // A finding that a killed run has noted is in no report, but in the table.
    let expected = usize::from(scenario == Scenario::Missed && !(noted && crash.is_some()));
    assert_eq!(missed, expected, "{scenario:?} {crash:?}");
    requests
}

fn count(findings: &Value) -> usize {
    findings.as_array().unwrap().len()
}

async fn check(world: &SyncWorld, scenario: Scenario, crash: Crash, report: &Value) {
    let at = format!("{scenario:?} {crash:?}");
    assert_eq!((count(&report["gone"]), count(&report["waiting"])), (0, 0), "{at}: {report}");
    let lines = if scenario == Scenario::Missed { 4 } else { 3 };
    assert_eq!(report["known"], lines + 1, "{at}");
    for n in 0..lines {
        let is_rekeyed = scenario == Scenario::Missed && n == 0;
        let history = world.history(&entity(n)).await;
        assert_eq!(history.len(), if is_rekeyed { 2 } else { 1 }, "{at}: line {n}");
        assert!(history.iter().all(|event| event.origin == Origin::Reconciled && event.duplicate_of.is_none()), "{at}");
        let key = format!("Line-Key-{}-{n}", if is_rekeyed { "new" } else { "old" });
        assert_eq!(world.api_key(&entity(n)).await, Some(key), "{at}: line {n}");
    }
    world.world.check_states().await;
    assert!(!format!("{:?}", world.events_table().await).contains("Line-Key"), "{at}");
}

async fn killed_anywhere(scenario: Scenario) {
    let requests = crash(scenario, None).await;
    println!("{scenario:?}: {requests:?} requests to {PEERS:?}");
    let points = [Point::Before, Point::After];
    let at = |(peer, requests)| (0..requests).flat_map(move |n| points.map(|point| Some((peer, n, point))));
    let crashes: Vec<Crash> = PEERS.into_iter().zip(requests).flat_map(at).collect();
    let count = crashes.len();
    let runs = stream::iter(crashes).map(async |at| tokio::spawn(crash(scenario, at)).await.map_err(|_| at));
    let failed: Vec<_> = runs.buffered(AT_ONCE).filter_map(async |run| run.err()).collect().await;
    println!("{scenario:?}: sync was killed at {count} points");
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_anywhere_is_finished_by_the_next_pass_and_misses_nothing() {
    killed_anywhere(Scenario::Import).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_event_and_a_changed_key_are_recorded_once_wherever_the_pass_is_killed() {
    killed_anywhere(Scenario::Missed).await;
}
