//! A stand-in for AWS Secrets Manager, in the wire format of the real SDK: it reads a secret, adds a version to it, and moves
//! a version's staging labels.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_secretsmanager::Client;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{sdk, server::Server};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// A running stand-in; dropping it ends it.
pub struct SecretsManager {
    server: Server,
    secrets: Secrets,
}

/// The secrets by their ids.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<HashMap<String, Secret>>>);

/// The versions of a secret by their ids, and the version of each staging label.
#[derive(Clone, Default)]
struct Secret {
    versions: HashMap<String, String>,
    stages: HashMap<String, String>,
    /// The time at which a version was created, in seconds since 1970.
    created: HashMap<String, f64>,
    /// The versions whose value is binary; `versions` has it in base64.
    binary: HashSet<String>,
    /// True while it is scheduled for deletion: it can be neither used nor created anew.
    is_going: bool,
}

impl SecretsManager {
    /// Starts a stand-in on a free port of the loopback interface, without secrets.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts a stand-in on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails if the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let secrets = Secrets::default();
        let router = Router::new().route("/", post(answer)).with_state(secrets.clone());
        Ok(Self { server: Server::start(port, router).await?, secrets })
    }

    /// Returns the address, for `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns a client of this stand-in.
    pub fn client(&self) -> Client {
        client(&self.url())
    }

    /// Creates a secret, or replaces its value.
    pub fn put(&self, id: &str, value: &str) {
        self.secrets.lock().entry(id.to_owned()).or_default().put(value);
    }

    /// Makes the current value of a secret older.
    pub fn age(&self, id: &str, by: Duration) {
        if let Some(secret) = self.secrets.lock().get_mut(id)
            && let Some(created) = secret.stages.get(CURRENT).and_then(|version| secret.created.get_mut(version))
        {
            *created -= by.as_secs_f64();
        }
    }

    /// Creates a secret with a binary value, or replaces its value by one.
    pub fn put_binary(&self, id: &str, value: &[u8]) {
        let mut secrets = self.secrets.lock();
        let secret = secrets.entry(id.to_owned()).or_default();
        let version = secret.put(&BASE64_STANDARD.encode(value));
        secret.binary.insert(version);
    }

    /// Deletes a secret.
    pub fn delete(&self, id: &str) {
        self.secrets.lock().remove(id);
    }

    /// Schedules a secret for deletion, as `aws secretsmanager delete-secret` does.
    pub fn schedule_deletion(&self, id: &str) {
        self.secrets.lock().entry(id.to_owned()).or_default().is_going = true;
    }

    /// Returns every value that a secret ever had.
    pub fn values(&self, id: &str) -> Vec<String> {
        self.secrets.lock().get(id).map(|secret| secret.versions.values().cloned().collect()).unwrap_or_default()
    }

    /// Returns the value with a staging label (`AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`).
    pub fn staged(&self, id: &str, stage: &str) -> Option<String> {
        let secrets = self.secrets.lock();
        let secret = secrets.get(id)?;
        secret.versions.get(secret.stages.get(stage)?).cloned()
    }
}

/// Returns a client of the stand-in at an address.
pub fn client(url: &str) -> Client {
    Client::new(&sdk::plain(url))
}

impl Secrets {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secret {
    /// Adds a version, makes it the current one, and returns its id.
    fn put(&mut self, value: &str) -> String {
        let version = format!("by-hand-{}", self.versions.len() + 1);
        self.add(&version, value);
        self.move_stage(CURRENT, &version);
        version
    }

    fn add(&mut self, version: &str, value: &str) {
        self.versions.insert(version.to_owned(), value.to_owned());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // No two versions have the same time.
        let now = self.created.values().fold(now, |now, earlier| now.max(earlier + 0.001));
        self.created.insert(version.to_owned(), now);
    }

    /// Moves a label to a version, as AWS does: the previously current version becomes `AWSPREVIOUS`.
    fn move_stage(&mut self, stage: &str, version: &str) {
        let before = self.stages.insert(stage.to_owned(), version.to_owned());
        if let Some(before) = before.filter(|before| stage == CURRENT && before != version) {
            self.stages.insert(PREVIOUS.to_owned(), before);
        }
    }

