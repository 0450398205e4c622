//! Tests the forwarder with an embedded DynamoDB, stand-ins for SQS and Secrets Manager, and an endpoint that misbehaves on
//! command.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use emulators::{
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    endpoint::{Endpoint, Reply},
    faults::{Fault, Faults},
    secrets::SecretsManager,
    sqs::{self, Name, Rules, Sqs},
};
use fixtures::{API_KEY, LINE, Log, fingerprint_key, noon, received, settings};
use forwarder::{Config, Forwarder};
use lambda::{Environment, MessageBatch, Metrics};
use outbound::ForwardMessage;
use serde_json::{Value, json};
use shared::{Entity, EventId, Received, Timestamp};
use store::{Delivery, ForwardRecords, Reader, Recorder};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

struct World {
    dynamodb: DynamoDb,
    to_dynamodb: Faults,
    sqs: Sqs,
    to_sqs: Faults,
    secrets: SecretsManager,
    to_secrets: Faults,
    endpoint: Endpoint,
    cloudwatch: CloudWatch,
    forwarder: Forwarder,
    recorder: Recorder,
    /// Microseconds since 1970; only the test advances it.
    now: Arc<AtomicI64>,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

impl World {
    async fn start() -> Self {
        Self::with_api_keys(false).await
    }

    async fn with_api_keys(with_api_keys: bool) -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let to_dynamodb = Faults::before(&dynamodb.url()).await.unwrap();
        let sqs = Sqs::start(Rules { most_receives: forwarder::MAX_RECEIVES, ..Rules::default() }).await.unwrap();
        sqs.set_time(noon().as_micros() / 1_000);
        let to_sqs = Faults::before(&sqs.url()).await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("forward", SECRET);
        let to_secrets = Faults::before(&secrets.url()).await.unwrap();
        let endpoint = Endpoint::start(SECRET).await.unwrap();
        let environment = Environment::from([
            ("EVENTS_TABLE", "events"),
            ("SEALED_TABLE", "sealed"),
            ("FORWARD_URL", endpoint.url().as_str()),
            ("FORWARD_API_KEYS", if with_api_keys { "true" } else { "false" }),
            ("FORWARD_TIMEOUT_SECONDS", "1"),
            ("FORWARD_QUEUE_URL", sqs.url_of(Name::Forward).as_str()),
            ("FORWARD_DEAD_LETTER_QUEUE_URL", sqs.url_of(Name::ForwardDeadLetters).as_str()),
            ("FORWARD_SECRET_ID", "forward"),
        ]);
        let aws = lambda::aws_config(&Environment::from([]), forwarder::AWS).await.unwrap();
        let urls = [("dynamodb", to_dynamodb.url()), ("sqs", to_sqs.url()), ("secrets manager", to_secrets.url())];
        let aws = emulators::sdk::to_services(&urls.each_ref().map(|(service, url)| (*service, url.as_str())), aws);
        let cloudwatch = CloudWatch::default();
        let metrics = Metrics::read(&Environment::from([]), cloudwatch.clone()).unwrap();
        let forwarder = Forwarder::new(Config::read(&environment).unwrap(), &aws, metrics);
        let recorder = Recorder::new(dynamodb.client(), settings());
        let now = Arc::new(AtomicI64::new(noon().as_micros()));
        let log = Log::default();
        let writer = log.clone();
        let lines = lambda::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        let _logging = tracing::subscriber::set_default(lines);
        Self {
            dynamodb,
            to_dynamodb,
            sqs,
            to_sqs,
            secrets,
            to_secrets,
            endpoint,
            cloudwatch,
            forwarder,
            recorder,
            now,
            log,
            _logging,
        }
    }

    /// Records an event received at a second, puts its message into the queue, and returns its id.
    async fn event(&self, second: u64, body: &Value) -> EventId {
        let received = received(noon().plus(Duration::from_secs(second)), body.to_string().as_bytes());
        self.record(&received).await;
        let stored = Reader::new(self.dynamodb.client(), "events").delivery(&received.id).await.unwrap().unwrap();
        let message = ForwardMessage::of(&stored);
        let send = sqs::client(&self.sqs.url()).send_message().queue_url(self.sqs.url_of(Name::Forward));
        let send = send.message_body(message.to_json()).message_group_id(message.group());
        send.message_deduplication_id(message.id().to_string()).send().await.unwrap();
        received.id
    }

