//! Redrive with batches of the fallback queue, in front of an embedded DynamoDB and a stand-in for SQS.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::{fs, path::Path, time::Duration};

use aws_config::SdkConfig;
use emulators::{
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    faults::Faults,
    sqs::{self, Rules, Sqs},
};
use fixtures::{API_KEY, ENVIRONMENT, LINE, Log, noon, received};
use futures_util::TryStreamExt;
use lambda::{Environment, MessageBatch, Metrics, Patience};
use redrive::{Config, Redrive};
use serde_json::{Value, json};
use shared::{Entity, QueuedDelivery, TokenCheck, TokenHash};
use store::{AcceptedTokens, Listing, Order, Reader, StoredDelivery};

struct World {
    dynamodb: DynamoDb,
    link: Faults,
    sqs: Sqs,
    sqs_link: Faults,
    cloudwatch: CloudWatch,
    redrive: Redrive,
    tokens: AcceptedTokens,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

async fn aws(url: &str, patience: Patience) -> SdkConfig {
    emulators::sdk::to(url, lambda::aws_config(&Environment::from([]), patience).await.unwrap())
}

impl World {
    async fn start() -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let tokens = AcceptedTokens::new(dynamodb.client(), dynamodb.events_table());
        let link = Faults::before(&dynamodb.url()).await.unwrap();
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let sqs_link = Faults::before(&sqs.url()).await.unwrap();
        let mut environment = Environment::from(ENVIRONMENT);
        environment.extend([("FALLBACK_QUEUE_URL".to_owned(), sqs.queue_url())]);
        let config = Config::read(&environment);
        let (dynamodb_config, queue_config) =
            (aws(&link.url(), redrive::DYNAMODB).await, aws(&sqs_link.url(), redrive::QUEUE).await);
        let cloudwatch = CloudWatch::default();
        let metrics = Metrics::read(&Environment::from([]), cloudwatch.clone()).unwrap();
        let redrive = Redrive::new(config.unwrap(), &dynamodb_config, &queue_config, metrics);
        let log = Log::default();
        let writer = log.clone();
        let lines = lambda::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        let _logging = tracing::subscriber::set_default(lines);
        Self { dynamodb, link, sqs, sqs_link, cloudwatch, redrive, tokens, log, _logging }
    }

    /// Runs the event source mapping once. Returns the number of messages that it handed over.
    async fn round(&self) -> usize {
        let taken = self.sqs.take();
        let batch: MessageBatch = serde_json::from_value(sqs::event(&taken)).unwrap();
        let answer = serde_json::to_value(self.redrive.handle(&batch, noon()).await).unwrap();
        self.sqs.settle(&taken, Some(&answer));
        taken.len()
    }

    async fn history(&self, entity: &str) -> Vec<StoredDelivery> {
        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        let day = Duration::from_secs(24 * 60 * 60);
        let listing = Listing {
            times: noon().minus(day)..noon().plus(day),
            order: Order::OldestFirst,
            after: None,
            page_size: 1_000,
        };
        reader.history(&Entity::named(entity), &listing).try_collect().await.unwrap()
    }
}

fn update(extra_info: u64) -> Value {
    json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": extra_info})
}

fn queued(second: u64, body: &[u8], token: TokenCheck) -> QueuedDelivery {
    QueuedDelivery { received: received(noon().plus(Duration::from_secs(second)), body), token }
}

/// The same delivery from another address, or from none that the gateway gave.
fn from_address(source_ip: Option<[u8; 4]>, mut delivery: QueuedDelivery) -> QueuedDelivery {
    delivery.received.source_ip = source_ip.map(Into::into);
    delivery
}

fn accepted(second: u64, body: &Value) -> QueuedDelivery {
    queued(second, body.to_string().as_bytes(), TokenCheck::Accepted)
}

#[tokio::test]
async fn deliveries_are_recorded_with_their_own_ids_and_times_once_however_often_they_come() {
    let world = World::start().await;
    let deliveries = [accepted(0, &update(1)), accepted(1, &update(2)), accepted(2, &update(2))];
    for delivery in deliveries.iter().chain(&deliveries) {
        world.sqs.send(&delivery.to_message());
    }
    while world.round().await > 0 {}
    let history = world.history(LINE).await;
    let ids: Vec<_> = history.iter().map(|delivery| (delivery.id, delivery.received_at)).collect();
    assert_eq!(ids, deliveries.map(|delivery| (delivery.received.id, delivery.received.received_at)));
    assert_eq!(world.sqs.queued().len(), 0);
    let state = Reader::new(world.dynamodb.client(), "events").state(&Entity::named(LINE)).await.unwrap().unwrap();
    assert_eq!((state.version + state.duplicates, state.extra_info().unwrap().as_str()), (3, "2"));
}

