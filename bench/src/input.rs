//! The events of the functions: calls of the webhook, messages of the two queues, and records of the stream.

use std::{net::IpAddr, time::SystemTime};

use anyhow::Result;
use outbound::ForwardMessage;
use serde_json::{Value, json};
use shared::{EventId, QueuedDelivery, Received, TokenCheck};

use crate::world::World;

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
    /// A record of the events table's stream.
    StreamRecord,
    /// A message of the forward queue.
    ForwardMessage,
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

/// Returns a delivery that is received now, with a body.
pub fn received(body: &Value) -> Received {
    let received_at = SystemTime::now().into();
    Received {
        id: EventId::new(received_at, fastrand::u64(..).to_be_bytes()),
        received_at,
        source_ip: Some(IpAddr::from([34, 165, 99, 212])),
        request_id: "request-1".to_owned(),
        content_type: None,
        content_encoding: None,
        body: body.to_string().into_bytes(),
    }
}

impl Input {
    /// Returns an event with a body. The publisher and the forwarder are told of recorded events, so for them it is recorded
    /// first.
    ///
    /// # Errors
    /// Fails when the sample is not JSON, or the event cannot be recorded.
    pub async fn event(self, world: &World, body: &Value) -> Result<String> {
        match self {
            Self::Call => {
                let mut call: Value = serde_json::from_str(SAMPLE)?;
                call["body"] = body.to_string().into();
                Ok(call.to_string())
            }
            Self::Message => {
                let message = QueuedDelivery { received: received(body), token: TokenCheck::Accepted }.to_message();
                Ok(message_event("fallback", &message, None))
            }
            Self::StreamRecord => {
                let event = world.record(body).await?;
                Ok(json!({ "Records": [world.stream_record(&event.id)?] }).to_string())
            }
            Self::ForwardMessage => {
                let event = world.record(body).await?;
                // No message names a duplicate. The publisher may send the message of the event twice.
                let event = match event.duplicate_of {
                    Some(id) => world.delivery(&id).await?,
                    None => event,
                };
                let message = ForwardMessage::of(&event);
                Ok(message_event("forward.fifo", &message.to_json(), Some(message.group())))
            }
        }
    }
}

/// Returns the event with which Lambda hands over a message.
fn message_event(queue: &str, body: &str, group: Option<String>) -> String {
    let mut attributes = json!({ "ApproximateReceiveCount": "1", "SentTimestamp": "1795348800000" });
    if let Some(group) = group {
        attributes["MessageGroupId"] = group.into();
    }
    json!({ "Records": [{
        "messageId": "00000000-0000-4000-8000-000000000001", "receiptHandle": "handle-1", "body": body,
        "attributes": attributes, "messageAttributes": {}, "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"), "awsRegion": "us-east-1",
    }] })
    .to_string()
}