    async fn record(&self, received: &Received) {
        let delivery = Delivery::decode(received, &fingerprint_key());
        self.recorder.record(&delivery).await.unwrap();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Processes one message as the event source mapping does; returns whether there was one.
    async fn round(&self) -> bool {
        let taken = self.sqs.take_from(Name::Forward, 1);
        if taken.is_empty() {
            return false;
        }
        let batch: MessageBatch = serde_json::from_value(sqs::event(&taken)).unwrap();
        let answer = serde_json::to_value(self.forwarder.handle(&batch, &|| self.now()).await).unwrap();
        self.sqs.settle(&taken, Some(&answer));
        true
    }

    async fn forward_all(&self) {
        while self.round().await {}
    }

    /// Advances the time for the forwarder and for the queue, which shows the messages hidden until then.
    fn wait(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.now.fetch_add(micros, Ordering::Relaxed);
        self.sqs.set_time(self.now().as_micros() / 1_000);
        self.sqs.show_all_in(Name::Forward);
    }

    fn records(&self) -> ForwardRecords {
        ForwardRecords::new(self.dynamodb.client(), "events")
    }

    /// Retries until the queue is empty, each time when the queue shows a message again; returns the waits in seconds.
    async fn waits(&self) -> Vec<u64> {
        let mut waits = Vec::new();
        loop {
            self.forward_all().await;
            let Some(hidden) = self.sqs.hidden_in(Name::Forward).into_iter().max() else { return waits };
            let wait = Duration::from_secs(hidden.as_millis().div_ceil(1_000).try_into().unwrap());
            waits.push(wait.as_secs());
            self.wait(wait);
        }
    }
}

fn update(extra_info: u64) -> Value {
    json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": extra_info})
}

fn with_key() -> Value {
    json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_apiKey": "123-456-789", "whatsapp_extra_info": 2})
}

#[tokio::test]
async fn an_event_is_posted_once_signed_with_its_id_and_its_time_of_receipt() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.forward_all().await;
    let [call] = &world.endpoint.received()[..] else { panic!("{:?}", world.endpoint.received()) };
    assert_eq!((&call.id, call.received_at.as_str()), (&id.to_string(), "2026-11-22T12:00:00.000000Z"));
    assert_eq!(call.body, update(1).to_string());
    assert!(call.signature.starts_with("v1,"));
    let taken = world.records().taken(&Entity::named(LINE), &id).await.unwrap().unwrap();
    assert_eq!((taken.taken_at, taken.attempts), (noon(), 1));
    assert!(world.sqs.bodies(Name::Forward).is_empty());
    assert_eq!(world.cloudwatch.sum("Forwarded", Some(("Kind", "whatsapp"))).unwrap(), 1.0);
    assert_eq!(world.log.said_by("forwarder"), ["INFO event forwarded"]);
}

#[tokio::test]
async fn a_signature_of_now_is_verified_by_the_endpoint() {
    let world = World::start().await;
    world.now.store(Timestamp::from(std::time::SystemTime::now()).as_micros(), Ordering::Relaxed);
    world.event(0, &update(1)).await;
    world.forward_all().await;
    assert!(world.endpoint.received()[0].is_verified);
}

#[tokio::test]
async fn api_keys_are_left_out_unless_the_partner_wants_them() {
    let without = World::start().await;
    without.event(0, &with_key()).await;
    without.forward_all().await;
    let body = without.endpoint.received()[0].body.clone();
    let mut expected = with_key();
    expected.as_object_mut().unwrap().remove("whatsapp_apiKey");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    assert!(!body.contains("sealed") && !body.contains("123-456-789"), "{body}");

    let with = World::with_api_keys(true).await;
    with.event(0, &with_key()).await;
    with.event(1, &update(3)).await;
    with.forward_all().await;
    let bodies: Vec<_> = with.endpoint.received().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies, [with_key().to_string(), update(3).to_string()]);
}

