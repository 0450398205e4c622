//! The functions' binaries between misbehaving peers, and the assertions that hold after every failure.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a failed step should end the test")]

pub mod sync;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    dynamodb::DynamoDb,
    faults::Faults,
    runtime_api::{Function, Outcome, Setup},
    sqs::{self, Rules, Sqs},
};
use fixtures::{ENVIRONMENT, FINGERPRINT_KEY};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, Event, QueuedDelivery, Timestamp, TokenHash};
use store::{AcceptedTokens, Listing, Order, Reader, StoredDelivery};

pub const TOKEN: &str = "local-sample-token-0123456789abcdef";
pub const FORGED: &str = "a-token-that-nobody-has-accepted";
/// An address that is not on the list.
pub const UNLISTED: &str = "192.117.146.95";

/// Maximum time from a request to its answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// A part of every API key that is sent, by which a leaked key is found.
const SECRET: &str = "secret-of-a-client";

pub struct World {
    pub dynamodb: DynamoDb,
    pub to_dynamodb: Faults,
    pub sqs: Sqs,
    pub to_sqs: Faults,
}

/// The answer that the caller of the webhook got.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `None` when the function died.
    pub status: Option<u64>,
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    /// The id of an event that was acknowledged.
    pub fn id(&self) -> Option<String> {
        (self.status == Some(200)).then(|| self.body["id"].as_str().unwrap().to_owned())
    }
}

/// A line's update with an API key.
pub fn update(line: usize, extra_info: usize) -> Value {
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": (972_500_000_000 + line).to_string(),
        "whatsapp_reference": format!("client-{line}"), "whatsapp_extra_info": extra_info,
        "whatsapp_apiKey": format!("{SECRET}-{line}"),
    })
}

/// The gateway's event of a call with this body.
pub fn call(body: &Value) -> String {
    call_with_token(body, TOKEN)
}

/// The same call from an address that is not on the list.
pub fn call_from_elsewhere(body: &Value) -> String {
    call(body).replace("34.165.99.212", UNLISTED)
}

pub fn call_with_token(body: &Value, token: &str) -> String {
    let path = format!("/webhook/{token}");
    json!({
        "resource": "/webhook/{token}", "path": path, "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"}, "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": {"token": token}, "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef1234", "httpMethod": "POST", "path": format!("/v1{path}"),
            "identity": {"sourceIp": "34.165.99.212"}, "protocol": "HTTP/1.1", "requestId": "request-1",
            "resourceId": "x1y2z3", "resourcePath": "/webhook/{token}", "stage": "v1",
        },
        "body": body.to_string(), "isBase64Encoded": false,
    })
    .to_string()
}

impl World {
    /// Everything healthy, the token accepted, nothing recorded.
    pub async fn start() -> Self {
        Self::with_rules(Rules::default()).await
    }

    pub async fn with_rules(rules: Rules) -> Self {
        let dynamodb = DynamoDb::start().await.unwrap();
        let tokens = AcceptedTokens::new(dynamodb.client(), dynamodb.events_table());
        let long_ago: Timestamp = "2026-01-01T00:00:00.000000Z".parse().unwrap();
        tokens.accept(&TokenHash::of(TOKEN), long_ago).await.unwrap();
        let to_dynamodb = Faults::before(&dynamodb.url()).await.unwrap();
        let sqs = Sqs::start(rules).await.unwrap();
        let to_sqs = Faults::before(&sqs.url()).await.unwrap();
        Self { dynamodb, to_dynamodb, sqs, to_sqs }
    }

    pub async fn receiver(&self) -> Function {
        self.receiver_with_dynamodb(&self.to_dynamodb.url()).await
    }

    pub async fn receiver_with_dynamodb(&self, url: &str) -> Function {
        Function::start(self.receiver_setup(url)).await.unwrap()
    }

