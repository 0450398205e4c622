//! Sync between its peers, and its death at any request to them.
#![allow(clippy::print_stdout, reason = "the counts are the result")]

use std::fmt::Debug;

use emulators::{
    faults::{Faults, Point},
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    runtime_api::Function,
    secrets::SecretsManager,
};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{TOKEN, World};

/// Number of crashes at a time. They spend most of it waiting.
const AT_ONCE: usize = 8;
pub const ADDRESS: &str = "https://hooks.example.com/v1/webhook";

/// The peer that sync waits for when it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Peer {
    DynamoDb,
    Sqs,
    SecretsManager,
    /// The partner API, and the API of the lines.
    Partner,
}

/// The nth request to a peer, at which sync is killed.
pub type Crash = Option<(Peer, usize, Point)>;

/// The world of the receiver, with the peers of sync.
pub struct SyncWorld {
    pub world: World,
    pub partner: Partner,
    pub secrets: SecretsManager,
    to_partner: Faults,
    to_secrets: Faults,
}

impl SyncWorld {
    pub async fn start() -> Self {
        let world = World::start().await;
        let partner = Partner::start().await.unwrap();
        let to_partner = Faults::before(partner.url().trim_end_matches("/api")).await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        let to_secrets = Faults::before(&secrets.url()).await.unwrap();
        Self { world, partner, secrets, to_partner, to_secrets }
    }

    /// Starts sync, with these variables besides the usual ones.
    pub async fn sync(&self, more: &[(&str, &str)]) -> Function {
        let usual = [
            ("PARTNER_API_BASE_URL", format!("{}/api", self.to_partner.url())),
            ("LINE_API_BASE_URL", format!("{}/whatsapp/v2", self.to_partner.url())),
            ("PARTNER_SECRET_ID", "partner".to_owned()),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token".to_owned()),
            ("WEBHOOK_URL", ADDRESS.to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.to_secrets.url()),
            ("DEAD_LETTER_QUEUE_URL", self.world.sqs.dead_letter_queue_url()),
        ];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        self.world.sync(&usual.into_iter().chain(more).collect::<Vec<_>>()).await
    }

    fn peer(&self, peer: Peer) -> &Faults {
        match peer {
            Peer::DynamoDb => &self.world.to_dynamodb,
            Peer::Sqs => &self.world.to_sqs,
            Peer::SecretsManager => &self.to_secrets,
            Peer::Partner => &self.to_partner,
        }
    }

    /// Returns the numbers of requests to the peers since the last call.
    pub fn take_requests<const N: usize>(&self, peers: [Peer; N]) -> [usize; N] {
        peers.map(|peer| self.peer(peer).take_seen().len())
    }

    /// Waits for a run of sync, and kills sync on its way.
    pub async fn run_into<T>(&self, crash: Crash, sync: &Function, run: impl Future<Output = T>) -> T {
        let Some((peer, n, point)) = crash else { return run.await };
        let held = self.peer(peer).hold(n, point);
        let killer = async {
            let holding = held.reached().await;
            sync.kill().await;
            drop(holding);
        };
        tokio::join!(run, killer).0
    }
}

/// Carries out a scenario without a crash, then with a crash before and after each request. A scenario returns the numbers of requests
/// to the peers, and a result. Returns the results of all.
pub async fn killed_anywhere<const N: usize, T: Send + 'static, F>(
    scenario: impl Debug,
    peers: [Peer; N],
    run: impl Fn(Crash) -> F,
) -> Vec<T>
where
    F: Future<Output = ([usize; N], T)> + Send + 'static,
{
    let (requests, result) = run(None).await;
    println!("{scenario:?}: {requests:?} requests to {peers:?}");
    let points = [Point::Before, Point::After];
    let at = |(peer, requests)| (0..requests).flat_map(move |n| points.map(|point| Some((peer, n, point))));
    let crashes: Vec<Crash> = peers.into_iter().zip(requests).flat_map(at).collect();
    println!("{scenario:?}: sync is killed at {} points", crashes.len());
    let runs = stream::iter(crashes).map(async |at| tokio::spawn(run(at)).await.map_err(|_| at));
    let runs: Vec<_> = runs.buffered(AT_ONCE).collect().await;
    let (finished, failed): (Vec<_>, Vec<_>) = runs.into_iter().partition(Result::is_ok);
    let failed: Vec<Crash> = failed.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let results = finished.into_iter().flatten().map(|(_, result)| result);
    std::iter::once(result).chain(results).collect()
}