#[tokio::test]
async fn an_event_that_is_refused_waits_by_the_schedule_and_those_behind_it_wait_as_well() {
    let world = World::start().await;
    let refused = world.event(0, &update(1)).await.to_string();
    let behind = world.event(1, &update(2)).await.to_string();
    let other = json!({"event": "builder", "builderID": 523, "builder_extra_info": 1});
    let other = world.event(2, &other).await.to_string();
    world.endpoint.reply([Reply::Status(500), Reply::Status(200), Reply::Status(503)]);
    world.forward_all().await;
    assert_eq!(world.endpoint.taken(), std::slice::from_ref(&other), "the other entity is not held up");
    assert_eq!(world.waits().await, [5, 300]);
    assert_eq!(world.endpoint.taken(), [other, refused.clone(), behind]);
    let taken = world.records().taken(&Entity::named(LINE), &refused.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(taken.attempts, 3);
    assert_eq!(world.records().failures(10).await.unwrap(), []);
}

#[tokio::test]
async fn an_event_that_names_no_entity_waits_for_no_other() {
    let world = World::start().await;
    let package = |second: u64| json!({"event": "package", "status": "OK", "second": second});
    let refused = world.event(0, &package(0)).await.to_string();
    let other = world.event(1, &package(1)).await.to_string();
    world.endpoint.always(Some((&refused, Reply::Status(400))));
    world.forward_all().await;
    assert_eq!(world.endpoint.taken(), [other]);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_tried_for_three_days_and_then_the_event_is_a_dead_letter() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.endpoint.always(Some((&id.to_string(), Reply::Status(503))));
    let hours = |hours: u64| hours * 3_600;
    // SQS hides a message for a little less than 12 hours; a message that comes early waits on.
    let waits = world.waits().await;
    assert_eq!(waits.iter().max(), Some(&(hours(12) - 120)));
    let all: u64 = waits.iter().sum();
    assert!((hours(65)..=hours(72)).contains(&all), "{all}");
    assert_eq!(world.endpoint.received().len(), 11);
    assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters).len(), 1);
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!((failure.id, failure.attempts, failure.next_attempt_at, failure.answer.as_str()), (id, 11, None, "503"));
    assert_eq!(world.cloudwatch.sum("ForwardDeadLetters", None).unwrap(), 1.0);
}

#[tokio::test]
async fn a_refused_event_is_given_up_after_five_attempts_and_at_once_by_410() {
    for (status, attempts) in [(400, 5), (404, 5), (410, 1)] {
        let world = World::start().await;
        let id = world.event(0, &update(1)).await.to_string();
        let behind = world.event(1, &update(2)).await.to_string();
        world.endpoint.always(Some((&id, Reply::Status(status))));
        world.waits().await;
        let calls = world.endpoint.received().iter().filter(|call| call.id == id).count();
        assert_eq!((calls, world.endpoint.taken()), (attempts, vec![behind]), "{status}");
        assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters).len(), 1);
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_put_back_is_tried_anew() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.endpoint.reply([Reply::Status(410), Reply::Status(500)]);
    world.forward_all().await;
    let letter = world.sqs.bodies(Name::ForwardDeadLetters).remove(0);
    let message = ForwardMessage::parse(&letter).unwrap();
    world.sqs.send_in_group(Name::Forward, &letter, &message.group(), "again");
    assert_eq!(world.waits().await, [5]);
    assert_eq!(world.endpoint.taken(), [id]);
    assert_eq!(world.records().failures(10).await.unwrap(), [], "it is no dead letter any more");
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "ERROR the event is given up and becomes a dead letter",
            "WARN the endpoint did not accept an event",
            "INFO event forwarded",
        ]
    );
}

