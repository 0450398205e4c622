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

use crate::{sdk, server::Server};

/// Maximum number of entries in a request.
const MAX_ENTRIES: usize = 10;

/// Maximum size of all entries of a request, in bytes.
const MAX_SIZE: usize = 256 * 1024;

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
                if let Some(file) = &mut log.log_file {
                    let line = json!({"source": source, "detail-type": detail_type, "detail": detail});
                    // A full disk must not change the answer.
                    let _ = writeln!(file, "{line}");
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
