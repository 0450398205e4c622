//! SIGKILL of sync at every request of a rotation, of a repair and of a stack's creation. After a rotation or a repair sync runs
//! again, as the schedule starts it, and a client sends events to the registered URL all the time. After a creation the stack is
//! deleted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the counts are the result"
)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    TOKEN, call_with_token, send,
    sync::{ADDRESS, Crash, Peer, SyncWorld, killed_anywhere},
    update,
};
use emulators::{
    cloudformation::CloudFormation,
    runtime_api::{Function, Outcome},
};
use futures_util::TryStreamExt;
use serde_json::json;
use shared::{Timestamp, TokenHash};
use store::{AcceptedTokens, Change, ChangeKind, Listing, Order, RegistrationLedger};

const BEFORE: &str = "https://before.example/in";

const PEERS: [Peer; 3] = [Peer::DynamoDb, Peer::SecretsManager, Peer::Partner];

/// The work of sync when it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    Rotation,
    Repair,
}

impl SyncWorld {
    /// Our URL is registered, and the state says so.
    async fn registered() -> Self {
        let started = Self::start().await;
        let sync = started.keeping().await;
        assert_eq!(started.run(&sync, "sync").await, Some("updated".to_owned()));
        started
    }

    async fn keeping(&self) -> Function {
        // The token of this world is as old as the year.
        self.sync(&[("TOKEN_MAX_AGE_DAYS", "0")]).await
    }

    /// Runs an action. Returns its outcome; `None` when it did not end.
    async fn run(&self, sync: &Function, action: &str) -> Option<String> {
        match sync.invoke(&json!({ "action": action }).to_string()).await.0 {
            Outcome::Answer(report) => {
                assert_eq!(report["verified"], true, "{report}");
                Some(report["outcome"].as_str().unwrap().to_owned())
            }
            Outcome::Died => None,
            Outcome::Error(error) => panic!("{error}: {:?}", sync.log()),
        }
    }

    /// The token in the registered URL, if that is ours.
    fn registered_token(&self) -> Option<String> {
        Some(self.partner.registered()?.strip_prefix(&format!("{ADDRESS}/"))?.to_owned())
    }

    async fn changes(&self) -> Vec<Change> {
        let ledger = RegistrationLedger::new(self.world.dynamodb.client(), self.world.dynamodb.events_table());
        let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: 100 };
        ledger.changes(&listing).try_collect().await.unwrap()
    }

    async fn is_accepted(&self, token: &str, at: Timestamp) -> bool {
        let accepted = AcceptedTokens::new(self.world.dynamodb.client(), self.world.dynamodb.events_table());
        accepted.read().await.unwrap().iter().any(|accepted| accepted.lets_in(&TokenHash::of(token), at))
    }
}

