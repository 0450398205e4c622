//! Tests the publisher with the stream of an embedded DynamoDB and stand-ins for EventBridge and SQS.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::{fs, path::Path, time::Duration};

use aws_config::SdkConfig;
use emulators::{
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    event_bus::EventBus,
    faults::{Fault, Faults},
    sqs::{Name, Rules, Sqs},
    table_stream::StreamMapping,
};
use fixtures::{Log, fingerprint_key, noon, received, settings};
use lambda::{Environment, Metrics};
use outbound::BusEntry;
use publisher::{Batch, Config, Publisher};
use serde_json::{Value, json};
use shared::EventId;
use store::{Delivery, PublishedCounts, Reader, Recorder};

struct World {
    dynamodb: DynamoDb,
    dynamodb_link: Faults,
    stream: StreamMapping,
    bus: EventBus,
    bus_link: Faults,
    sqs: Sqs,
    sqs_link: Faults,
    cloudwatch: CloudWatch,
    publisher: Publisher,
    recorder: Recorder,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

impl World {
    async fn start(forwards: bool) -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let dynamodb_link = Faults::before(&dynamodb.url()).await.unwrap();
        let bus = EventBus::start().await.unwrap();
        let bus_link = Faults::before(&bus.url()).await.unwrap();
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let sqs_link = Faults::before(&sqs.url()).await.unwrap();
        let mut environment = Environment::from([
            ("EVENTS_TABLE", "events"),
            ("EVENT_BUS_NAME", "stack"),
            ("PUBLISH_FAILURES_QUEUE_URL", sqs.url_of(Name::PublishFailures).as_str()),
        ]);
        if forwards {
            environment.extend([("FORWARD_QUEUE_URL".to_owned(), sqs.url_of(Name::Forward))]);
        }
        let aws = aws(&dynamodb_link.url(), &bus_link.url(), &sqs_link.url()).await;
        let cloudwatch = CloudWatch::default();
        let metrics = Metrics::read(&Environment::from([]), cloudwatch.clone()).unwrap();
        let publisher = Publisher::new(Config::read(&environment).unwrap(), &aws, metrics);
        let recorder = Recorder::new(dynamodb.client(), settings());
        let stream = dynamodb.stream().unwrap();
        let log = Log::default();
        let writer = log.clone();
        let lines = lambda::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        let _logging = tracing::subscriber::set_default(lines);
        Self {
            dynamodb,
            dynamodb_link,
            stream,
            bus,
            bus_link,
            sqs,
            sqs_link,
            cloudwatch,
            publisher,
            recorder,
            log,
            _logging,
        }
    }

    /// Records a delivery received at a second, and returns its id.
    async fn record(&self, second: u64, body: &Value) -> EventId {
        let received = received(noon().plus(Duration::from_secs(second)), body.to_string().as_bytes());
        let delivery = Delivery::decode(&received, &fingerprint_key());
        self.recorder.record(&delivery).await.unwrap();
        delivery.id
    }

    /// Writes an item that looks like an event and is none.
    async fn spoil(&self) {
        let spoilt = self.dynamodb.client().put_item().table_name("events");
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let spoilt = spoilt.item("pk", text("whatsapp#1")).item("sk", text("event#spoilt"));
        spoilt.item("kind", text("whatsapp")).item("body", text("s3cret")).send().await.unwrap();
    }

    /// Processes one batch as the event source mapping does; returns the answer, or `None` when there were no records.
    async fn round(&mut self) -> Option<Value> {
        let event = self.stream.batch().unwrap()?;
        let batch = serde_json::from_value(event).unwrap();
        let answer = serde_json::to_value(self.publisher.handle(batch, noon).await).unwrap();
        self.stream.settle(Some(&answer));
        Some(answer)
    }

    async fn publish_all(&mut self) {
        while self.round().await.is_some() {}
    }