    /// The receiver, with DynamoDB at an address.
    pub fn receiver_setup(&self, dynamodb: &str) -> Setup {
        let mut environment = self.environment();
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.to_owned()));
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_receiver-under-test"));
        Setup { binary, environment, timeout: Duration::from_secs(5) }
    }

    pub async fn redrive(&self) -> Function {
        let mut environment = self.environment();
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.to_dynamodb.url()));
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_redrive-under-test"));
        Function::start(Setup { binary, environment, timeout: Duration::from_secs(30) }).await.unwrap()
    }

    /// Sync, with these besides what all functions have.
    pub async fn sync(&self, more: &[(&str, String)]) -> Function {
        let mut environment = self.environment();
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.to_dynamodb.url()));
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_sync-under-test"));
        Function::start(Setup { binary, environment, timeout: Duration::from_secs(120) }).await.unwrap()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let (queue, sqs) = (self.sqs.queue_url(), self.to_sqs.url());
        let own = [("FALLBACK_QUEUE_URL", queue.as_str()), ("AWS_ENDPOINT_URL_SQS", &sqs)];
        ENVIRONMENT.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Runs the event source mapping once. Returns the number of messages that were handed over.
    pub async fn redrive_round(&self, redrive: &Function) -> usize {
        let taken = self.sqs.take();
        if !taken.is_empty() {
            let (outcome, _) = redrive.invoke(&sqs::event(&taken).to_string()).await;
            let answer = match &outcome {
                Outcome::Answer(answer) => Some(answer),
                Outcome::Error(_) | Outcome::Died => None,
            };
            self.sqs.settle(&taken, answer);
        }
        taken.len()
    }

    /// Removes all faults, and lets redrive work until the queue is empty.
    pub async fn recover_and_drain(&self) -> Function {
        self.to_dynamodb.recover().unwrap();
        self.to_sqs.recover().unwrap();
        let redrive = self.redrive().await;
        for _ in 0..1_000 {
            self.sqs.show_all();
            if self.redrive_round(&redrive).await == 0 {
                break;
            }
        }
        assert_eq!(self.sqs.queued().len(), 0, "the queue does not become empty: {:#?}", redrive.log());
        redrive
    }

    /// The ids of the deliveries in the queue.
    pub fn queued_ids(&self) -> Vec<String> {
        let id = |message: &String| QueuedDelivery::from_message(message).unwrap().received.id.to_string();
        self.sqs.queued().iter().map(id).collect()
    }

    /// The ids of the deliveries in the table, as often as they are in it.
    pub async fn stored_ids(&self) -> Vec<String> {
        let id =
            |item: &HashMap<String, AttributeValue>| Some(item["sk"].as_s().ok()?.strip_prefix("event#")?.to_owned());
        self.items("events").await.iter().filter_map(id).collect()
    }

    pub async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let scan = self.dynamodb.client().scan().table_name(table).consistent_read(true);
        scan.into_paginator().items().send().try_collect().await.unwrap()
    }

    /// Returns the place of an event: table, queue, both, or nowhere.
    pub async fn whereabouts(&self, id: &str) -> &'static str {
        match (
            self.stored_ids().await.iter().any(|stored| stored == id),
            self.queued_ids().iter().any(|queued| queued == id),
        ) {
            (true, true) => "table, queue",
            (true, false) => "table",
            (false, true) => "queue",
            (false, false) => "nowhere",
        }
    }

    /// Asserts that deliveries from unlisted addresses are held, and no others.
    pub async fn check_held(&self) {
        for item in self.items("events").await.iter().filter(|item| item.contains_key("source_ip")) {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
            let held = text("cause") == Some("unlisted_source");
            assert_eq!(held, text("source_ip") == Some(UNLISTED), "{item:?}");
            assert_eq!(held, text("pk").is_some_and(|pk| pk.starts_with("quarantine#")), "{item:?}");
        }
    }

    /// Asserts, before the queue is drained, that everything acknowledged is stored or queued.
    pub async fn check_kept(&self, answers: &[Answer]) {
        let kept: HashSet<String> = self.stored_ids().await.into_iter().chain(self.queued_ids()).collect();
        for id in answers.iter().filter_map(Answer::id) {
            assert!(kept.contains(&id), "{id} was acknowledged and is neither stored nor queued");
        }
    }

    /// Asserts everything that must hold in the end. `answers` are the answers to `calls` genuine calls.
    pub async fn check_all(&self, calls: usize, answers: &[Answer], functions: &[&Function]) {
        let stored = self.stored_ids().await;
        let distinct: HashSet<&String> = stored.iter().collect();
        assert_eq!(stored.len(), distinct.len(), "an event is in the table twice");
        for id in answers.iter().filter_map(Answer::id) {
            assert!(distinct.contains(&id), "{id} was acknowledged and is not stored");
        }
        assert!(stored.len() <= calls, "{} events are stored of {calls} calls", stored.len());
        assert_eq!(self.sqs.dead_letters().len(), 0);
        for answer in answers {
            assert!(answer.took <= ANSWER_WITHIN, "answered after {:?}", answer.took);
        }
        self.check_states().await;
        self.check_secrets(functions).await;
    }

    /// Asserts that every state is the result of its history.
    pub async fn check_states(&self) {
        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        let items = self.items("events").await;
        let entities: HashSet<&String> = items.iter().filter_map(|item| item["pk"].as_s().ok()).collect();
        let sealed = self.items("sealed").await;
        let key = |item: &HashMap<_, AttributeValue>, name| item[name].as_s().unwrap().clone();
        let mut sealed: HashSet<(String, String)> =
            sealed.iter().map(|item| (key(item, "pk"), key(item, "sk"))).collect();
        for pk in entities.into_iter().filter(|pk| pk.contains('#')) {
            let entity = Entity::named(pk);
            let history = self.history(&reader, &entity).await;
            for delivery in &history {
                let seals = delivery.body.as_ref().is_none_or(|body| body.contains("[sealed]"));
                if seals && delivery.duplicate_of.is_none() {
                    let key = (pk.clone(), format!("event#{}", delivery.id));
                    assert!(sealed.remove(&key), "the secret of {} is not sealed", delivery.id);
                }
            }
            let Some(state) = reader.state(&entity).await.unwrap() else {
                assert!(pk.starts_with("quarantine#"), "{pk} has no state");
                continue;
            };
            let duplicates = history.iter().filter(|delivery| delivery.duplicate_of.is_some()).count();
            assert_eq!(
                (state.version, state.duplicates),
                ((history.len() - duplicates) as u64, duplicates as u64),
                "the counts of {pk} do not add up"
            );
            let fields: BTreeMap<_, _> =
                state.fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
            assert_eq!(fields, fold(&history), "the state of {pk} does not follow from its history");
            let ids: HashSet<_> = history.iter().map(|delivery| delivery.id).collect();
            for delivery in &history {
                if let Some(of) = delivery.duplicate_of {
                    assert!(ids.contains(&of), "{} is a duplicate of {of}, which does not exist", delivery.id);
                    let original = history.iter().find(|other| other.id == of).unwrap();
                    assert_eq!(original.fingerprint, delivery.fingerprint);
                    assert_eq!(original.duplicate_of, None);
                }
            }
        }
        assert!(sealed.is_empty(), "a sealed item belongs to no event: {sealed:?}");
    }

    pub async fn history(&self, reader: &Reader, entity: &Entity) -> Vec<StoredDelivery> {
        let (first, last) = (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX));
        let listing = Listing { times: first..last, order: Order::OldestFirst, after: None, page_size: 1_000 };
        reader.history(entity, &listing).try_collect().await.unwrap()
    }

    /// Asserts that secrets are in the sealed table and in the queue alone.
    async fn check_secrets(&self, functions: &[&Function]) {
        let mut open = format!("{:?}", self.items("events").await);
        for function in functions {
            open.push_str(&function.log().join("\n"));
        }
        for secret in [SECRET, TOKEN, FORGED, FINGERPRINT_KEY] {
            assert!(!open.contains(secret), "{secret:?} is in the events table or in a log");
        }
        // The queue has bodies, but no token.
        let queued = self.sqs.queued().concat();
        assert!(!queued.contains(TOKEN) && !queued.contains(FORGED));
    }
}

