//! A stand-in for Lambda: functions that are invoked by name, each in as many environments as its calls need.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::runtime_api::{Function, MAX_PAYLOAD, Outcome, Setup};

/// The maximum number of environments of a function, as an account's concurrency limits it on AWS.
const MAX_ENVIRONMENTS: usize = 4;

/// The functions. A clone has the same.
#[derive(Clone)]
pub struct Lambda(Arc<Functions>);

struct Functions {
    by_name: BTreeMap<&'static str, Deployed>,
    log_file: File,
    process_group: Option<i32>,
}

/// A function, once it is deployed.
struct Deployed {
    /// The current setup, with the number of its deployment.
    setup: watch::Sender<Option<(u64, Setup)>>,
    /// The environments that wait for an event, each with the number of its deployment.
    idle: Mutex<Vec<(u64, Function)>>,
    free: Semaphore,
}

impl Lambda {
    /// Knows functions by these names, none of them deployed yet. What they write goes to a file. Their processes join a process group.
    pub fn new(names: &[&'static str], log_file: File, process_group: Option<i32>) -> Self {
        let none = || Deployed {
            setup: watch::Sender::new(None),
            idle: Mutex::default(),
            free: Semaphore::new(MAX_ENVIRONMENTS),
        };
        let by_name = names.iter().map(|name| (*name, none())).collect();
        Self(Arc::new(Functions { by_name, log_file, process_group }))
    }

    /// Deploys a function, in place of what was deployed before. Environments that handle an event end after it.
    pub fn deploy(&self, name: &str, setup: Setup) {
        let Some(function) = self.0.by_name.get(name) else { return };
        function.setup.send_modify(|deployed| {
            let number = deployed.as_ref().map_or(0, |(number, _)| number + 1);
            *deployed = Some((number, setup));
        });
        function.idle().clear();
    }

    /// Hands a function an event, and waits for the outcome: for an environment, for its deployment, and for its answer.
    /// `None` when there is no function of this name.
    pub async fn invoke(&self, name: &str, event: String) -> Option<Outcome> {
        let (name, _) = self.0.by_name.get_key_value(name)?;
        let (name, functions) = (*name, Arc::clone(&self.0));
        // Lambda continues even if the caller does not wait.
        let invoked = tokio::spawn(async move { functions.invoke(name, &event).await });
        Some(invoked.await.ok().and_then(Result::ok).unwrap_or(Outcome::Died))
    }

    /// Returns the ids of a function's processes that wait for an event.
    pub fn waiting_processes(&self, name: &str) -> Vec<u32> {
        let idle = self.0.by_name.get(name).map(Deployed::idle);
        idle.iter()
            .flat_map(|idle| idle.iter())
            .filter_map(|(_, environment)| environment.settled_process_id())
            .collect()
    }

    /// Returns Lambda's API for invoking a function. An error of the function is a 500 here, as `cargo lambda` expects it.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
            .with_state(self.clone())
    }
}

impl Functions {
    async fn invoke(&self, name: &str, event: &str) -> io::Result<Outcome> {
        let function = &self.by_name[name];
        let _permit = function.free.acquire().await.map_err(io::Error::other)?;
        let (number, setup) = function.deployed().await?;
        let idle = function.idle().pop();
        let environment = match idle {
            Some((of, environment)) if of == number => environment,
            _ => Function::new(setup, Some(self.log_file.try_clone()?), self.process_group).await?,
        };
        environment.init().await;
        let (outcome, _) = environment.invoke(event).await;
        if function.number() == Some(number) {
            function.idle().push((number, environment));
        }
        Ok(outcome)
    }
}

impl Deployed {
    fn idle(&self) -> MutexGuard<'_, Vec<(u64, Function)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> Option<u64> {
        self.setup.borrow().as_ref().map(|(number, _)| *number)
    }

    async fn deployed(&self) -> io::Result<(u64, Setup)> {
        let mut deployed = self.setup.subscribe();
        let setup = deployed.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        setup.ok_or_else(|| io::Error::other("nothing is deployed"))
    }
}

async fn invoke(State(lambda): State<Lambda>, Path(name): Path<String>, body: Bytes) -> Response {
    let Ok(event) = String::from_utf8(body.into()) else {
        return answer(StatusCode::BAD_REQUEST, &error("InvalidRequestContentException", "the event is not UTF-8"));
    };
    match lambda.invoke(&name, event).await {
        Some(Outcome::Answer(value)) => answer(StatusCode::OK, &value),
        Some(Outcome::Error(value)) => answer(StatusCode::INTERNAL_SERVER_ERROR, &value),
        Some(Outcome::Died) => {
            let ended = error("Runtime.ExitError", "the function ended, or ran out of time, before it answered");
            answer(StatusCode::INTERNAL_SERVER_ERROR, &ended)
        }
        None => answer(StatusCode::NOT_FOUND, &error("ResourceNotFoundException", "there is no such function")),
    }
}

fn error(kind: &str, message: &str) -> Value {
    json!({ "errorType": kind, "errorMessage": message })
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
