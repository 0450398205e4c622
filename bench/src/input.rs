//! The events of the functions: calls of the webhook, and messages of the fallback queue.

use std::{net::IpAddr, time::SystemTime};

use anyhow::Result;
use serde_json::{Value, json};
use shared::{EventId, QueuedDelivery, Received, TokenCheck};

/// A call as the gateway hands it over; its body is replaced.
const SAMPLE: &str = include_str!("../../events/receiver/200-whatsapp.json");

/// The token in the sample's path.
pub const TOKEN: &str = "local-sample-token-0123456789abcdef";

/// The form of a function's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A call of the webhook.
    Call,
    /// A message of the fallback queue.
    Message,
}

/// An update of a line.
pub fn update(line: usize, extra_info: usize) -> Value {
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": (972_500_000_000 + line).to_string(),
        "whatsapp_reference": format!("client-{line}"), "whatsapp_extra_info": extra_info,
    })
}

/// The same with an API key.
pub fn update_with_key(line: usize, extra_info: usize) -> Value {
    let mut update = update(line, extra_info);
    update["whatsapp_apiKey"] = format!("key-of-client-{line}").into();
    update
}

impl Input {
    /// Returns an event with a body.
    ///
    /// # Errors
    /// Fails when the sample is not JSON.
    pub fn event(self, body: &Value) -> Result<String> {
        match self {
            Self::Call => {
                let mut call: Value = serde_json::from_str(SAMPLE)?;
                call["body"] = body.to_string().into();
                Ok(call.to_string())
            }
            Self::Message => {
                let received_at = SystemTime::now().into();
                let received = Received {
                    id: EventId::new(received_at, fastrand::u64(..).to_be_bytes()),
                    received_at,
                    source_ip: Some(IpAddr::from([34, 165, 99, 212])),
                    request_id: "request-1".to_owned(),
                    content_type: None,
                    content_encoding: None,
                    body: body.to_string().into_bytes(),
                };
                let message = QueuedDelivery { received, token: TokenCheck::Accepted }.to_message();
                Ok(json!({ "Records": [{
                    "messageId": "00000000-0000-4000-8000-000000000001", "receiptHandle": "handle-1", "body": message,
                    "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795348800000" }, "messageAttributes": {},
                    "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:fallback",
                    "awsRegion": "us-east-1",
                }] })
                .to_string())
            }
        }
    }
}
