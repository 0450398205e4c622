//! The provider as a client of the deployed webhook.

use serde_json::Value;
use shared::EventId;

use crate::{emulator::Emulator, http};

/// The address that the provider calls from.
pub const ADDRESS: &str = "34.165.99.212";

/// The answer to an event.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// The answer to an event that was acknowledged.
    pub fn acknowledged(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        let answer: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(answer["status"], "OK", "{answer}");
        answer
    }

    /// The id of an event that was acknowledged.
    pub fn id(&self) -> EventId {
        id(&self.acknowledged()["id"])
    }
}

/// An event's id in an answer.
pub fn id(value: &Value) -> EventId {
    value.as_str().unwrap().parse().unwrap()
}

/// Posts an event to a webhook, from an address.
///
/// The emulator takes the calls of an API under a path of its own in place of the API's host, and takes the first address in
/// `X-Forwarded-For` for the caller's. API Gateway does not.
pub async fn post(emulator: &Emulator, webhook: &str, from: &str, body: impl Into<Vec<u8>>) -> Answer {
    let (api, path) = api_and_path(webhook);
    let url = format!("{}/restapis/{api}/v1/_user_request_{path}", emulator.url());
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
    let http::Answer { status, body, .. } = http::post(&url, &headers, body).await;
    Answer { status, body }
}

/// The id of the API and the path below its stage, from `https://<api>.execute-api.<region>.amazonaws.com/v1<path>`.
fn api_and_path(webhook: &str) -> (&str, &str) {
    let parts = webhook.strip_prefix("https://").and_then(|rest| {
        let (host, path) = rest.split_once('/')?;
        Some((host.split_once(".execute-api.")?.0, path.strip_prefix("v1")?))
    });
    parts.expect("the webhook is not an address of API Gateway")
}
