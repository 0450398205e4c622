//! The peers of the publisher and the forwarder, each behind a proxy that misbehaves on command, and what must hold in the end.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    dynamodb::DynamoDb,
    endpoint::Endpoint,
    event_bus::EventBus,
    faults::Faults,
    runtime_api::{Function, Outcome, Setup},
    secrets::SecretsManager,
    sqs::{self, Name, Rules, Sqs},
    table_stream::StreamMapping,
};
use outbound::ForwardMessage;
use serde_json::{Value, json};
use shared::{EventId, Timestamp};
use store::{Delivery, Recorder};

pub const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A part of every API key that is recorded, by which a leaked key is found.
const API_KEY: &str = "secret-of-a-client";

/// Timeout of both functions in template.yaml.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The first wait of the retry schedule, and a little more.
const FIRST_WAIT: Duration = Duration::from_secs(6);

/// A peer of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    DynamoDb,
    Bus,
    Sqs,
    SecretsManager,
    Endpoint,
}

impl Peer {
    pub const ALL: [Self; 5] = [Self::DynamoDb, Self::Bus, Self::Sqs, Self::SecretsManager, Self::Endpoint];
}

pub struct World {
    pub dynamodb: DynamoDb,
    pub bus: EventBus,
    pub sqs: Sqs,
    _secrets: SecretsManager,
    pub endpoint: Endpoint,
    links: HashMap<Peer, Faults>,
    stream: Mutex<StreamMapping>,
    recorder: Recorder,
    /// Each event with its entity's number, in the order of recording.
    recorded: Mutex<Vec<(usize, EventId)>>,
    /// The number of recorded events, from which bodies and ids differ.
    count: AtomicUsize,
}

/// Counts for the tables.
#[derive(Debug)]
pub struct Tally {
    pub recorded: usize,
    pub entries: usize,
    pub posts: usize,
    pub dead_letters: usize,
}

