//! SIGKILL of sync at every request of a pass of the inventory: while it imports everything, and while it rebuilds a missed event and
//! seals a changed key. Sync runs again, as the schedule starts it.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::sync::{Crash, Peer, SyncWorld, killed_anywhere};
use emulators::{
    partner::Call,
    runtime_api::{Function, Outcome},
};
use serde_json::{Value, json};
use shared::Entity;
use store::{Inventory, Origin, Reader, SealedReader, StoredDelivery};

const PEERS: [Peer; 3] = [Peer::DynamoDb, Peer::Sqs, Peer::Partner];

/// The work of the pass that is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    /// Three lines and a bot are imported.
    Import,
    /// A line is missed, and the key of another one has changed.
    Missed,
}

fn line(n: usize, key: &str) -> Value {
    json!({"create_time": 1_735_811_185, "whatsapp": format!("97250000000{n}"), "apiKey": format!("Line-Key-{key}-{n}")})
}

fn entity(n: usize) -> Entity {
    Entity::named(format!("whatsapp#97250000000{n}"))
}

impl SyncWorld {
    async fn with_lists() -> Self {
        let world = Self::start().await;
        world.partner.list(Call::Lines, (0..3).map(|n| line(n, "old")));
        world.partner.list(Call::Builders, [json!({"create_time": 1_735_811_185, "builderID": "523"})]);
        world
    }

    async fn taking_inventory(&self) -> Function {
        self.sync(&[("MISSED_AFTER_MINUTES", "0")]).await
    }

    /// Takes inventory. Returns the report; `None` when the pass did not end.
    async fn inventory(&self, sync: &Function) -> Option<Value> {
        match sync.invoke(&json!({ "action": "inventory" }).to_string()).await.0 {
            Outcome::Answer(report) => Some(report),
            Outcome::Died => None,
            Outcome::Error(error) => panic!("{error}: {:?}", sync.log()),
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
async fn crash(scenario: Scenario, crash: Crash) -> ([usize; 3], ()) {
    let world = SyncWorld::with_lists().await;
    if scenario == Scenario::Missed {
        let sync = world.taking_inventory().await;
        assert_eq!(world.inventory(&sync).await.unwrap()["imported"], 4);
        world.partner.list(Call::Lines, [line(0, "new"), line(1, "old"), line(2, "old"), line(3, "old")]);
    }
    world.take_requests(PEERS);
    let sync = world.taking_inventory().await;
    let report = world.run_into(crash, &sync, world.inventory(&sync)).await;
    assert_eq!(report.is_none(), crash.is_some(), "{scenario:?} {crash:?}");
    let mut missed = report.map_or(0, |report| count(&report["missed"]));
    let requests = world.take_requests(PEERS);
    let inventory = Inventory::new(world.world.dynamodb.client(), world.world.dynamodb.events_table());
    let (_, tracked) = inventory.read().await.unwrap();
    let noted = tracked.get(&entity(3)).is_some_and(|tracked| tracked.as_ref().unwrap().rebuilt_at.is_some());
    // As the schedule does, twice: only the first may have something to finish.
    let sync = world.taking_inventory().await;
    missed += count(&world.inventory(&sync).await.unwrap()["missed"]);
    let last = world.inventory(&sync).await.unwrap();
    assert_eq!(last["outcome"], "up_to_date", "{scenario:?} {crash:?}: {last}");
    check(&world, scenario, crash, &last).await;
    // A finding that a killed run has noted is in no report, but in the table.
    let expected = usize::from(scenario == Scenario::Missed && !(noted && crash.is_some()));
    assert_eq!(missed, expected, "{scenario:?} {crash:?}");
    (requests, ())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_anywhere_is_finished_by_the_next_pass_and_misses_nothing() {
    killed_anywhere(Scenario::Import, PEERS, |at| crash(Scenario::Import, at)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_event_and_a_changed_key_are_recorded_once_wherever_the_pass_is_killed() {
    killed_anywhere(Scenario::Missed, PEERS, |at| crash(Scenario::Missed, at)).await;
}
