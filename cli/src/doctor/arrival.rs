//! The check that an event sent to the receiver arrives in the table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use shared::{DOCTOR, EventId, Secret, WebhookToken, WebhookUrl};
use store::Reader;
use tokio::time::sleep;

use super::{parts::LIVE, report::Finding};
use crate::{
    aws_error::AwsError,
    local_functions::read_answer,
    send,
    target::{Stack, invoke},
};

/// Maximum time until an acknowledged event can be read: it may go through the fallback queue.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Pause between two reads.
const POLL: Duration = Duration::from_millis(200);

/// The place to which events are sent.
pub enum Endpoint {
    /// The URL that the local run has registered.
    Local { webhook: WebhookUrl },
    /// The function itself, because the gateway may accept only the provider.
    Deployed {
        lambda: aws_sdk_lambda::Client,
        receiver: String,
        secrets: aws_sdk_secretsmanager::Client,
        token_secret: String,
        /// The first of the allowed addresses.
        source_ip: String,
    },
}

impl Endpoint {
    /// Returns the endpoint of a stack.
    ///
    /// # Errors
    /// Fails when the stack lacks one of the outputs or parameters.
    pub fn of_stack(stack: &Stack) -> Result<Self> {
        let allowed = stack.parameter("AllowedSourceIps")?;
        let first = allowed.split(',').next().unwrap_or_default().trim();
        Ok(Self::Deployed {
            lambda: stack.lambda(),
            receiver: stack.output("ReceiverFunctionName")?.to_owned(),
            secrets: aws_sdk_secretsmanager::Client::new(&stack.aws),
            token_secret: stack.output("WebhookTokenSecretId")?.to_owned(),
            source_ip: first.split('/').next().unwrap_or_default().to_owned(),
        })
    }

    /// Sends a body. Returns the status and the text of the answer.
    async fn send(&self, body: String) -> Result<(u16, String)> {
        match self {
            Self::Local { webhook } => send::post(webhook.clone(), body.into_bytes()).await,
            Self::Deployed { lambda, receiver, secrets, token_secret, source_ip } => {
                let token = token(secrets, token_secret).await?;
                let event = as_the_gateway(&token, source_ip, &body);
                // As the API calls it.
                let live = format!("{receiver}:{LIVE}");
                let answer = read_answer(&invoke(lambda, &live, &event).await?)?;
                let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
                let status =
                    status.with_context(|| format!("the function {receiver} did not give an answer for a gateway"))?;
                Ok((status, answer["body"].as_str().unwrap_or_default().to_owned()))
            }
        }
    }
}

/// Returns the token in use.
async fn token(secrets: &aws_sdk_secretsmanager::Client, secret: &str) -> Result<WebhookToken> {
    let answer = secrets.get_secret_value().secret_id(secret).send().await;
    let answer = answer.map_err(|error| AwsError::of("the webhook's token", &error))?;
    let token = answer.secret_string().context("the secret of the webhook's token has no text")?;
    WebhookToken::new(Secret::new(token)).context("the secret of the webhook's token")
}

/// Returns a call of the webhook as API Gateway passes it to the function, as far as the receiver reads it.
fn as_the_gateway(token: &WebhookToken, source_ip: &str, body: &str) -> Value {
    let path = format!("/webhook/{}", token.expose());
    json!({
        "resource": "/webhook/{token}",
        "path": path,
        "httpMethod": "POST",
        "headers": { "Content-Type": "application/json" },
        "multiValueHeaders": { "Content-Type": ["application/json"] },
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": { "token": token.expose() },
        "stageVariables": null,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "doctor",
            "httpMethod": "POST",
            "identity": { "sourceIp": source_ip },
            "path": format!("/v1{path}"),
            "protocol": "HTTP/1.1",
            "requestId": "doctor",
            "requestTimeEpoch": 0,
            "resourceId": "doctor",
            "resourcePath": "/webhook/{token}",
            "stage": "v1",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Sends an event of kind doctor, and reads it back. `on` are the arguments that name the stack.
pub async fn check(endpoint: &Endpoint, reader: &Reader, on: &str) -> Finding {
    let log = match endpoint {
        Endpoint::Local { .. } => "tail target/hooks/functions.log, to see the cause".to_owned(),
        Endpoint::Deployed { receiver, .. } => format!("aws logs tail /aws/lambda/{receiver}, to see the cause"),
    };
    let id = match acknowledged(endpoint).await {
        Ok(id) => id,
        Err(error) => return Finding::fail(format!("{error:#}"), log),
    };
    let sent = Instant::now();
    loop {
        match reader.delivery(&id).await {
            Ok(Some(_)) => return Finding::ok(format!("event {id} of kind doctor arrived in the table")),
            Ok(None) if sent.elapsed() < ARRIVAL => sleep(POLL).await,
            Ok(None) => {
                let detail =
                    format!("event {id} was acknowledged, but is not in the table after {} s", ARRIVAL.as_secs());
                return Finding::fail(
                    detail,
                    format!("cargo hooks doctor{on}, to see whether the fallback queue is empty"),
                );
            }
            Err(error) => {
                return Finding::fail(format!("event {id} was acknowledged, but cannot be read: {error}"), log);
            }
        }
    }
}

async fn acknowledged(endpoint: &Endpoint) -> Result<EventId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).context("no random bytes")?;
    // Each body is different, so that none is a duplicate.
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let (status, answer) = endpoint.send(json!({ "event": DOCTOR, "random": random }).to_string()).await?;
    if status != 200 {
        bail!("the receiver answered {status} {answer}");
    }
    let id = serde_json::from_str::<Value>(&answer).ok().and_then(|answer| answer["id"].as_str()?.parse().ok());
    id.with_context(|| format!("the receiver answered 200 without an id: {answer}"))
}