    /// Returns the ids on the bus, in order.
    fn published(&self) -> Vec<String> {
        self.bus.entries().iter().map(|entry| entry.detail["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the ids in the forward queue, in order.
    fn queued(&self) -> Vec<String> {
        let id = |body: &String| serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned();
        self.sqs.bodies(Name::Forward).iter().map(id).collect()
    }
}

/// Returns a configuration in which each service has its own address.
async fn aws(dynamodb: &str, bus: &str, sqs: &str) -> SdkConfig {
    let config = lambda::aws_config(&Environment::from([]), publisher::AWS).await.unwrap();
    emulators::sdk::to_services(&[("dynamodb", dynamodb), ("eventbridge", bus), ("sqs", sqs)], config)
}

fn line(number: u64, extra_info: u64) -> Value {
    json!({"event": "whatsapp", "whatsapp": number.to_string(), "whatsapp_extra_info": extra_info})
}

#[tokio::test]
async fn every_new_event_is_on_the_bus_once_with_its_fields_and_without_its_key() {
    let mut world = World::start(false).await;
    let body = json!({"status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "1234567",
        "whatsapp_extra_info": 2, "whatsapp_apiKey": "123-456-789"});
    let id = world.record(0, &body).await;
    world.publish_all().await;
    let [entry] = &world.bus.entries()[..] else { panic!("{:?}", world.bus.entries()) };
    assert_eq!(
        (entry.bus.as_str(), entry.source.as_str(), entry.detail_type.as_str()),
        ("stack", "partner-webhook", "whatsapp")
    );
    let redacted = body.to_string().replace("123-456-789", "[sealed]");
    assert_eq!(
        entry.detail,
        json!({"id": id.to_string(), "kind": "whatsapp", "entity": "whatsapp#972501234567", "reference": "1234567",
            "extra_info": 2, "received_at": "2026-11-22T12:00:00.000000Z", "origin": "delivered", "has_api_key": true,
            "body": redacted})
    );
    assert!(world.sqs.bodies(Name::Forward).is_empty(), "there is no endpoint");
}

#[tokio::test]
async fn duplicates_quarantined_deliveries_doctors_events_and_states_are_not_published() {
    let mut world = World::start(true).await;
    let first = world.record(0, &line(1, 1)).await;
    world.record(1, &line(1, 1)).await;
    world.record(2, &json!({"event": "doctor"})).await;
    world.record(3, &json!(["not an event"])).await;
    let unnamed = world.record(4, &json!({"status": "OK"})).await;
    world.publish_all().await;
    let expected = [first, unnamed].map(|id| id.to_string());
    assert_eq!((world.published(), world.queued()), (expected.to_vec(), expected.to_vec()));
    assert_eq!(world.bus.entries()[1].detail_type, "unnamed");
}

#[tokio::test]
async fn a_duplicate_that_has_become_an_event_is_handed_on_after_the_event_that_was_held_up() {
    let mut world = World::start(true).await;
    let on = world.record(0, &line(1, 1)).await;
    let on_again = world.record(20, &line(1, 1)).await;
    world.publish_all().await;
    assert_eq!(world.published(), [on.to_string()]);
    let off = world.record(10, &line(1, 2)).await;
    world.publish_all().await;
    assert_eq!(world.published(), [on, off, on_again].map(|id| id.to_string()));
    assert_eq!(world.queued(), world.published());
}

#[tokio::test]
async fn only_the_entries_that_failed_are_sent_again() {
    let mut world = World::start(false).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(world.record(number, &line(number, 1)).await.to_string());
    }
    world.bus.refuse([None, Some("InternalFailure"), None, Some("ThrottlingException")]);
    assert_eq!(world.round().await, Some(json!({"batchItemFailures": []})));
    let [a, b, c, d] = &ids[..] else { panic!() };
    assert_eq!(world.published(), [a, c, b, d].map(String::clone));
    assert_eq!(world.bus_link.take_seen().len(), 2);
}

#[tokio::test]
async fn while_the_bus_is_down_the_batch_comes_again_from_its_first_failure_and_nothing_is_lost() {
    let mut world = World::start(true).await;
    for second in 0..30 {
        world.record(second, &line(second % 3, second)).await;
    }
    world.bus_link.always(Fault::InternalError);
    let answer = world.round().await.unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1);
    world.bus_link.always(Fault::None);
    world.publish_all().await;
    assert_eq!(world.published().len(), 30);
    assert_eq!(world.queued().len(), 30, "a message that was sent before is recognised by its deduplication id");
}

#[tokio::test]
async fn a_batch_is_retried_from_the_first_record_that_failed() {
    let mut world = World::start(false).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(world.record(number, &line(number, 1)).await);
    }
    // The second event fails at each of its three attempts.
    const FAILURE: Option<&str> = Some("InternalFailure");
    world.bus.refuse([None, FAILURE, None, FAILURE, FAILURE]);
    let batch = world.stream.batch().unwrap().unwrap();
    let answer = world.publisher.handle(serde_json::from_value(batch.clone()).unwrap(), noon).await;
    let records = batch["Records"].as_array().unwrap();
    let mut changes = records.iter().map(|record| &record["dynamodb"]);
    let second = changes.find(|change| change["Keys"]["sk"]["S"] == format!("event#{}", ids[1])).unwrap();
    assert_eq!(
        serde_json::to_value(answer).unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": second["SequenceNumber"]}]})
    );
    assert_eq!(world.cloudwatch.sum("Published", None).unwrap(), 1.0, "the third is counted when it comes again");
}