#[tokio::test]
async fn retry_after_is_waited_for_and_redirects_are_not_followed() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    let elsewhere = Endpoint::start(SECRET).await.unwrap();
    world.endpoint.reply([Reply::RetryAfter(429, "1000".to_owned()), Reply::Redirect(elsewhere.url())]);
    assert_eq!(world.waits().await, [1_000, 300]);
    assert!(elsewhere.received().is_empty());
    assert_eq!(world.endpoint.received().iter().map(|call| call.status).collect::<Vec<_>>(), [429, 307, 200]);
    let refused = |cause| world.cloudwatch.sum("ForwardRefused", Some(("Cause", cause))).unwrap();
    assert_eq!((refused("4xx"), refused("Redirect"), refused("5xx")), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_none() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    world.endpoint.reply([Reply::After(Duration::from_secs(3))]);
    assert!(world.round().await);
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!(failure.answer, "no answer: none within 1 s");
    assert_eq!(world.cloudwatch.sum("ForwardRefused", Some(("Cause", "NoAnswer"))).unwrap(), 1.0);
}

#[tokio::test]
async fn a_fault_of_our_own_side_costs_no_attempt() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.to_dynamodb.always(Fault::InternalError);
    assert!(world.round().await);
    assert_eq!(world.sqs.hidden_in(Name::Forward)[0].as_secs().div_ceil(30), 1);
    world.to_dynamodb.always(Fault::None);
    world.secrets.delete("forward");
    world.wait(Duration::from_secs(30));
    assert!(world.round().await);
    assert!(world.endpoint.received().is_empty(), "nothing goes out without a signature");
    world.secrets.put("forward", SECRET);
    world.wait(Duration::from_secs(30));
    world.forward_all().await;
    assert_eq!(world.endpoint.taken(), std::slice::from_ref(&id));
    let taken = world.records().taken(&Entity::named(LINE), &id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(taken.attempts, 1);
    assert_eq!(world.cloudwatch.sum("ForwardFaults", None).unwrap(), 2.0);
    assert_eq!(
        world.log.said_by("forwarder"),
        ["WARN the event was not offered yet", "WARN the event was not offered yet", "INFO event forwarded"]
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_buried_stays_in_the_queue() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.endpoint.always(Some((&id, Reply::Status(410))));
    world.to_sqs.always(Fault::InternalError);
    assert!(world.round().await);
    assert_eq!(world.sqs.bodies(Name::Forward).len(), 1);
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "ERROR the event is given up and becomes a dead letter",
            "ERROR the dead-letter queue does not accept the message",
            "WARN the wait of a message cannot be set",
        ]
    );
    world.to_sqs.always(Fault::None);
    world.wait(Duration::from_secs(360));
    world.forward_all().await;
    assert_eq!((world.sqs.bodies(Name::Forward).len(), world.sqs.bodies(Name::ForwardDeadLetters).len()), (0, 1));
}

#[tokio::test]
async fn a_message_that_comes_before_its_time_waits_on_and_costs_no_attempt() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    world.endpoint.reply([Reply::Status(500), Reply::Status(500)]);
    assert!(world.round().await);
    world.wait(Duration::from_secs(5));
    assert!(world.round().await);
    world.wait(Duration::from_secs(100));
    assert!(world.round().await);
    assert_eq!(world.endpoint.received().len(), 2);
    assert_eq!(world.sqs.hidden_in(Name::Forward)[0].as_secs().div_ceil(10), 20);
    // SQS may show it up to two seconds early.
    world.wait(Duration::from_secs(198));
    assert!(world.round().await);
    assert_eq!(world.endpoint.received().len(), 3);
}

#[tokio::test]
async fn an_unreadable_message_and_an_event_that_is_gone_become_dead_letters() {
    let world = World::start().await;
    world.sqs.send_in_group(Name::Forward, "{}", "a", "1");
    let gone = r#"{"id":"01a205f0-5119-7000-8000-000000000000","entity":"whatsapp#1"}"#;
    world.sqs.send_in_group(Name::Forward, gone, "b", "2");
    world.forward_all().await;
    assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters), ["{}", gone]);
    assert!(world.sqs.bodies(Name::Forward).is_empty() && world.endpoint.received().is_empty());
    assert_eq!(world.cloudwatch.sum("ForwardDeadLetters", None).unwrap(), 2.0);
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "ERROR unreadable message in the forward queue",
            "ERROR the event is no longer in the table and becomes a dead letter",
        ]
    );
}