/// Sends events to the registered URL until it is told to stop, and returns their number. Fails when one is refused.
async fn client(world: Arc<SyncWorld>, receiver: Function, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        if let Some(token) = world.registered_token() {
            let answer = send(&receiver, &call_with_token(&update(0, sent), &token)).await;
            assert_eq!(answer.status, Some(200), "the {sent}th event was refused");
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sent
}

/// Kills sync on its way, and lets it run again. Returns the numbers of requests to each peer and of events sent.
async fn crash(scenario: Scenario, crash: Crash) -> ([usize; 3], usize) {
    let world = Arc::new(SyncWorld::registered().await);
    // Not behind the peers' faults: only the receiver may refuse the client.
    let receiver = world.world.receiver_with_dynamodb(&world.world.dynamodb.url()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(client(Arc::clone(&world), receiver, Arc::clone(&stop)));
    let action = match scenario {
        Scenario::Rotation => "rotate",
        Scenario::Repair => {
            world.partner.register(Some("https://other.example/in"));
            "sync"
        }
    };
    world.take_requests(PEERS);
    let sync = world.keeping().await;
    let outcome = world.run_into(crash, &sync, world.run(&sync, action)).await;
    assert_eq!(outcome.as_deref(), crash.is_none().then_some("updated"), "{scenario:?} {crash:?}");
    let requests = world.take_requests(PEERS);
    // As the schedule does, twice: only the first may have something to finish.
    let sync = world.keeping().await;
    world.run(&sync, "sync").await.unwrap();
    assert_eq!(world.run(&sync, "sync").await.as_deref(), Some("up_to_date"), "{scenario:?} {crash:?}");
    stop.store(true, Ordering::Relaxed);
    let sent = client.await.unwrap();
    check(&world, scenario, crash).await;
    (requests, sent)
}

async fn check(world: &SyncWorld, scenario: Scenario, crash: Crash) {
    let at = format!("{scenario:?} {crash:?}");
    let current = world.secrets.staged("webhook-token", "AWSCURRENT");
    assert_eq!(world.registered_token(), current, "{at}: the registered token is the one in use");
    let current = current.unwrap();
    let now = Timestamp::from(std::time::SystemTime::now());
    let in_days = |days: u64| now.plus(Duration::from_secs(days * 86_400));
    assert!(world.is_accepted(&current, in_days(3650)).await, "{at}");
    let changes = world.changes().await;
    let of = |kind| changes.iter().filter(|change| change.kind == kind).count();
    assert_eq!((of(ChangeKind::Failed), of(ChangeKind::NotVerified), of(ChangeKind::Contested)), (0, 0, 0), "{at}");
    match scenario {
        Scenario::Rotation => {
            assert_eq!(of(ChangeKind::Drift), 0, "{at}: it was ours all the time: {changes:?}");
            assert_eq!(of(ChangeKind::Rotated), usize::from(current != TOKEN), "{at}: {changes:?}");
            assert!(world.secrets.values("webhook-token").len() <= 2, "{at}: one new token is enough");
            if current != TOKEN {
                assert!(world.is_accepted(TOKEN, now).await && !world.is_accepted(TOKEN, in_days(2)).await, "{at}");
            }
        }
        Scenario::Repair => {
            // Killed between a look and its record, it does not know what it has repaired.
            let (drift, mended) = (of(ChangeKind::Drift), of(ChangeKind::Repaired) + of(ChangeKind::Returned));
            assert_eq!((drift, mended), (1, 1), "{at}: {changes:?}");
        }
    }
}

async fn rotation_killed_anywhere(scenario: Scenario) {
    let sent = killed_anywhere(scenario, PEERS, |at| crash(scenario, at)).await;
    println!("{scenario:?}: {} events were sent meanwhile, none was refused", sent.into_iter().sum::<usize>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_killed_anywhere_registers_no_url_that_the_receiver_refuses_and_is_finished_by_the_schedule() {
    rotation_killed_anywhere(Scenario::Rotation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_killed_anywhere_registers_no_url_that_the_receiver_refuses_and_is_finished_by_the_schedule() {
    rotation_killed_anywhere(Scenario::Repair).await;
}

/// Kills sync while a stack is created, and deletes the stack. Returns the number of requests of the creation to each peer.
async fn creation(crash: Crash) -> ([usize; 3], ()) {
    let world = SyncWorld::start().await;
    world.partner.register(Some(BEFORE));
    let cloudformation = CloudFormation::start().await.unwrap();
    let request = |kind: &str| {
        json!({
            "RequestType": kind, "ResponseURL": cloudformation.response_url(), "RequestId": kind,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/hooks/1",
            "LogicalResourceId": "Registration", "ResourceProperties": { "RegisterOnDeploy": "true" },
        })
        .to_string()
    };
    let sync = world.keeping().await;
    let create = request("Create");
    let (outcome, _) = world.run_into(crash, &sync, sync.invoke(&create)).await;
    let expected =
        if crash.is_none() { matches!(outcome, Outcome::Answer(_)) } else { matches!(outcome, Outcome::Died) };
    assert!(expected, "{crash:?}: {outcome:?}");
    let requests = world.take_requests(PEERS);
    let sync = world.keeping().await;
    let (outcome, _) = sync.invoke(&request("Delete")).await;
    assert!(matches!(outcome, Outcome::Answer(_)), "{crash:?}: {outcome:?}");
    assert_eq!(world.partner.registered().as_deref(), Some(BEFORE), "{crash:?}");
    for late in [json!({ "action": "sync" }).to_string(), request("Create")] {
        let (Outcome::Error(error), _) = sync.invoke(&late).await else { panic!("{crash:?}: {late}") };
        assert_eq!(error["errorType"], "StackDeleted", "{crash:?}");
    }
    assert_eq!(world.partner.registered().as_deref(), Some(BEFORE), "{crash:?}");
    (requests, ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_killed_anywhere_leaves_nothing_that_the_deletion_does_not_put_back() {
    killed_anywhere("Creation", PEERS, creation).await;
}