#[tokio::test]
async fn while_the_forward_queue_is_down_nothing_of_an_entity_overtakes() {
    let mut world = World::start(true).await;
    let mut ids = Vec::new();
    for second in 0..25 {
        ids.push(world.record(second, &line(second % 2, second)).await.to_string());
    }
    world.sqs_link.always(Fault::Throttle);
    assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
    assert!(world.queued().is_empty());
    world.sqs_link.always(Fault::None);
    world.publish_all().await;
    for entity in 0..2 {
        let in_order: Vec<_> = ids.iter().skip(entity).step_by(2).collect();
        let queued = world.queued();
        assert_eq!(queued.iter().filter(|id| in_order.contains(id)).collect::<Vec<_>>(), in_order);
    }
}

#[tokio::test]
async fn while_the_forward_queue_refuses_no_event_is_put_on_the_bus_again() {
    let mut world = World::start(true).await;
    let mut ids = Vec::new();
    for second in 0..25 {
        ids.push(world.record(second, &line(second % 2, second)).await.to_string());
    }
    // The first message of the second entity at first, then all of them.
    world.sqs.refuse([None, Some("ServiceUnavailable")]);
    assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
    assert_eq!(world.published(), ids[..1]);
    world.sqs_link.always(Fault::Throttle);
    for _ in 0..3 {
        assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
    }
    assert_eq!(world.published(), ids[..1]);
    world.sqs_link.always(Fault::None);
    world.publish_all().await;
    assert_eq!(world.published(), ids);
}

#[tokio::test]
async fn after_a_request_with_a_failed_entry_the_bus_gets_no_other_one() {
    let mut world = World::start(false).await;
    for number in 0..30 {
        world.record(number, &line(number, 1)).await;
    }
    const FAILURE: Option<&str> = Some("InternalFailure");
    let first_request = std::iter::once(FAILURE).chain([None; 9]);
    world.bus.refuse(first_request.chain([FAILURE, FAILURE]));
    assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
    world.publish_all().await;
    assert_eq!(world.published().len(), 9 + 30, "only the rest of the failed request comes twice");
}

#[tokio::test]
async fn behind_a_record_that_cannot_be_moved_aside_no_event_is_put_on_the_bus_again() {
    let mut world = World::start(false).await;
    world.spoil().await;
    let id = world.record(0, &line(1, 1)).await.to_string();
    world.sqs_link.always(Fault::InternalError);
    for _ in 0..2 {
        assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
    }
    world.sqs_link.always(Fault::None);
    world.publish_all().await;
    assert_eq!(world.published(), [id]);
}

#[tokio::test]
async fn a_record_that_is_no_event_is_moved_aside_counted_and_holds_up_nothing() {
    let mut world = World::start(true).await;
    world.spoil().await;
    let id = world.record(0, &line(1, 1)).await;
    world.publish_all().await;
    assert_eq!(world.published(), [id.to_string()]);
    let [aside] = &world.sqs.bodies(Name::PublishFailures)[..] else { panic!() };
    assert!(aside.contains("event#spoilt") && !aside.contains("s3cret"), "{aside}");
    assert_eq!(world.cloudwatch.sum("Unpublishable", None).unwrap(), 1.0);
    assert_eq!(world.cloudwatch.sum("Published", None).unwrap(), 1.0);
}