#[tokio::test]
async fn an_event_that_expires_while_it_waits_becomes_a_dead_letter_that_says_so() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.endpoint.always(Some((&id.to_string(), Reply::Status(503))));
    world.forward_all().await;
    let key = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let delete = world.dynamodb.client().delete_item().table_name("events").key("pk", key(LINE.to_owned()));
    delete.key("sk", key(format!("event#{id}"))).send().await.unwrap();
    world.wait(Duration::from_secs(5));
    world.forward_all().await;
    assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters).len(), 1);
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!((failure.attempts, failure.last_attempt_at, failure.next_attempt_at), (1, world.now(), None));
    assert_eq!(failure.answer, "not sent: the event is no longer in the events table");
}

#[tokio::test]
async fn a_message_older_than_the_dead_letter_of_its_event_is_not_tried_again() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    let repetition = world.sqs.bodies(Name::Forward).remove(0);
    let group = ForwardMessage::parse(&repetition).unwrap().group();
    world.sqs.send_in_group(Name::Forward, &repetition, &group, "later");
    world.endpoint.always(Some((&id, Reply::Status(410))));
    world.wait(Duration::from_secs(60));
    // The function ends before its answer: nothing is deleted.
    let taken = world.sqs.take_from(Name::Forward, 1);
    let batch: MessageBatch = serde_json::from_value(sqs::event(&taken)).unwrap();
    world.forwarder.handle(&batch, &|| world.now()).await;
    world.wait(Duration::from_secs(360));
    world.forward_all().await;
    assert_eq!(world.endpoint.received().len(), 1);
    assert_eq!((world.sqs.bodies(Name::Forward).len(), world.sqs.bodies(Name::ForwardDeadLetters).len()), (0, 1));
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "ERROR the event is given up and becomes a dead letter",
            "INFO the event is a dead letter already",
            "INFO the event is a dead letter already",
        ]
    );
}

#[tokio::test]
async fn a_message_that_may_be_newer_than_the_dead_letter_of_its_event_is_tried_again() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    let repetition = world.sqs.bodies(Name::Forward).remove(0);
    let group = ForwardMessage::parse(&repetition).unwrap().group();
    world.sqs.send_in_group(Name::Forward, &repetition, &group, "later");
    world.endpoint.always(Some((&id, Reply::Status(410))));
    // By this much the clocks of SQS and of the function may differ.
    world.wait(Duration::from_secs(5));
    world.forward_all().await;
    assert_eq!(world.endpoint.received().len(), 2);
}

#[tokio::test]
async fn a_repetition_by_the_publisher_after_the_dead_letter_of_its_event_is_not_tried() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    let message = ForwardMessage::new(id, Entity::named(LINE));
    world.endpoint.always(Some((&id.to_string(), Reply::Status(410))));
    world.forward_all().await;
    world.wait(Duration::from_mins(10));
    world.sqs.pass(Name::Forward, Duration::from_mins(10));
    world.sqs.send_in_group(Name::Forward, &message.to_json(), &message.group(), &id.to_string());
    world.forward_all().await;
    assert_eq!((world.endpoint.received().len(), world.sqs.bodies(Name::ForwardDeadLetters).len()), (1, 1));
    assert_eq!(world.log.said_by("forwarder")[1..], ["INFO the event is a dead letter already"]);

    // A day later the stream no longer has the event: it was put back into the table.
    world.wait(Duration::from_hours(25));
    world.sqs.pass(Name::Forward, Duration::from_hours(25));
    world.sqs.send_in_group(Name::Forward, &message.to_json(), &message.group(), &id.to_string());
    world.forward_all().await;
    assert_eq!(world.endpoint.received().len(), 2);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_again_is_asked_for_once_a_minute() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    world.forward_all().await;
    world.to_secrets.always(Fault::InternalError);
    world.wait(Duration::from_secs(60));
    for second in 1..5 {
        world.event(second, &update(second + 1)).await;
    }
    world.to_secrets.take_seen();
    world.forward_all().await;
    assert_eq!(world.endpoint.taken().len(), 5);
    // One call, with the SDK's attempts.
    assert_eq!(world.to_secrets.take_seen().len(), 3);
}

