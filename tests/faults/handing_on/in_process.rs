//! The publisher and several forwarders in this process, with a clock that only the test advances.

use std::{
    io,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use emulators::sqs::{self, Name};
use forwarder::Forwarder;
use futures_util::future::join_all;
use lambda::{Environment, Metrics};
use publisher::Publisher;
use shared::Timestamp;

use crate::world::{Peer, World};

/// Number of forwarders at once: `MaximumConcurrency` in template.yaml.
const FORWARDERS: usize = 5;

pub struct InProcess {
    pub world: World,
    publisher: Publisher,
    forwarders: Vec<Forwarder>,
    /// Microseconds since 1970.
    now: AtomicI64,
}

impl InProcess {
    pub async fn start() -> Self {
        let world = World::start().await;
        let mut environment = Environment::from([("FORWARD_API_KEYS", "false")]);
        environment.extend(world.environment());
        let urls = [
            ("dynamodb", Peer::DynamoDb),
            ("eventbridge", Peer::Bus),
            ("sqs", Peer::Sqs),
            ("secrets manager", Peer::SecretsManager),
        ]
        .map(|(service, peer)| (service, world.link(peer).url()));
        let urls = urls.each_ref().map(|(service, url)| (*service, url.as_str()));
        let none = Environment::from([]);
        let aws =
            async |patience| emulators::sdk::to_services(&urls, lambda::aws_config(&none, patience).await.unwrap());
        let metrics = || Metrics::read(&none, io::sink()).unwrap();
        let config = publisher::Config::read(&environment).unwrap();
        let publisher = Publisher::new(config, &aws(publisher::AWS).await, metrics());
        let aws = aws(forwarder::AWS).await;
        let forwarder = || Forwarder::new(forwarder::Config::read(&environment).unwrap(), &aws, metrics());
        let forwarders = (0..FORWARDERS).map(|_| forwarder()).collect();
        let started = Self { world, publisher, forwarders, now: AtomicI64::new(fixtures::noon().as_micros()) };
        started.pass(Duration::ZERO);
        started
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Lets time pass for the functions and for the forward queue.
    pub fn pass(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
        self.world.sqs.set_time(self.now().as_micros() / 1_000);
        self.world.sqs.pass(Name::Forward, time);
    }

    /// Records the next event of an entity, received at the time of the clock.
    pub async fn record(&self, entity: usize) -> String {
        // No two at the same moment, so that ids have the order of recording.
        self.now.fetch_add(1, Ordering::Relaxed);
        self.world.record_at(entity, self.now()).await.to_string()
    }

    /// Runs the stream's mapping once. Returns false when the stream has nothing new.
    pub async fn publish_round(&self) -> bool {
        let Some(batch) = self.world.batch() else { return false };
        let batch = serde_json::from_value(batch).unwrap();
        let answer = serde_json::to_value(self.publisher.handle(batch, || self.now()).await).unwrap();
        self.world.settle(Some(&answer));
        true
    }

    pub async fn publish_all(&self) {
        while self.publish_round().await {}
    }

    /// Lets the forwarders work until the queue shows no message.
    pub async fn forward_visible(&self) {
        let run = async |forwarder: &Forwarder| {
            let mut rounds = 0;
            loop {
                let taken = self.world.sqs.take_from(Name::Forward, 1);
                if taken.is_empty() {
                    return rounds;
                }
                let batch = serde_json::from_value(sqs::event(&taken)).unwrap();
                let answer = forwarder.handle(&batch, &|| self.now()).await;
                self.world.sqs.settle(&taken, Some(&serde_json::to_value(answer).unwrap()));
                rounds += 1;
            }
        };
        // One that finds nothing ends, perhaps before another has made a group free.
        while join_all(self.forwarders.iter().map(run)).await.iter().sum::<usize>() > 0 {}
    }

    /// Returns the shortest time until the queue shows a message again; `None` when it is empty.
    pub fn next_visible(&self) -> Option<Duration> {
        self.world.sqs.hidden_in(Name::Forward).into_iter().filter(|hidden| !hidden.is_zero()).min()
    }

    /// Lets time pass until the forward queue is empty, and returns how much. Each message is tried when the queue shows it again.
    pub async fn forward_all(&self) -> Duration {
        let mut passed = Duration::ZERO;
        loop {
            self.publish_all().await;
            self.forward_visible().await;
            let Some(wait) = self.next_visible() else { return passed };
            // A little more, so that what shows at about the same time shows at once.
            let wait = wait + Duration::from_secs(1);
            self.pass(wait);
            passed += wait;
        }
    }
}
