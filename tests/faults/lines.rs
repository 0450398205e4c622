//! SIGKILL of sync at every request of a pass over the lines: while it sets the webhooks of new lines, and while it replaces an
//! outdated URL of ours. Sync runs again, as the schedule starts it.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::sync::{Crash, Peer, SyncWorld, killed_anywhere};
use emulators::{
    partner::Call,
    runtime_api::{Function, Outcome},
};
use fixtures::FINGERPRINT_KEY;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, EventId, FingerprintKey, Received, Secret, Timestamp};
use store::{Delivery, LineAction, LineStatus, Lines, Listing, Order, PAGE, Recorder, Settings};

const OLD: &str = "https://old.example/{whatsapp}/Line-Secret-0123456789";
const NEW: &str = "https://bot.example/{whatsapp}/Line-Secret-0123456789";
const FOREIGN: &str = "https://other.example/in/Foreign-Token-9876543210";
/// The line with a foreign URL.
const TAKEN: usize = 2;

const PEERS: [Peer; 2] = [Peer::DynamoDb, Peer::Partner];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    /// Two lines are new, and one has a foreign URL.
    New,
    /// The configured URL changes.
    Outdated,
}

fn number(n: usize) -> String {
    format!("97250000000{n}")
}

fn entity(n: usize) -> Entity {
    Entity::named(format!("whatsapp#{}", number(n)))
}

impl SyncWorld {
    async fn with_lines() -> Self {
        let started = Self::start().await;
        let (world, partner) = (&started.world, &started.partner);
        let settings = Settings {
            events_table: world.dynamodb.events_table().to_owned(),
            sealed_table: world.dynamodb.sealed_table().to_owned(),
            dedup_window: Duration::from_secs(600),
            retention: None,
        };
        let recorder = Recorder::new(world.dynamodb.client(), settings);
        let key = FingerprintKey::new(Secret::new(FINGERPRINT_KEY)).unwrap();
        for n in 0..3 {
            let api_key = format!("Line-Key-{n}");
            partner.onboard(&number(n), None, &api_key);
            let received_at: Timestamp = "2026-11-22T12:00:00.000000Z".parse().unwrap();
            let body = json!({"status": "OK", "event": "whatsapp", "whatsapp": number(n), "whatsapp_apiKey": api_key});
            let received = Received {
                id: EventId::new(received_at, [0; 8]),
                received_at,
                source_ip: None,
                request_id: "request-1".to_owned(),
                content_type: None,
                content_encoding: None,
                body: body.to_string().into_bytes(),
            };
            recorder.record(&Delivery::decode(&received, &key)).await.unwrap();
        }
        partner.register_line(&number(TAKEN), Some(FOREIGN));
        started
    }

    async fn setting(&self, url: &str) -> Function {
        self.sync(&[("LINE_WEBHOOK_URL", url)]).await
    }

    /// Carries out a pass. Returns the report; `None` when the pass did not end.
    async fn pass(&self, sync: &Function) -> Option<Value> {
        let outcome = sync.invoke(&json!({ "action": "lines" }).to_string()).await.0;
        let log = sync.log().join("\n");
        for secret in ["Line-Key", "Line-Secret", "Foreign-Token", FINGERPRINT_KEY] {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
        match outcome {
            Outcome::Answer(report) => {
                assert!(
                    !["Line-Key", "Line-Secret", "Foreign"].iter().any(|secret| report.to_string().contains(secret))
                );
                Some(report)
            }
            Outcome::Died => None,
            Outcome::Error(error) => panic!("{error}: {log}"),
        }
    }
}

/// Kills sync on its way, and lets it run again. Returns the numbers of requests to each peer.
async fn crash(scenario: Scenario, crash: Crash) -> ([usize; 2], ()) {
    let world = SyncWorld::with_lines().await;
    if scenario == Scenario::Outdated {
        world.pass(&world.setting(OLD).await).await.unwrap();
        world.partner.take_line_calls();
    }
    world.take_requests(PEERS);
    let sync = world.setting(NEW).await;
    let report = world.run_into(crash, &sync, world.pass(&sync)).await;
    assert_eq!(report.is_none(), crash.is_some(), "{scenario:?} {crash:?}");
    let requests = world.take_requests(PEERS);
    // As the schedule does, twice: only the first may have something to finish.
    let sync = world.setting(NEW).await;
    world.pass(&sync).await.unwrap();
    let last = world.pass(&sync).await.unwrap();
    assert_eq!((&last["outcome"], &last["left"]), (&json!("up_to_date"), &json!(0)), "{scenario:?} {crash:?}: {last}");
    check(&world, scenario, crash).await;
    (requests, ())
}

async fn check(world: &SyncWorld, scenario: Scenario, crash: Crash) {
    let at = format!("{scenario:?} {crash:?}");
    let lines = Lines::new(world.world.dynamodb.client(), world.world.dynamodb.events_table());
    let calls = world.partner.take_line_calls();
    let urls = calls.iter().filter(|call| call.call == Call::LineSet).map(|call| (&call.number, call.url.as_deref()));
    let (urls, sets): (BTreeSet<_>, usize) = (urls.clone().collect(), urls.count());
    assert_eq!(urls.len(), 2, "{at}: each line has one URL: {urls:?}");
    assert!(sets <= 3, "{at}: a set that was carried out is not made again: {sets}");
    for n in 0..3 {
        let record = lines.get(&entity(n)).await.unwrap().unwrap();
        let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: PAGE };
        let history: Vec<_> = lines.history(&entity(n), &listing).try_collect().await.unwrap();
        let set = history.iter().filter(|change| change.action == LineAction::Set).count();
        assert_eq!(record.lease, None, "{at}: line {n}");
        if n == TAKEN {
            assert_eq!((record.status, set, history.len()), (LineStatus::Foreign, 0, 1), "{at}");
            assert_eq!(world.partner.line(&number(n)).unwrap().url, FOREIGN, "{at}");
        } else {
            let expected = if scenario == Scenario::Outdated { 2 } else { 1 };
            assert_eq!((record.status, set), (LineStatus::Live, expected), "{at}: line {n}: {history:?}");
            assert_eq!(history.len(), 2 * expected, "{at}: line {n}: {history:?}");
            assert_eq!(world.partner.line(&number(n)).unwrap().url, NEW.replace("{whatsapp}", &number(n)), "{at}");
        }
    }
    let items = format!("{:?}", world.world.items("events").await);
    for secret in ["Line-Key", "Line-Secret", "Foreign-Token"] {
        assert!(!items.contains(secret), "{at}: {secret} is in the events table");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_lines_are_set_to_one_url_each_wherever_the_pass_is_killed() {
    killed_anywhere(Scenario::New, PEERS, |at| crash(Scenario::New, at)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_url_is_replaced_by_a_single_new_one_wherever_the_pass_is_killed() {
    killed_anywhere(Scenario::Outdated, PEERS, |at| crash(Scenario::Outdated, at)).await;
}