#[tokio::test]
async fn while_the_secret_is_replaced_both_sign() {
    let world = World::start().await;
    world.secrets.put("forward", NEW_SECRET);
    world.now.store(Timestamp::from(std::time::SystemTime::now()).as_micros(), Ordering::Relaxed);
    world.event(0, &update(1)).await;
    world.forward_all().await;
    let call = &world.endpoint.received()[0];
    assert_eq!(call.signature.split(' ').count(), 2, "{}", call.signature);
    assert!(call.is_verified, "the endpoint still has the old one");
    world.wait(Duration::from_secs(25 * 60 * 60));
    world.event(1, &update(2)).await;
    world.forward_all().await;
    assert_eq!(world.endpoint.received()[1].signature.split(' ').count(), 1);
}

#[tokio::test]
async fn no_secret_is_in_the_queue_or_in_a_failure() {
    let world = World::start().await;
    let id = world.event(0, &with_key()).await.to_string();
    world.endpoint.always(Some((&id, Reply::Status(500))));
    world.forward_all().await;
    let shown = format!("{:?} {:?}", world.sqs.bodies(Name::Forward), world.records().failures(10).await.unwrap());
    assert!(!shown.contains("123-456-789") && !shown.contains("whsec_"), "{shown}");
}

#[tokio::test]
async fn an_answer_that_repeats_an_api_key_is_not_kept() {
    let world = World::with_api_keys(true).await;
    world.event(0, &with_key()).await;
    world.endpoint.reply([Reply::Echo(422)]);
    assert!(world.round().await);
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!(failure.answer, "422");
    // The endpoint has the key from an earlier event.
    let later = World::with_api_keys(true).await;
    later.event(0, &update(1)).await;
    later.endpoint.reply([Reply::Echo(422)]);
    assert!(later.round().await);
    let [failure] = &later.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!(failure.answer, "422");
    let without = World::start().await;
    without.event(0, &update(1)).await;
    without.endpoint.reply([Reply::Echo(422)]);
    assert!(without.round().await);
    let [failure] = &without.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!(failure.answer, format!("422: {}", update(1)));
    let log = without.log.text();
    assert!(log.contains(r#""answer":"422""#) && !log.contains("whatsapp_extra_info"), "{log}");
}

#[tokio::test]
async fn a_replaced_value_that_was_no_secret_stops_nothing() {
    let mistyped = |secrets: &SecretsManager| secrets.put("forward", "whsec_");
    let binary = |secrets: &SecretsManager| secrets.put_binary("forward", &[0, 159, 146, 150]);
    for put in [&mistyped as &dyn Fn(&SecretsManager), &binary] {
        let world = World::start().await;
        put(&world.secrets);
        world.secrets.put("forward", SECRET);
        world.now.store(Timestamp::from(std::time::SystemTime::now()).as_micros(), Ordering::Relaxed);
        world.event(0, &update(1)).await;
        world.forward_all().await;
        assert!(world.endpoint.received().first().is_some_and(|call| call.is_verified));
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_any_more_is_used_on() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    world.forward_all().await;
    world.secrets.put("forward", "not a secret");
    world.wait(Duration::from_secs(61));
    let id = world.event(1, &update(2)).await.to_string();
    world.forward_all().await;
    assert_eq!(world.endpoint.taken()[1], id);
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "INFO event forwarded",
            "WARN the signing secret cannot be read: the one from before is used",
            "INFO event forwarded",
        ]
    );
}

#[tokio::test]
async fn an_event_that_was_taken_is_not_posted_again() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.forward_all().await;
    let message = format!(r#"{{"id":"{id}","entity":"{LINE}"}}"#);
    world.sqs.send_in_group(Name::Forward, &message, "a", "again");
    world.forward_all().await;
    assert_eq!(world.endpoint.received().len(), 1);
    assert!(world.sqs.bodies(Name::Forward).is_empty());
    assert_eq!(world.log.said_by("forwarder"), ["INFO event forwarded", "INFO the event was forwarded before"]);
}

#[tokio::test]
async fn an_event_that_was_taken_is_not_sent_again_when_that_cannot_be_recorded() {
    let world = World::start().await;
    world.event(0, &with_key()).await;
    world.to_dynamodb.times(1, Fault::None);
    world.to_dynamodb.times(9, Fault::InternalError);
    world.forward_all().await;
    assert_eq!((world.endpoint.taken().len(), world.sqs.bodies(Name::Forward).len()), (1, 0));
    assert_eq!(world.log.said_by("forwarder"), ["WARN the attempt was not recorded", "INFO event forwarded"]);
    assert!(!world.log.text().contains(API_KEY), "{}", world.log.text());
}

#[tokio::test]
async fn a_failure_that_was_left_when_its_event_was_taken_is_dropped_by_a_repeated_message() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.endpoint.reply([Reply::Status(503)]);
    assert!(world.round().await);
    let left = world.records().failures(10).await.unwrap();
    world.wait(Duration::from_secs(5));
    world.forward_all().await;
    world.records().record_failure(&left[0]).await.unwrap();
    world.sqs.send_in_group(Name::Forward, &format!(r#"{{"id":"{id}","entity":"{LINE}"}}"#), "a", "again");
    world.forward_all().await;
    assert_eq!(world.records().failures(10).await.unwrap(), []);
    let taken = world.records().taken(&Entity::named(LINE), &id).await.unwrap().unwrap();
    assert_eq!((taken.attempts, world.endpoint.received().len()), (2, 2));
}

#[tokio::test]
async fn a_message_does_not_continue_the_attempts_of_one_that_was_lost_with_its_queue() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    for _ in 0..4 {
        world.endpoint.reply([Reply::Status(401)]);
        assert!(world.round().await);
        world.wait(world.sqs.hidden_in(Name::Forward)[0]);
    }
    assert_eq!(world.records().failures(10).await.unwrap()[0].attempts, 4);
    world.sqs.settle(&world.sqs.take_from(Name::Forward, 10), Some(&json!({ "batchItemFailures": [] })));
    assert!(world.sqs.bodies(Name::Forward).is_empty());
    world.wait(Duration::from_hours(4 * 24));
    let message = ForwardMessage::new(id, Entity::named(LINE));
    world.sqs.send_in_group(Name::Forward, &message.to_json(), &message.group(), "replay");
    world.endpoint.reply([Reply::Status(401)]);
    assert!(world.round().await);
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!((failure.attempts, failure.next_attempt_at.is_some()), (1, true));
}

#[tokio::test]
async fn an_event_that_was_taken_is_posted_again_when_a_message_asks_for_it() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await;
    world.forward_all().await;
    world.endpoint.reply([Reply::Status(503)]);
    let message = ForwardMessage::new(id, Entity::named(LINE)).again();
    let send = sqs::client(&world.sqs.url()).send_message().queue_url(world.sqs.url_of(Name::Forward));
    let send = send.message_body(message.to_json()).message_group_id(message.group());
    send.message_deduplication_id("again").send().await.unwrap();
    assert_eq!(world.waits().await, [5]);
    assert_eq!(world.endpoint.taken(), [id.to_string(), id.to_string()]);
}