    fn stages_of(&self, version: &str) -> Vec<&str> {
        self.stages.iter().filter(|(_, of)| *of == version).map(|(stage, _)| stage.as_str()).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    #[serde(alias = "Name")]
    secret_id: String,
    version_stage: Option<String>,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    version_stages: Option<Vec<String>>,
    move_to_version_id: Option<String>,
    remove_from_version_id: Option<String>,
}

type Answer = Result<Value, (&'static str, &'static str)>;

const NOT_FOUND: (&str, &str) =
    ("ResourceNotFoundException", "Secrets Manager can't find the specified secret or version.");
const GOING: (&str, &str) = ("InvalidRequestException", "The secret is scheduled for deletion.");
const INVALID: (&str, &str) = ("InvalidParameterException", "A parameter is missing, or fits no version.");

async fn answer(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> Response {
    let operation = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let answer = serde_json::from_slice::<Request>(&body).map_err(|_| INVALID).and_then(|request| {
        let mut secrets = secrets.lock();
        let operation = operation.and_then(|operation| operation.strip_prefix("secretsmanager."));
        if operation == Some("CreateSecret") {
            return match secrets.entry(request.secret_id.clone()) {
                Entry::Occupied(secret) if secret.get().is_going => Err(GOING),
                Entry::Occupied(_) => Err(("ResourceExistsException", "A secret with this name exists.")),
                Entry::Vacant(secret) => put_value(secret.insert(Secret::default()), &request),
            };
        }
        let secret = secrets.get_mut(&request.secret_id).ok_or(NOT_FOUND)?;
        if secret.is_going {
            return Err(GOING);
        }
        match operation {
            Some("GetSecretValue") => get_value(secret, &request),
            Some("PutSecretValue") => put_value(secret, &request),
            Some("UpdateSecretVersionStage") => update_stage(secret, &request),
            _ => Err(("UnknownOperationException", "This stand-in knows only what this project calls.")),
        }
    });
    let (status, answer) = match answer {
        Ok(answer) => (StatusCode::OK, answer),
        Err((kind, message)) => (StatusCode::BAD_REQUEST, json!({ "__type": kind, "Message": message })),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

fn get_value(secret: &Secret, request: &Request) -> Answer {
    let stage = request.version_stage.as_deref().unwrap_or(CURRENT);
    let version = secret.stages.get(stage).ok_or(NOT_FOUND)?;
    let value = secret.versions.get(version).ok_or(NOT_FOUND)?;
    let mut answer = described(secret, request, version);
    let member = if secret.binary.contains(version) { "SecretBinary" } else { "SecretString" };
    answer[member] = value.as_str().into();
    Ok(answer)
}

fn put_value(secret: &mut Secret, request: &Request) -> Answer {
    let (Some(version), Some(value)) = (&request.client_request_token, &request.secret_string) else {
        return Err(INVALID);
    };
    // Repeating the same call changes nothing; another value under the same id is refused.
    match secret.versions.get(version) {
        Some(there) if there != value => return Err(("ResourceExistsException", "The version has another value.")),
        Some(_) => return Ok(described(secret, request, version)),
        None => {}
    }
    secret.add(version, value);
    for stage in request.version_stages.as_deref().unwrap_or(&[CURRENT.to_owned()]) {
        secret.move_stage(stage, version);
    }
    Ok(described(secret, request, version))
}

fn update_stage(secret: &mut Secret, request: &Request) -> Answer {
    let stage = request.version_stage.as_deref().ok_or(INVALID)?;
    let (to, from) = (request.move_to_version_id.as_ref(), request.remove_from_version_id.as_ref());
    let known = |version: &&String| secret.versions.contains_key(*version);
    if (to.is_none() && from.is_none()) || !to.into_iter().chain(from).all(|version| known(&version)) {
        return Err(INVALID);
    }
    // The request must name the version that has the label now, so that nobody moves it unawares.
    let holder = secret.stages.get(stage);
    if holder.is_some_and(|holder| to != Some(holder) && from != Some(holder)) || (holder.is_none() && to.is_none()) {
        return Err(INVALID);
    }
    match to {
        Some(version) => secret.move_stage(stage, version),
        None => {
            secret.stages.remove(stage);
        }
    }
    Ok(described(secret, request, to.or(from).ok_or(INVALID)?))
}

fn described(secret: &Secret, request: &Request, version: &str) -> Value {
    json!({
        "ARN": format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{}", request.secret_id),
        "Name": request.secret_id,
        "VersionId": version,
        "VersionStages": secret.stages_of(version),
        "CreatedDate": secret.created.get(version),
    })
}
