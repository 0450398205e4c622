//! A stand-in for the partner's endpoint: accepts signed events, verifies them as a consumer would, and misbehaves on command.

use std::{
    collections::{HashMap, VecDeque},
    io,
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
use standardwebhooks::Webhook;
use tokio::sync::Notify;

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
    came: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Log {
    secret: String,
    received: Vec<Received>,
    /// Replies to the next calls, one each; later calls are answered 200.
    replies: VecDeque<Reply>,
    /// The replies to every call with these event ids.
    always: HashMap<String, Reply>,
}

impl Endpoint {
    /// Starts an endpoint on a free port of the loopback interface. It verifies with this secret.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(secret: &str) -> io::Result<Self> {
        let state = Shared::default();
        state.lock().secret = secret.to_owned();
        let router = Router::new().route("/events", post(answer)).with_state(state.clone());
        Ok(Self { server: Server::start(0, router).await?, state })
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

    /// Sets the reply to every call with an event id; `None` ends all of these.
    pub fn always(&self, reply: Option<(&str, Reply)>) {
        let always = &mut self.state.lock().always;
        match reply {
            Some((id, reply)) => _ = always.insert(id.to_owned(), reply),
            None => always.clear(),
        }
    }

    /// Waits until this many calls have been answered 2xx.
    pub async fn has_taken(&self, number: usize) {
        loop {
            let came = self.state.came.notified();
            if self.taken().len() >= number {
                return;
            }
            came.await;
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
        always.or_else(|| log.replies.pop_front()).unwrap_or(Reply::Status(200))
    };
    if let Reply::After(pause) = reply {
        tokio::time::sleep(pause).await;
    }
    let status = match reply {
        Reply::Status(status) | Reply::RetryAfter(status, _) | Reply::Echo(status) | Reply::Endless(status) => status,
        Reply::Redirect(_) => 307,
        Reply::After(_) => 200,
    };
    {
        let mut log = state.lock();
        let is_verified = Webhook::new(&log.secret).is_ok_and(|webhook| webhook.verify(&body, &headers).is_ok());
        let call = Received {
            id,
            received_at: text("webhook-received-at"),
            signature: text("webhook-signature"),
            is_verified,
            body: String::from_utf8_lossy(&body).into_owned(),
            status,
        };
        log.received.push(call);
    }
    state.came.notify_waiters();
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