#[tokio::test]
async fn an_event_that_has_waited_for_three_days_behind_another_gets_one_attempt() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.endpoint.always(Some((&id, Reply::Status(503))));
    world.wait(Duration::from_secs(4 * 24 * 60 * 60));
    assert_eq!(world.waits().await, [0_u64; 0]);
    assert_eq!((world.endpoint.received().len(), world.sqs.bodies(Name::ForwardDeadLetters).len()), (1, 1));
}

#[tokio::test]
async fn the_pauses_after_faults_of_our_own_side_double() {
    let world = World::start().await;
    world.event(0, &update(1)).await;
    world.secrets.delete("forward");
    let mut pauses = Vec::new();
    for _ in 0..7 {
        assert!(world.round().await);
        let hidden = world.sqs.hidden_in(Name::Forward)[0];
        pauses.push(hidden.as_secs().div_ceil(30) * 30);
        world.wait(hidden);
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1200]);
    assert!(world.endpoint.received().is_empty());
}

#[tokio::test]
async fn the_pauses_after_refusals_that_cannot_be_recorded_double_as_well() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.endpoint.always(Some((&id, Reply::Status(503))));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        world.to_dynamodb.times(1, Fault::None);
        world.to_dynamodb.times(3, Fault::InternalError);
        assert!(world.round().await);
        let hidden = world.sqs.hidden_in(Name::Forward)[0];
        pauses.push(hidden.as_secs().div_ceil(30) * 30);
        world.wait(hidden);
    }
    assert_eq!(pauses, [30, 60, 120, 240]);
    assert_eq!(world.cloudwatch.sum("ForwardFaults", None).unwrap(), 4.0);
}