impl World {
    pub async fn start() -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let bus = EventBus::start().await.unwrap();
        let sqs = Sqs::start(Rules { visibility: Duration::from_secs(360), most_receives: forwarder::MAX_RECEIVES })
            .await
            .unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("forward", SIGNING_SECRET);
        let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
        let urls = [
            (Peer::DynamoDb, dynamodb.url()),
            (Peer::Bus, bus.url()),
            (Peer::Sqs, sqs.url()),
            (Peer::SecretsManager, secrets.url()),
            (Peer::Endpoint, endpoint.url().trim_end_matches("/events").to_owned()),
        ];
        let mut links = HashMap::new();
        for (peer, url) in urls {
            links.insert(peer, Faults::before(&url).await.unwrap());
        }
        let recorder = Recorder::new(dynamodb.client(), fixtures::settings());
        let stream = Mutex::new(dynamodb.stream().unwrap());
        let (recorded, count) = (Mutex::default(), AtomicUsize::new(0));
        Self { dynamodb, bus, sqs, _secrets: secrets, endpoint, links, stream, recorder, recorded, count }
    }

    /// Returns the proxy in front of a peer.
    pub fn link(&self, peer: Peer) -> &Faults {
        &self.links[&peer]
    }

    pub fn recover(&self) {
        self.links.values().for_each(|link| link.recover().unwrap());
    }

    /// Records the next event of an entity, received at a time.
    pub async fn record_at(&self, entity: usize, received_at: Timestamp) -> EventId {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "status": "OK", "event": "whatsapp", "whatsapp": (972_500_000_000 + entity).to_string(),
            "whatsapp_extra_info": number, "whatsapp_apiKey": format!("{API_KEY}-{entity}"),
        });
        let received = fixtures::received(received_at, body.to_string().as_bytes());
        self.recorder.record(&Delivery::decode(&received, &fixtures::fingerprint_key())).await.unwrap();
        self.recorded.lock().unwrap().push((entity, received.id));
        received.id
    }

    /// Records the next event of an entity, received now.
    pub async fn record(&self, entity: usize) -> EventId {
        self.record_at(entity, SystemTime::now().into()).await
    }

    /// Returns the ids of an entity's events, in the order of recording.
    pub fn recorded(&self, entity: usize) -> Vec<String> {
        let recorded = self.recorded.lock().unwrap();
        recorded.iter().filter(|(of, _)| *of == entity).map(|(_, id)| id.to_string()).collect()
    }

    pub async fn publisher(&self) -> Function {
        self.function(env!("CARGO_BIN_EXE_publisher-under-test"), &[]).await
    }

    pub async fn forwarder(&self) -> Function {
        self.function(env!("CARGO_BIN_EXE_forwarder-under-test"), &[("FORWARD_API_KEYS", "false")]).await
    }

    /// The forwarder without the proxy in front of the endpoint, which passes on no answer of unknown length.
    pub async fn forwarder_at_endpoint(&self) -> Function {
        let url = self.endpoint.url();
        self.function(
            env!("CARGO_BIN_EXE_forwarder-under-test"),
            &[("FORWARD_API_KEYS", "false"), ("FORWARD_URL", &url)],
        )
        .await
    }

    /// The forwarder, which sends API keys too.
    pub async fn forwarder_with_api_keys(&self) -> Function {
        self.function(env!("CARGO_BIN_EXE_forwarder-under-test"), &[("FORWARD_API_KEYS", "true")]).await
    }

    async fn function(&self, binary: &str, more: &[(&str, &str)]) -> Function {
        let mut environment = self.environment();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Function::start(Setup { binary: PathBuf::from(binary), environment, timeout: TIMEOUT }).await.unwrap()
    }

    /// The variables of both functions.
    pub fn environment(&self) -> Vec<(String, String)> {
        let url = |peer| self.link(peer).url();
        [
            ("EVENTS_TABLE", "events".to_owned()),
            ("SEALED_TABLE", "sealed".to_owned()),
            ("EVENT_BUS_NAME", "stack".to_owned()),
            ("PUBLISH_FAILURES_QUEUE_URL", self.sqs.url_of(Name::PublishFailures)),
            ("FORWARD_QUEUE_URL", self.sqs.url_of(Name::Forward)),
            ("FORWARD_DEAD_LETTER_QUEUE_URL", self.sqs.url_of(Name::ForwardDeadLetters)),
            ("FORWARD_URL", format!("{}/events", url(Peer::Endpoint))),
            ("FORWARD_TIMEOUT_SECONDS", "1".to_owned()),
            ("FORWARD_SECRET_ID", "forward".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", url(Peer::DynamoDb)),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", url(Peer::Bus)),
            ("AWS_ENDPOINT_URL_SQS", url(Peer::Sqs)),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url(Peer::SecretsManager)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Returns the stream's next batch as the event source mapping sends it; `None` when there is none.
    pub fn batch(&self) -> Option<Value> {
        self.stream.lock().unwrap().batch().unwrap()
    }

    pub fn settle(&self, answer: Option<&Value>) {
        self.stream.lock().unwrap().settle(answer);
    }

    /// Runs the stream's mapping once. Returns the time that the publisher took; `None` when the stream has nothing new.
    pub async fn publish_round(&self, publisher: &Function) -> Option<(Outcome, Duration)> {
        let batch = self.batch()?;
        let (outcome, took) = publisher.invoke(&batch.to_string()).await;
        self.settle(answer(&outcome));
        Some((outcome, took))
    }

    pub async fn publish_all(&self, publisher: &Function) {
        for _ in 0..100 {
            if self.publish_round(publisher).await.is_none() {
                return;
            }
        }
        panic!("the stream does not come to its end: {:#?}", publisher.log());
    }

    /// Runs the queue's mapping once. `None` when the queue shows no message.
    pub async fn forward_round(&self, forwarder: &Function) -> Option<(Outcome, Duration)> {
        let taken = self.sqs.take_from(Name::Forward, 1);
        if taken.is_empty() {
            return None;
        }
        let (outcome, took) = forwarder.invoke(&sqs::event(&taken).to_string()).await;
        self.sqs.settle(&taken, answer(&outcome));
        Some((outcome, took))
    }

    /// Lets the forwarder work until the queue is empty. The first wait of the schedule is waited for; a longer one is not the
    /// endpoint's, and is cut short.
    pub async fn forward_all(&self, forwarder: &Function) {
        for _ in 0..200 {
            if self.forward_round(forwarder).await.is_some() {
                continue;
            }
            match self.sqs.hidden_in(Name::Forward).into_iter().filter(|hidden| !hidden.is_zero()).min() {
                None => return,
                Some(wait) if wait <= FIRST_WAIT => tokio::time::sleep(wait).await,
                Some(_) => self.sqs.show_all_in(Name::Forward),
            }
        }
        panic!("the queue does not become empty: {:#?}", forwarder.log());
    }

    /// Puts the messages of all recorded events into the queue, as the publisher does.
    pub fn queue_all(&self) {
        for (entity, id) in self.recorded.lock().unwrap().iter() {
            let message = json!({"id": id.to_string(), "entity": format!("whatsapp#{}", 972_500_000_000 + entity)});
            let group = ForwardMessage::parse(&message.to_string()).unwrap().group();
            self.sqs.send_in_group(Name::Forward, &message.to_string(), &group, &id.to_string());
        }
    }

    /// Returns the ids in a queue.
    pub fn ids_in(&self, queue: Name) -> Vec<String> {
        let id = |body: &String| ForwardMessage::parse(body).unwrap().id().to_string();
        self.sqs.bodies(queue).iter().map(id).collect()
    }

    /// Asserts that every event was published at least once, and nothing else.
    pub fn check_published(&self) {
        let published: Vec<String> =
            self.bus.entries().iter().map(|entry| entry.detail["id"].as_str().unwrap().to_owned()).collect();
        let recorded: HashSet<String> = self.recorded.lock().unwrap().iter().map(|(_, id)| id.to_string()).collect();
        assert_eq!(published.iter().cloned().collect::<HashSet<_>>(), recorded, "lost, or under another id");
    }

    /// Asserts everything about the endpoint that holds in the end: each event was taken, or is one of the expected dead letters.
    pub fn check_forwarded(&self, dead: &[String]) {
        assert!(self.sqs.bodies(Name::Forward).is_empty());
        let dead_letters: HashSet<String> = self.ids_in(Name::ForwardDeadLetters).into_iter().collect();
        assert_eq!(dead_letters, dead.iter().cloned().collect(), "the dead letters are others");
        let taken = self.endpoint.taken();
        let mut first_takes: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, id) in taken.iter().enumerate() {
            first_takes.entry(id).or_insert(place);
        }
        let recorded = self.recorded.lock().unwrap();
        let mut by_entity: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (entity, id) in recorded.iter() {
            by_entity.entry(*entity).or_default().push(id.to_string());
        }
        let ids: HashSet<&str> = by_entity.values().flatten().map(String::as_str).collect();
        assert!(taken.iter().all(|id| ids.contains(id.as_str())), "an event came under another id");
        for (entity, ids) in by_entity {
            let expected: Vec<_> = ids.iter().filter(|id| !dead_letters.contains(*id)).collect();
            let mut places: Vec<_> = ids.iter().filter_map(|id| Some((first_takes.get(id.as_str())?, id))).collect();
            places.sort_unstable();
            let in_order: Vec<_> = places.into_iter().map(|(_, id)| id).collect();
            assert_eq!(in_order, expected, "entity {entity}: not taken, or out of order");
        }
        let mut bodies: HashMap<String, String> = HashMap::new();
        for call in self.endpoint.received() {
            assert!(!call.signature.is_empty(), "{call:?}");
            let body = bodies.entry(call.id.clone()).or_insert_with(|| call.body.clone());
            assert_eq!(*body, call.body, "{} came with two bodies", call.id);
        }
    }

    /// Asserts that no API key and no signing secret is in a log, an entry, a message, or the events table.
    pub async fn check_secrets(&self, functions: &[&Function]) {
        let scan = self.dynamodb.client().scan().table_name("events").into_paginator().items().send();
        let items: Vec<HashMap<String, AttributeValue>> = scan.try_collect().await.unwrap();
        let mut open = format!("{items:?} {:?}", self.bus.entries());
        for queue in [Name::Forward, Name::ForwardDeadLetters, Name::PublishFailures] {
            open.push_str(&self.sqs.bodies(queue).concat());
        }
        for function in functions {
            open.push_str(&function.log().join("\n"));
        }
        for secret in [API_KEY, SIGNING_SECRET.trim_start_matches("whsec_")] {
            assert!(!open.contains(secret), "{secret:?} is where it must not be");
        }
    }

    pub fn tally(&self) -> Tally {
        Tally {
            recorded: self.count.load(Ordering::Relaxed),
            entries: self.bus.entries().len(),
            posts: self.endpoint.received().len(),
            dead_letters: self.sqs.bodies(Name::ForwardDeadLetters).len(),
        }
    }
}

/// Returns a function's answer; `None` when it failed or died, as the event source mappings see it.
fn answer(outcome: &Outcome) -> Option<&Value> {
    match outcome {
        Outcome::Answer(answer) => Some(answer),
        Outcome::Error(_) | Outcome::Died => None,
    }
}