#[tokio::test]
async fn a_body_that_is_no_event_is_quarantined() {
    let world = World::start().await;
    world.sqs.send(&queued(0, b"\xff", TokenCheck::Accepted).to_message());
    world.round().await;
    assert_eq!(world.history("quarantine#2026-11-22").await.len(), 1);
    assert_eq!(world.sqs.queued().len(), 0);
}

#[tokio::test]
async fn while_the_table_has_no_accepted_token_no_delivery_is_taken_for_forged() {
    let world = World::start().await;
    let token = TokenCheck::Pending(TokenHash::of("the accepted token"));
    world.sqs.send(&queued(0, update(1).to_string().as_bytes(), token).to_message());
    assert_eq!(world.round().await, 1);
    assert_eq!((world.sqs.queued().len(), world.history(LINE).await.len()), (1, 0));
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    world.sqs.show_all();
    world.round().await;
    assert_eq!((world.sqs.queued().len(), world.history(LINE).await.len()), (0, 1));
}

#[tokio::test]
async fn of_those_with_a_token_to_check_the_genuine_are_recorded_and_the_forged_dropped() {
    let world = World::start().await;
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    for (second, token) in [(0, "the accepted token"), (1, "a forged token"), (2, "")] {
        let token = TokenCheck::Pending(TokenHash::of(token));
        world.sqs.send(&queued(second, update(second).to_string().as_bytes(), token).to_message());
    }
    world.round().await;
    let history = world.history(LINE).await;
    assert_eq!(history.iter().map(|delivery| delivery.received_at).collect::<Vec<_>>(), [noon()]);
    assert_eq!(world.sqs.queued().len(), 0);
}

#[tokio::test]
async fn deliveries_from_unlisted_addresses_are_held_once_their_token_is_checked_and_forged_ones_dropped() {
    let world = World::start().await;
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    let pending = |second, token| {
        queued(second, update(second).to_string().as_bytes(), TokenCheck::Pending(TokenHash::of(token)))
    };
    let unlisted = Some([192, 117, 146, 95]);
    for delivery in [
        from_address(unlisted, accepted(0, &update(0))),
        from_address(None, accepted(1, &update(1))),
        from_address(unlisted, pending(2, "the accepted token")),
        from_address(unlisted, pending(3, "a forged token")),
        accepted(4, &update(4)),
    ] {
        world.sqs.send(&delivery.to_message());
    }
    world.round().await;
    let held = world.history("quarantine#2026-11-22").await;
    let of_each: Vec<_> = held.iter().map(|held| (held.source_ip.as_str(), held.cause.as_deref())).collect();
    let cause = Some("unlisted_source");
    assert_eq!(of_each, [("192.117.146.95", cause), ("unknown", cause), ("192.117.146.95", cause)]);
    let recorded = world.history(LINE).await;
    assert_eq!(
        recorded.iter().map(|delivery| delivery.received_at).collect::<Vec<_>>(),
        [noon().plus(Duration::from_secs(4))]
    );
    assert_eq!(world.sqs.queued().len(), 0);
    let sum = |metric| world.cloudwatch.sum(metric, None).unwrap();
    assert_eq!((sum("Held"), sum("Undecodable"), sum("Quarantined")), (3.0, 0.0, 3.0));
    assert_eq!((sum("Redriven"), sum("Forged")), (4.0, 1.0));
}

