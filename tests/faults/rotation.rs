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

use common::{TOKEN, World, call_with_token, send, update};
use emulators::{
    cloudformation::CloudFormation,
    faults::{Faults, Point},
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    runtime_api::{Function, Outcome},
    secrets::SecretsManager,
};
use futures_util::TryStreamExt;
use futures_util::{StreamExt, stream};
use serde_json::json;
use shared::{Timestamp, TokenHash};
use store::{AcceptedTokens, Change, ChangeKind, Listing, Order, RegistrationLedger};

/// Number of crashes at a time. They spend most of it waiting, for receivers to learn of a token or for a lease to expire.
const AT_ONCE: usize = 8;
const ADDRESS: &str = "https://hooks.example.com/v1/webhook";
const BEFORE: &str = "https://before.example/in";

/// The peer that sync waits for when it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    DynamoDb,
    SecretsManager,
    Partner,
}

const PEERS: [Peer; 3] = [Peer::DynamoDb, Peer::SecretsManager, Peer::Partner];

/// The nth request to a peer, at which sync is killed.
type Crash = Option<(Peer, usize, Point)>;

/// The work of sync when it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    Rotation,
    Repair,
}

/// The world of the receiver, with the peers of sync.
struct SyncWorld {
    world: World,
    partner: Partner,
    to_partner: Faults,
    secrets: SecretsManager,
    to_secrets: Faults,
}

impl SyncWorld {
    /// Our URL is registered, and the state says so.
    async fn start() -> Self {
        let started = Self::before_ours().await;
        let sync = started.sync().await;
        assert_eq!(started.run(&sync, "sync").await, Some("updated".to_owned()));
        started
    }

    /// No URL is registered yet.
    async fn before_ours() -> Self {
        let world = World::start().await;
        let partner = Partner::start().await.unwrap();
        let to_partner = Faults::before(partner.url().trim_end_matches("/api")).await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        let to_secrets = Faults::before(&secrets.url()).await.unwrap();
        Self { world, partner, to_partner, secrets, to_secrets }
    }

    async fn sync(&self) -> Function {
        let more = [
            ("PARTNER_API_BASE_URL", format!("{}/api", self.to_partner.url())),
            ("PARTNER_SECRET_ID", "partner".to_owned()),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token".to_owned()),
            ("WEBHOOK_URL", ADDRESS.to_owned()),
            // The token of this world is as old as the year.
            ("TOKEN_MAX_AGE_DAYS", "0".to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.to_secrets.url()),
        ];
        self.world.sync(&more).await
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

    fn peer(&self, peer: Peer) -> &Faults {
        match peer {
            Peer::DynamoDb => &self.world.to_dynamodb,
            Peer::SecretsManager => &self.to_secrets,
            Peer::Partner => &self.to_partner,
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
    let world = Arc::new(SyncWorld::start().await);
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
    for peer in PEERS {
        world.peer(peer).take_seen();
    }
    let sync = world.sync().await;
    match crash {
        None => assert_eq!(world.run(&sync, action).await.as_deref(), Some("updated")),
        Some((peer, n, point)) => {
            let held = world.peer(peer).hold(n, point);
            let killer = async {
                let holding = held.reached().await;
                sync.kill().await;
                drop(holding);
            };
            let (outcome, ()) = tokio::join!(world.run(&sync, action), killer);
            assert_eq!(outcome, None, "{scenario:?} {crash:?}: not killed");
        }
    }
    let requests = PEERS.map(|peer| world.peer(peer).take_seen().len());
    // As the schedule does, twice: only the first may have something to finish.
    let sync = world.sync().await;
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

/// Returns a crash before and after each request.
fn crashes_at(requests: [usize; 3]) -> Vec<Crash> {
    let points = [Point::Before, Point::After];
    let at = |(peer, requests)| (0..requests).flat_map(move |n| points.map(|point| Some((peer, n, point))));
    PEERS.into_iter().zip(requests).flat_map(at).collect()
}

async fn killed_anywhere(scenario: Scenario) {
    let (requests, sent) = crash(scenario, None).await;
    println!("{scenario:?}: {requests:?} requests to {PEERS:?}, {sent} events sent meanwhile");
    let crashes = crashes_at(requests);
    let count = crashes.len();
    let runs = stream::iter(crashes).map(async |at| tokio::spawn(crash(scenario, at)).await.map_err(|_| at));
    let runs: Vec<_> = runs.buffered(AT_ONCE).collect().await;
    let sent: usize = runs.iter().flatten().map(|(_, sent)| sent).sum();
    println!("{scenario:?}: sync was killed at {count} points; {sent} events were sent meanwhile, none was refused");
    let failed: Vec<_> = runs.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_killed_anywhere_registers_no_url_that_the_receiver_refuses_and_is_finished_by_the_schedule() {
    killed_anywhere(Scenario::Rotation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_killed_anywhere_registers_no_url_that_the_receiver_refuses_and_is_finished_by_the_schedule() {
    killed_anywhere(Scenario::Repair).await;
}

/// Kills sync while a stack is created, and deletes the stack. Returns the number of requests of the creation to each peer.
async fn creation(crash: Crash) -> [usize; 3] {
    let world = SyncWorld::before_ours().await;
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
    let sync = world.sync().await;
    match crash {
        None => {
            let (outcome, _) = sync.invoke(&request("Create")).await;
            assert!(matches!(outcome, Outcome::Answer(_)), "{outcome:?}");
        }
        Some((peer, n, point)) => {
            let held = world.peer(peer).hold(n, point);
            let create = request("Create");
            let killer = async {
                let holding = held.reached().await;
                sync.kill().await;
                drop(holding);
            };
            let ((outcome, _), ()) = tokio::join!(sync.invoke(&create), killer);
            assert!(matches!(outcome, Outcome::Died), "{crash:?}: not killed");
        }
    }
    let requests = PEERS.map(|peer| world.peer(peer).take_seen().len());
    let sync = world.sync().await;
    let (outcome, _) = sync.invoke(&request("Delete")).await;
    assert!(matches!(outcome, Outcome::Answer(_)), "{crash:?}: {outcome:?}");
    assert_eq!(world.partner.registered().as_deref(), Some(BEFORE), "{crash:?}");
    for late in [json!({ "action": "sync" }).to_string(), request("Create")] {
        let (Outcome::Error(error), _) = sync.invoke(&late).await else { panic!("{crash:?}: {late}") };
        assert_eq!(error["errorType"], "StackDeleted", "{crash:?}");
    }
    assert_eq!(world.partner.registered().as_deref(), Some(BEFORE), "{crash:?}");
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_killed_anywhere_leaves_nothing_that_the_deletion_does_not_put_back() {
    let requests = creation(None).await;
    println!("Creation: {requests:?} requests to {PEERS:?}");
    let crashes = crashes_at(requests);
    let count = crashes.len();
    let runs = stream::iter(crashes).map(async |at| tokio::spawn(creation(at)).await.map_err(|_| at));
    let failed: Vec<_> = runs.buffered(AT_ONCE).filter_map(async |run| run.err()).collect().await;
    println!("Creation: sync was killed at {count} points");
    assert!(failed.is_empty(), "{failed:?}");
}