#[tokio::test]
async fn an_entry_that_the_bus_never_takes_is_moved_aside() {
    let mut world = World::start(true).await;
    let refused = world.record(0, &line(1, 1)).await.to_string();
    let taken = world.record(1, &line(1, 2)).await.to_string();
    world.bus.refuse([Some("MalformedDetail")]);
    world.publish_all().await;
    assert_eq!(world.published(), std::slice::from_ref(&taken));
    assert_eq!(world.queued(), [refused.clone(), taken], "the endpoint gets it all the same");
    assert!(world.sqs.bodies(Name::PublishFailures)[0].contains(&refused));
}

#[tokio::test]
async fn a_request_that_the_bus_refuses_for_one_entry_is_sent_again_entry_by_entry() {
    let mut world = World::start(false).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(world.record(number, &line(number, 1)).await.to_string());
    }
    world.bus.refuse_requests_with(&ids[2]);
    assert_eq!(world.round().await, Some(json!({"batchItemFailures": []})));
    let poison = ids.remove(2);
    assert_eq!(world.published(), ids);
    let [aside] = &world.sqs.bodies(Name::PublishFailures)[..] else { panic!() };
    assert!(aside.contains(&poison) && aside.contains("event bus: ValidationException"), "{aside}");
}

#[tokio::test]
async fn a_message_that_the_forward_queue_never_takes_is_moved_aside_and_holds_up_nothing() {
    let mut world = World::start(true).await;
    let refused = world.record(0, &line(1, 1)).await.to_string();
    let behind = world.record(1, &line(1, 2)).await.to_string();
    world.sqs.refuse([Some("InvalidParameterValue")]);
    assert_eq!(world.round().await, Some(json!({"batchItemFailures": []})));
    assert_eq!(world.published(), [refused.clone(), behind.clone()]);
    assert_eq!(world.queued(), [behind]);
    let [aside] = &world.sqs.bodies(Name::PublishFailures)[..] else { panic!() };
    assert!(aside.contains(&refused) && aside.contains("forward queue: InvalidParameterValue"), "{aside}");
}

#[tokio::test]
async fn a_name_with_characters_that_sqs_refuses_is_published_all_the_same() {
    let mut world = World::start(true).await;
    let odd = json!({"event": "whatsapp", "whatsapp": "9725\u{ffff}\u{fffe}", "whatsapp_extra_info": 1});
    let id = world.record(0, &odd).await.to_string();
    assert_eq!(world.round().await, Some(json!({"batchItemFailures": []})));
    assert_eq!((world.published(), world.queued()), (vec![id.clone()], vec![id]));
    assert!(world.sqs.bodies(Name::PublishFailures).is_empty());
}

#[tokio::test]
async fn an_event_whose_kind_is_named_quarantine_is_published() {
    let mut world = World::start(true).await;
    let id = world.record(0, &json!({"event": "quarantine"})).await.to_string();
    world.publish_all().await;
    assert_eq!((world.published(), world.queued()), (vec![id.clone()], vec![id]));
}

#[tokio::test]
async fn a_record_that_cannot_be_moved_aside_comes_again() {
    let mut world = World::start(false).await;
    world.record(0, &line(1, 1)).await;
    world.bus.refuse([Some("MalformedDetail")]);
    world.sqs_link.always(Fault::InternalError);
    assert!(world.round().await.unwrap()["batchItemFailures"][0].is_object());
}

#[tokio::test]
async fn published_events_are_counted_by_the_hour_of_receipt() {
    let mut world = World::start(false).await;
    for second in [0, 1, 3_600] {
        world.record(second, &line(second, 1)).await;
    }
    world.publish_all().await;
    let counts = PublishedCounts::new(world.dynamodb.client(), "events");
    let counts = counts.read(noon(), noon().plus(Duration::from_secs(7_200))).await.unwrap();
    let expected = [("2026-11-22T12".to_owned(), 2), ("2026-11-22T13".to_owned(), 1)];
    assert_eq!(counts, expected.into_iter().collect());
}