#[tokio::test]
async fn a_compressed_event_is_recorded_and_a_damaged_stream_keeps_its_headers_in_quarantine() {
    const GZIP_OF_AN_EMPTY_OBJECT: [u8; 22] =
        [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
    let world = World::start().await;
    for (second, body) in [(0, &GZIP_OF_AN_EMPTY_OBJECT[..]), (1, &GZIP_OF_AN_EMPTY_OBJECT[..20])] {
        let mut delivery = queued(second, body, TokenCheck::Accepted);
        delivery.received.content_type = Some("application/json".to_owned());
        delivery.received.content_encoding = Some("gzip".to_owned());
        world.sqs.send(&delivery.to_message());
    }
    world.round().await;
    let quarantined = world.history("quarantine#2026-11-22").await;
    let headers = |delivery: &StoredDelivery| (delivery.content_type.clone(), delivery.content_encoding.clone());
    assert_eq!(
        quarantined.iter().map(headers).collect::<Vec<_>>(),
        [(Some("application/json".to_owned()), Some("gzip".to_owned()))]
    );
    assert_eq!(world.history("unnamed#-").await[0].body.as_deref(), Some("{}"));
}

#[tokio::test]
async fn a_delivery_received_while_its_token_was_accepted_is_recorded_however_late() {
    let world = World::start().await;
    let token = TokenHash::of("a token that was replaced");
    world.tokens.accept(&token, noon()).await.unwrap();
    world.tokens.retire(&token, noon().plus(Duration::from_secs(5))).await.unwrap();
    for second in [4, 5] {
        let body = update(second).to_string();
        world.sqs.send(&queued(second, body.as_bytes(), TokenCheck::Pending(token)).to_message());
    }
    world.round().await;
    let came: Vec<_> = world.history(LINE).await.iter().map(|delivery| delivery.received_at).collect();
    assert_eq!(came, [noon().plus(Duration::from_secs(4))]);
    assert_eq!(world.sqs.queued().len(), 0);
}

#[tokio::test]
async fn without_dynamodb_every_message_stays_and_waits_longer_each_time() {
    let world = World::start().await;
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    let pending = TokenCheck::Pending(TokenHash::of("the accepted token"));
    world.sqs.send(&accepted(0, &update(1)).to_message());
    world.sqs.send(&queued(1, update(2).to_string().as_bytes(), pending).to_message());
    world.link.hang();
    tokio::time::pause();
    for seconds in [15, 30, 60] {
        assert_eq!(world.round().await, 2);
        let hidden = world.sqs.hidden_for();
        let expected = Duration::from_secs(seconds - 2)..=Duration::from_secs(seconds);
        assert!(hidden.iter().all(|hidden| expected.contains(hidden)), "{hidden:?}");
        assert_eq!(world.sqs.queued().len(), 2);
        world.sqs.show_all();
    }
    tokio::time::resume();
    world.link.recover().unwrap();
    world.round().await;
    assert_eq!((world.history(LINE).await.len(), world.sqs.queued().len()), (2, 0));
}

#[tokio::test]
async fn without_sqs_a_message_that_cannot_be_recorded_stays_for_the_queues_own_time() {
    let world = World::start().await;
    world.sqs.send(&accepted(0, &update(1)).to_message());
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(world.round().await, 1);
    assert!(started.elapsed() <= Duration::from_secs(25), "{:?}", started.elapsed());
    assert_eq!(world.sqs.queued().len(), 1);
    assert!(world.sqs.hidden_for()[0] > Duration::from_secs(150));
}

#[tokio::test]
async fn an_unreadable_message_becomes_a_dead_letter_and_delays_nothing() {
    let world = World::start().await;
    world.sqs.send("poison");
    world.sqs.send(&accepted(0, &update(1)).to_message());
    assert_eq!(world.round().await, 2);
    assert_eq!((world.history(LINE).await.len(), world.sqs.queued()), (1, vec!["poison".to_owned()]));
    for _ in 1..redrive::MAX_RECEIVES {
        world.sqs.show_all();
        assert_eq!(world.round().await, 1);
    }
    world.sqs.show_all();
    assert_eq!(world.round().await, 0);
    assert_eq!((world.sqs.queued(), world.sqs.dead_letters()), (vec![], vec!["poison".to_owned()]));
}

#[tokio::test]
async fn a_delayed_event_does_not_revert_the_state() {
    let world = World::start().await;
    for second in [5, 1, 3] {
        world.sqs.send(&accepted(second, &update(second)).to_message());
        world.round().await;
    }
    let state = Reader::new(world.dynamodb.client(), "events").state(&Entity::named(LINE)).await.unwrap().unwrap();
    assert_eq!((state.version, state.extra_info().unwrap().as_str()), (3, "5"));
    assert_eq!(world.history(LINE).await.len(), 3);
}

#[tokio::test]
async fn each_message_of_a_batch_is_counted_once_by_its_outcome() {
    let world = World::start().await;
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    let pending = |token| TokenCheck::Pending(TokenHash::of(token));
    for message in [
        accepted(0, &update(1)),
        queued(1, update(2).to_string().as_bytes(), pending("the accepted token")),
        queued(2, update(3).to_string().as_bytes(), pending("a forged token")),
        accepted(3, &json!({"event": "voice", "whatsapp_apiKey": "123-456-789"})),
        queued(4, b"\xff", TokenCheck::Accepted),
    ] {
        world.sqs.send(&message.to_message());
    }
    world.sqs.send("poison");
    assert_eq!(world.round().await, 6);
    world.sqs.send(&accepted(5, &update(2)).to_message());
    world.round().await;

    let sum = |metric, dimension| world.cloudwatch.sum(metric, dimension).unwrap();
    assert_eq!((sum("Redriven", None), sum("Forged", None), sum("NotRedriven", None)), (5.0, 1.0, 1.0));
    let of = |kind| sum("Redriven", Some(("Kind", kind)));
    assert_eq!((of("whatsapp"), of("other"), of("voice")), (3.0, 2.0, 0.0));
    assert_eq!((sum("Duplicates", None), sum("Quarantined", None), sum("ColdStart", None)), (1.0, 1.0, 1.0));
    assert_eq!((sum("Undecodable", None), sum("Held", None)), (1.0, 0.0));
    let data = world.cloudwatch.data().unwrap();
    assert!(data.iter().all(|datum| datum.timestamp == noon().as_millis() && datum.namespace == "partner-webhook"));
    // Two kinds are two lines beside the one of the batch; the second batch has one kind.
    let lines = world.cloudwatch.lines().unwrap();
    assert_eq!(lines.len(), 3 + 1);
    assert!(lines.iter().all(|line| !line.contains("voice") && !line.contains("123-456-789")));
}

#[tokio::test]
async fn a_message_that_cannot_be_recorded_is_counted_at_each_attempt() {
    let world = World::start().await;
    world.sqs.send(&accepted(0, &update(1)).to_message());
    world.link.hang();
    tokio::time::pause();
    for _ in 0..2 {
        world.round().await;
        world.sqs.show_all();
    }
    tokio::time::resume();
    world.link.recover().unwrap();
    world.round().await;
    let sum = |metric| world.cloudwatch.sum(metric, None).unwrap();
    assert_eq!((sum("NotRedriven"), sum("Redriven")), (2.0, 1.0));
}

#[tokio::test]
async fn the_log_shows_the_outcome_of_each_message_and_no_secret() {
    let world = World::start().await;
    let pending = |second, token| {
        queued(second, update(second).to_string().as_bytes(), TokenCheck::Pending(TokenHash::of(token)))
    };
    world.sqs.send(&pending(0, "the accepted token").to_message());
    world.round().await;
    world.tokens.accept(&TokenHash::of("the accepted token"), noon()).await.unwrap();
    world.sqs.show_all();
    let with_key = accepted(1, &json!({"event": "builder", "builderID": 523, "builder_apiKey": API_KEY}));
    for delivery in [
        with_key.clone(),
        from_address(None, accepted(2, &update(2))),
        queued(3, b"\xff", TokenCheck::Accepted),
        pending(4, "a forged token"),
    ] {
        world.sqs.send(&delivery.to_message());
    }
    world.sqs.send("poison");
    world.round().await;
    world.sqs.send(&queued(5, &with_key.received.body, TokenCheck::Accepted).to_message());
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    world.round().await;
    tokio::time::resume();
    world.link.recover().unwrap();
    world.sqs_link.recover().unwrap();
    world.sqs.show_all();
    world.round().await;

    let mut said = world.log.said_by("redrive");
    // The messages of a batch have no order.
    said.sort();
    assert_eq!(
        said,
        [
            "ERROR the table has no accepted webhook token: run sync",
            "ERROR unreadable message in the fallback queue",
            "ERROR unreadable message in the fallback queue",
            "INFO duplicate redriven",
            "INFO event redriven",
            "INFO event redriven",
            "WARN delivery held: its source address is not on the list",
            "WARN delivery not checked yet",
            "WARN delivery not recorded yet",
            "WARN forged delivery dropped",
            "WARN redriven into quarantine",
            "WARN the next attempt of a message cannot be delayed",
        ]
    );
    assert!(!world.log.text().contains(API_KEY), "{}", world.log.text());
}

#[test]
fn the_template_has_the_numbers_that_the_code_counts_on() {
    let template = include_str!("../../../template.yaml");
    let after = |place: &str, name: &str| -> u64 {
        let (_, rest) = template.split_once(&format!("\n  {place}:\n")).unwrap();
        let (_, value) = rest.split_once(&format!(" {name}: ")).unwrap();
        value.lines().next().unwrap().parse().unwrap()
    };
    let visibility = after("FallbackQueue", "VisibilityTimeout");
    assert_eq!(after("FallbackQueue", "maxReceiveCount"), u64::from(redrive::MAX_RECEIVES));
    assert_eq!((after("RedriveFunction", "Timeout"), visibility), (30, 6 * 30));
    let rules = Rules::default();
    assert_eq!((rules.visibility.as_secs(), rules.most_receives), (visibility, redrive::MAX_RECEIVES));
}

#[tokio::test]
async fn of_every_sample_batch_as_many_messages_are_left_as_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/redrive");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 5, "only {} samples", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let batch: MessageBatch = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let world = World::start().await;
        world.tokens.accept(&TokenHash::of("local-sample-token-0123456789abcdef"), noon()).await.unwrap();
        let answer = serde_json::to_value(world.redrive.handle(&batch, noon()).await).unwrap();
        let left = answer["batchItemFailures"].as_array().unwrap().len().to_string();
        assert_eq!(left, name[..1], "{name}: {answer}");
    }
}
