//! A stand-in for the place where CloudFormation takes the answer to a custom resource's request.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::put,
};
use serde_json::Value;

use crate::server::Server;

/// A running stand-in; it ends when this is dropped.
pub struct CloudFormation {
    server: Server,
    answers: Answers,
}

#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    answers: Vec<Value>,
    /// The number of answers still to be refused.
    refuse: usize,
}

impl CloudFormation {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts one on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails if the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let answers = Answers::default();
        let router = Router::new().route("/answer", put(take)).with_state(answers.clone());
        Ok(Self { server: Server::start(port, router).await?, answers })
    }

    /// Returns the `ResponseURL` for a request, with its signature.
    pub fn response_url(&self) -> String {
        format!("{}/answer?X-Amz-Signature=signature-of-the-stand-in", self.server.url())
    }

    /// Refuses this many of the next answers.
    pub fn refuse(&self, answers: usize) {
        self.answers.lock().refuse = answers;
    }

    /// Returns the answers since the last call.
    pub fn take_answers(&self) -> Vec<Value> {
        std::mem::take(&mut self.answers.lock().answers)
    }
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an answer as S3 does. The URL is signed for a request without a content type, so one with a content type is refused.
async fn take(State(answers): State<Answers>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut taken = answers.lock();
    if taken.refuse > 0 {
        taken.refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| !kind.is_empty()) {
        return StatusCode::FORBIDDEN;
    }
    match serde_json::from_slice(&body) {
        Ok(answer) => {
            taken.answers.push(answer);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