#[tokio::test]
async fn a_count_is_added_once_when_its_answer_is_lost_or_its_first_attempt_fails() {
    let mut world = World::start(false).await;
    world.record(0, &line(1, 1)).await;
    world.dynamodb_link.times(1, Fault::CarryOutAndFail);
    world.publish_all().await;
    world.record(1, &line(1, 2)).await;
    world.dynamodb_link.times(1, Fault::InternalError);
    world.publish_all().await;
    let counts = PublishedCounts::new(world.dynamodb.client(), "events").read(noon(), noon()).await.unwrap();
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn requests_have_at_most_ten_entries_and_256_kb() {
    let mut world = World::start(false).await;
    for number in 0..12 {
        let note = "x".repeat(if number % 4 == 0 { 120_000 } else { 10 });
        world.record(number, &json!({"event": "whatsapp", "whatsapp": number.to_string(), "note": note})).await;
    }
    world.publish_all().await;
    // The stand-in refuses larger requests, and then each entry is one.
    assert_eq!((world.published().len(), world.bus.requests()), (12, 2));
    for number in 12..33 {
        world.record(number, &line(number, 1)).await;
    }
    world.publish_all().await;
    assert_eq!((world.published().len(), world.bus.requests()), (33, 2 + 3));
    assert!(world.bus.entries().iter().all(|entry| entry.detail.get("body_omitted").is_none()));
}

#[tokio::test]
async fn a_request_is_filled_to_the_last_byte() {
    let mut world = World::start(false).await;
    let body = |length| json!({"event": "whatsapp", "whatsapp": "1", "note": "x".repeat(length)});
    let first = world.record(0, &body(120_000)).await;
    let stored = Reader::new(world.dynamodb.client(), "events").delivery(&first).await.unwrap().unwrap();
    let size = BusEntry::new(&stored, false).size();
    world.record(1, &body(120_000 + 256 * 1_024 - 2 * size)).await;
    world.publish_all().await;
    assert_eq!((world.published().len(), world.bus.requests()), (2, 1));
}

#[tokio::test]
async fn the_lag_ends_when_the_events_are_on_the_bus() {
    let mut world = World::start(true).await;
    world.record(0, &line(1, 1)).await;
    let batch = serde_json::from_value(world.stream.batch().unwrap().unwrap()).unwrap();
    let handed_on = || u64::try_from(world.published().len() + world.queued().len()).unwrap();
    world.publisher.handle(batch, || noon().plus(Duration::from_secs(handed_on()))).await;
    assert_eq!(world.cloudwatch.sum("PublishLag", None).unwrap(), 2_000.0);
}

#[tokio::test]
async fn the_log_shows_the_outcome_of_each_record_and_no_body() {
    let mut world = World::start(false).await;
    for second in 0..2 {
        world.record(second, &json!({"event": "whatsapp", "whatsapp": "1", "note": "s3cret", "second": second})).await;
    }
    world.bus.refuse([None, Some("MalformedDetail")]);
    world.publish_all().await;
    world.record(2, &line(1, 1)).await;
    world.bus_link.always(Fault::InternalError);
    let batch = world.stream.batch().unwrap().unwrap();
    world.publisher.handle(serde_json::from_value(batch.clone()).unwrap(), noon).await;
    world.bus_link.always(Fault::None);
    world.dynamodb.client().delete_table().table_name("events").send().await.unwrap();
    world.publisher.handle(serde_json::from_value(batch).unwrap(), noon).await;
    assert_eq!(
        world.log.said_by("publisher"),
        [
            "INFO event published",
            "ERROR the record cannot be published and was moved aside",
            "WARN the record was not published yet",
            "INFO event published",
            "WARN the published events were not counted",
        ]
    );
    assert!(!world.log.text().contains("s3cret"));
}

#[tokio::test]
async fn of_every_sample_batch_as_many_entries_are_on_the_bus_as_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/publisher");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 7, "only {} samples", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let batch: Batch = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let shown = format!("{batch:?}");
        assert!(shown.contains("change: \"") && !shown.contains("body"), "{name}: {shown}");
        let world = World::start(true).await;
        let answer = serde_json::to_value(world.publisher.handle(batch, noon).await).unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}), "{name}");
        assert_eq!(world.published().len().to_string(), name[..1], "{name}");
        assert_eq!(world.published(), world.queued(), "{name}");
        let aside = world.sqs.bodies(Name::PublishFailures).len();
        assert_eq!(aside, usize::from(name.contains("unpublishable")), "{name}");
    }
}
