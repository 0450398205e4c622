//! A stand-in for the partner's endpoint: accepts signed events, verifies them as a consumer would, and misbehaves on command.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::stream;
use serde_json::json;
use standardwebhooks::Webhook;

use crate::server::Server;

/// A running endpoint; dropping it ends it.
#[derive(Debug)]
pub struct Endpoint {
    server: Server,
    state: Shared,
}

/// A received call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The header `webhook-id`.
    pub id: String,
    /// The header `webhook-received-at`.
    pub received_at: String,
    /// The header `webhook-signature`; empty when the call has none.
    pub signature: String,
    /// True when a signature in the call was made with the endpoint's secret, a short time ago.
    pub is_verified: bool,
    /// The body.
    pub body: String,
    /// The status of the answer.
    pub status: u16,
}

/// The endpoint's answer to a call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status and no headers of interest.
    Status(u16),
    /// A status and `Retry-After`.
    RetryAfter(u16, String),
    /// A redirect to an address.
    Redirect(String),
    /// With a status and the body of the call.
    Echo(u16),
    /// Status 200 after this time.
    After(Duration),
    /// A status, and a body without an end.
    Endless(u16),
}

#[derive(Clone, Debug, Default)]
struct Shared {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    secret: String,
    received: Vec<Received>,
    /// Replies to the next calls, one each; later calls are answered 200.
    replies: VecDeque<Reply>,
    /// The replies to every call with these event ids.
    always: HashMap<String, Reply>,
    /// The status for the first call with each event id.
    first: Option<u16>,
    /// The endpoint answers 401 to a call whose signature is not good.
    refuses_forged: bool,
    /// A line for each call goes there.
    log_file: Option<File>,
}

impl Endpoint {
    /// Starts an endpoint on a free port of the loopback interface. It verifies with this secret.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(secret: &str) -> io::Result<Self> {
        Self::start_on(0, secret).await
    }

    /// Starts an endpoint on a port of the loopback interface. It verifies with this secret.
    ///
    /// # Errors
    /// Fails when the port is taken.
    pub async fn start_on(port: u16, secret: &str) -> io::Result<Self> {
        let state = Shared::default();
        state.lock().secret = secret.to_owned();
        let router = Router::new().route("/events", post(answer)).with_state(state.clone());
        Ok(Self { server: Server::start(port, router).await?, state })
    }

    /// Answers 401 to a call whose signature is not good, from now on.
    pub fn refuse_forged(&self) {
        self.state.lock().refuses_forged = true;
    }

    /// Writes a line of JSON for each call into a file, from now on.
    pub fn log_to(&self, file: File) {
        self.state.lock().log_file = Some(file);
    }

    /// Verifies with another secret from now on.
    pub fn verify_with(&self, secret: &str) {
        self.state.lock().secret = secret.to_owned();
    }

    /// Returns the URL, for `FORWARD_URL`.
    pub fn url(&self) -> String {
        format!("{}/events", self.server.url())
    }

    /// Returns all received calls, in order.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().received.clone()
    }

    /// Returns the ids of the calls that were answered 2xx, in order.
    pub fn taken(&self) -> Vec<String> {
        let log = self.state.lock();
        let taken = log.received.iter().filter(|call| (200..300).contains(&call.status));
        taken.map(|call| call.id.clone()).collect()
    }

    /// Sets the replies to the next calls, one each.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().replies.extend(replies);
    }

    /// Answers the first call with each event id with this status, from now on.
    pub fn reply_first(&self, status: u16) {
        self.state.lock().first = Some(status);
    }

    /// Sets the reply to every call with an event id; `None` ends all of these.
    pub fn always(&self, reply: Option<(&str, Reply)>) {
        let always = &mut self.state.lock().always;
        match reply {
            Some((id, reply)) => _ = always.insert(id.to_owned(), reply),
            None => always.clear(),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(state): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let id = text("webhook-id");
    let reply = {
        let mut log = state.lock();
        let always = log.always.get(&id).cloned();
        let is_first = log.received.iter().all(|call| call.id != id);
        let first = log.first.filter(|_| is_first).map(Reply::Status);
        always.or(first).or_else(|| log.replies.pop_front()).unwrap_or(Reply::Status(200))
    };
    if let Reply::After(pause) = reply {
        tokio::time::sleep(pause).await;
    }
    let status = {
        let mut log = state.lock();
        let is_verified = Webhook::new(&log.secret).is_ok_and(|webhook| webhook.verify(&body, &headers).is_ok());
        let status = match reply {
            _ if log.refuses_forged && !is_verified => 401,
            Reply::Status(status) | Reply::RetryAfter(status, _) | Reply::Echo(status) | Reply::Endless(status) => {
                status
            }
            Reply::Redirect(_) => 307,
            Reply::After(_) => 200,
        };
        let call = Received {
            id,
            received_at: text("webhook-received-at"),
            signature: text("webhook-signature"),
            is_verified,
            body: String::from_utf8_lossy(&body).into_owned(),
            status,
        };
        if let Some(file) = &mut log.log_file {
            let Received { id, received_at, is_verified, body, status, .. } = &call;
            let line = json!({
                "id": id, "received_at": received_at, "signature_good": is_verified, "status": status, "body": body,
            });
            // A full disk must not change the answer.
            let _ = writeln!(file, "{line}");
        }
        log.received.push(call);
        status
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match reply {
        Reply::RetryAfter(_, value) => (status, [(header::RETRY_AFTER, value)]).into_response(),
        Reply::Redirect(to) => (status, [(header::LOCATION, to)]).into_response(),
        Reply::Echo(_) => (status, body).into_response(),
        Reply::Endless(_) => {
            let lines = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(b"and so on\n")));
            (status, Body::from_stream(lines)).into_response()
        }
        Reply::Status(_) | Reply::After(_) => status.into_response(),
    }
}