/// The rule of the state: each field has the value of the last delivery with that field.
fn fold(history: &[StoredDelivery]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for delivery in history {
        let event = Event::decode(delivery.body.as_ref().unwrap().as_bytes()).unwrap();
        let documented = event.fields.documented().iter().map(|(name, value)| (name.clone(), value.to_string()));
        let undocumented =
            event.fields.undocumented().iter().map(|(name, value)| (format!("other.{name}"), value.to_string()));
        fields.extend(documented.chain(undocumented));
    }
    fields
}

/// Sends a call and reads the answer.
pub async fn send(receiver: &Function, call: &str) -> Answer {
    let (outcome, took) = receiver.invoke(call).await;
    match outcome {
        Outcome::Answer(answer) => {
            let body = answer["body"].as_str().unwrap_or_default();
            let body = serde_json::from_str(body).unwrap_or(Value::Null);
            Answer { status: answer["statusCode"].as_u64(), body, took }
        }
        Outcome::Error(error) => panic!("the receiver reported an error: {error}"),
        Outcome::Died => Answer { status: None, body: Value::Null, took },
    }
}

/// Returns whether the function logs a line with all of these texts. Its log comes through a pipe and may be a moment late.
pub async fn logged(function: &Function, texts: &[&str]) -> bool {
    for _ in 0..100 {
        if function.log().iter().any(|line| texts.iter().all(|text| line.contains(text))) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
