//! A stand-in for EventBridge: accepts the entries of `PutEvents` in the real wire format, so that the real SDK works with it,
//! and shows them to tests.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_eventbridge::Client;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use tokio::sync::mpsc;

use crate::{
    pattern::{InvalidPattern, Pattern},
    sdk,
    server::Server,
};

/// Maximum number of entries in a request.
const MAX_ENTRIES: usize = 10;

/// Maximum size of all entries of a request, in bytes.
const MAX_SIZE: usize = 256 * 1024;

/// The pattern of the rule in template.yaml that has sync check a line whose API key has arrived.
pub const NEW_KEY_PATTERN: &str = r#"{"source":["partner-webhook"],"detail-type":["whatsapp"],"detail":{"entity":[{"anything-but":["whatsapp#-"]}],"has_api_key":[true],"origin":["delivered"],"replayed":[{"exists":false}]}}"#;

/// A running stand-in; dropping it ends it.
#[derive(Debug)]
pub struct EventBus {
    server: Server,
    state: Shared,
}

/// An accepted entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name of the bus.
    pub bus: String,
    /// `source`.
    pub source: String,
    /// `detail-type`.
    pub detail_type: String,
    /// `detail`.
    pub detail: Value,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    requests: usize,
    /// Error codes for the next entries, one each; `None` accepts an entry.
    refusals: Vec<Option<&'static str>>,
    /// A request that contains this text is refused as a whole.
    poison: Option<String>,
    /// A line for each accepted entry goes there.
    log_file: Option<File>,
    rules: Vec<Rule>,
}

/// A rule: the entries that match are sent on.
#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    target: mpsc::UnboundedSender<Value>,
}

impl EventBus {
    /// Starts a stand-in on a free port of the loopback interface.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts a stand-in on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails when the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let state = Shared::default();
        let router =
            Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(4 * MAX_SIZE)).with_state(state.clone());
        Ok(Self { server: Server::start(port, router).await?, state })
    }

    /// Returns the address, for `AWS_ENDPOINT_URL_EVENTBRIDGE`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Writes a line of JSON for each accepted entry into a file, from now on.
    pub fn log_to(&self, file: File) {
        self.state.lock().log_file = Some(file);
    }

    /// Returns the entries that match a pattern, from now on, as a rule's target without an input transformer gets them.
    ///
    /// # Errors
    /// Fails when the text is not a pattern.
    pub fn rule(&self, pattern: &str) -> Result<mpsc::UnboundedReceiver<Value>, InvalidPattern> {
        let (target, matching) = mpsc::unbounded_channel();
        self.state.lock().rules.push(Rule { pattern: Pattern::parse(pattern)?, target });
        Ok(matching)
    }

    /// Returns the accepted entries, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.state.lock().entries.clone()
    }

    /// Returns the number of requests.
    pub fn requests(&self) -> usize {
        self.state.lock().requests
    }

    /// Answers the next entries with these error codes, one each; `None` accepts an entry.
    pub fn refuse(&self, codes: impl IntoIterator<Item = Option<&'static str>>) {
        self.state.lock().refusals.extend(codes);
    }

    /// Refuses every request with an entry that contains this text, as a whole, as EventBridge does when it cannot read a request.
    pub fn refuse_requests_with(&self, text: &str) {
        self.state.lock().poison = Some(text.to_owned());
    }
}

/// Returns a client of the stand-in at an address.
pub fn client(url: &str) -> Client {
    Client::new(&sdk::plain(url))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    entries: Vec<RequestEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RequestEntry {
    event_bus_name: String,
    source: String,
    detail_type: String,
    detail: String,
}

async fn answer(State(state): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get("x-amz-target").and_then(|target| target.to_str().ok()) != Some("AWSEvents.PutEvents") {
        return refuse("UnknownOperationException", "this stand-in has only PutEvents");
    }
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return refuse("ValidationException", "the request cannot be read");
    };
    let size: usize = request
        .entries
        .iter()
        .map(|entry| 14 + entry.source.len() + entry.detail_type.len() + entry.detail.len())
        .sum();
    if request.entries.is_empty() || request.entries.len() > MAX_ENTRIES || size > MAX_SIZE {
        return refuse("ValidationException", "a request must have from 1 to 10 entries, and at most 256 KB");
    }
    let mut log = state.lock();
    log.requests += 1;
    if log.poison.as_ref().is_some_and(|poison| request.entries.iter().any(|entry| entry.detail.contains(poison))) {
        return refuse("ValidationException", "the request has an invalid entry");
    }
    let mut results = Vec::new();
    for entry in request.entries {
        let planned = if log.refusals.is_empty() { None } else { log.refusals.remove(0) };
        let detail = serde_json::from_str::<Value>(&entry.detail).ok().filter(Value::is_object);
        let refusal = planned.or(detail.is_none().then_some("MalformedDetail"));
        results.push(match (refusal, detail) {
            (None, Some(detail)) => {
                let RequestEntry { event_bus_name: bus, source, detail_type, .. } = entry;
                let event = json!({"source": source, "detail-type": detail_type, "detail": detail});
                if let Some(file) = &mut log.log_file {
                    // A full disk must not change the answer.
                    let _ = writeln!(file, "{event}");
                }
                for rule in log.rules.iter().filter(|rule| rule.pattern.matches(&event)) {
                    // A rule whose target is gone has no effect.
                    let _ = rule.target.send(event.clone());
                }
                log.entries.push(Entry { bus, source, detail_type, detail });
                json!({"EventId": format!("event-{}", log.entries.len())})
            }
            (code, _) => json!({"ErrorCode": code, "ErrorMessage": "refused by the stand-in"}),
        });
    }
    let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
    let answer = json!({"FailedEntryCount": failed, "Entries": results});
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

fn refuse(kind: &str, message: &str) -> Response {
    let answer = json!({"__type": kind, "message": message});
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;

    use super::*;

    #[tokio::test]
    async fn a_rule_gets_the_entries_that_match_its_pattern() {
        let bus = EventBus::start().await.unwrap();
        let mut matching = bus.rule(NEW_KEY_PATTERN).unwrap();
        for detail in [
            json!({"entity": "whatsapp#1", "origin": "delivered", "has_api_key": false}),
            json!({"entity": "whatsapp#2", "origin": "reconciled", "has_api_key": true}),
            json!({"entity": "whatsapp#3", "origin": "delivered", "has_api_key": true, "replayed": true}),
            json!({"entity": "whatsapp#-", "origin": "delivered", "has_api_key": true}),
            json!({"entity": "whatsapp#4", "origin": "delivered", "has_api_key": true}),
        ] {
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name("local")
                .source("partner-webhook")
                .detail_type("whatsapp")
                .detail(detail.to_string())
                .build();
            client(&bus.url()).put_events().entries(entry).send().await.unwrap();
        }
        assert_eq!(matching.try_recv().unwrap()["detail"]["entity"], "whatsapp#4");
        assert!(matching.try_recv().is_err());
        assert!(bus.rule("[]").is_err());
    }
}