#[tokio::test]
async fn an_event_that_faults_of_our_own_side_hold_up_becomes_a_dead_letter_before_sqs_deletes_it() {
    let world = World::start().await;
    let id = world.event(0, &update(1)).await.to_string();
    world.secrets.delete("forward");
    world.wait(Duration::from_hours(13 * 24));
    assert!(world.round().await);
    assert_eq!((world.sqs.bodies(Name::Forward).len(), world.sqs.bodies(Name::ForwardDeadLetters).len()), (1, 0));
    world.wait(Duration::from_mins(1));
    world.forward_all().await;
    let dead_letters = world.sqs.bodies(Name::ForwardDeadLetters);
    assert!(world.sqs.bodies(Name::Forward).is_empty() && dead_letters[0].contains(&id), "{dead_letters:?}");
    let [failure] = &world.records().failures(10).await.unwrap()[..] else { panic!() };
    assert_eq!((failure.attempts, failure.next_attempt_at), (0, None));
    assert_eq!(failure.answer, "not sent: a fault in the stack held it up for 13 days");
    assert_eq!(
        world.log.said_by("forwarder"),
        [
            "WARN the event was not offered yet",
            "WARN the event was not offered yet",
            "ERROR the event has waited too long and becomes a dead letter",
        ]
    );
}

#[test]
fn the_template_has_the_number_of_receipts_that_the_code_counts_on() {
    let (_, queue) = include_str!("../../../template.yaml").split_once("\n  ForwardQueue:\n").unwrap();
    let (_, receipts) = queue.split_once(" maxReceiveCount: ").unwrap();
    assert_eq!(receipts.lines().next().unwrap().parse(), Ok(forwarder::MAX_RECEIVES));
}

#[tokio::test]
async fn of_every_sample_batch_as_many_events_are_posted_as_its_name_says() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let files: Vec<_> = fs::read_dir(samples.join("forwarder")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "only {} samples", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let batch: MessageBatch = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let world = World::start().await;
        // The event of the redrive sample with the same name.
        let id = "01a20320-a5e8-7000-8001-000000000001".parse().unwrap();
        let body = fs::read(samples.join("bodies/whatsapp.json")).unwrap();
        world.record(&Received { id, ..received(noon().plus(Duration::from_secs(1)), &body) }).await;
        let answer = serde_json::to_value(world.forwarder.handle(&batch, &|| world.now()).await).unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}), "{name}");
        assert_eq!(world.endpoint.taken().len().to_string(), name[..1], "{name}");
        let dead_letters = world.sqs.bodies(Name::ForwardDeadLetters).len();
        assert_eq!(dead_letters, usize::from(name.starts_with('0')), "{name}");
    }
}
