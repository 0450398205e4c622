//! A stand-in for AWS Secrets Manager: reading the current value of a secret, in the real wire format, so that the real SDK
//! talks to it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

/// A running stand-in; it ends when this is dropped.
pub struct SecretsManager {
    address: SocketAddr,
    secrets: Secrets,
    _stop: oneshot::Sender<()>,
}

/// The secrets by their ids.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<HashMap<String, String>>>);

impl SecretsManager {
    /// Starts one on a free port of the loopback interface, with no secrets in it.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts one on a port of the loopback interface.
    ///
    /// # Errors
    /// When the port is not to be had.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let secrets = Secrets::default();
        let router = Router::new().route("/", post(answer)).with_state(secrets.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            // An error means that the sender was dropped, which is how it is told to stop.
            let _ = stopped.await;
        });
        tokio::spawn(server.into_future());
        Ok(Self { address, secrets, _stop: stop })
    }

    /// Its address, for `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .endpoint_url(self.url())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// Creates a secret, or gives it another value.
    pub fn put(&self, id: &str, value: &str) {
        self.secrets.lock().insert(id.to_owned(), value.to_owned());
    }

    /// Deletes a secret.
    pub fn delete(&self, id: &str) {
        self.secrets.lock().remove(id);
    }
}

impl Secrets {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> Response {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        secret_id: String,
    }
    let operation = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let request = serde_json::from_slice::<Request>(&body);
    let (status, answer) = match (operation, request) {
        (Some("secretsmanager.GetSecretValue"), Ok(Request { secret_id })) => {
            match secrets.lock().get(&secret_id).cloned() {
                Some(value) => (StatusCode::OK, secret(&secret_id, &value)),
                None => fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
            }
        }
        (Some("secretsmanager.GetSecretValue"), Err(_)) => fault("InvalidParameterException", "SecretId is missing."),
        _ => fault("UnknownOperationException", "This stand-in knows GetSecretValue alone."),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

fn secret(id: &str, value: &str) -> Value {
    json!({
        "ARN": format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{id}"),
        "Name": id,
        "SecretString": value,
        "VersionId": "00000000-0000-0000-0000-000000000001",
        "VersionStages": ["AWSCURRENT"],
    })
}

fn fault(kind: &str, message: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({ "__type": kind, "Message": message }))
}
