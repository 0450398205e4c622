//! The events of the functions: calls of the webhook, messages of the two queues, and records of the stream.

use anyhow::Result;
use outbound::ForwardMessage;
use serde_json::{Value, json};
use shared::{QueuedDelivery, TokenCheck};

use crate::{
    input::{Input, received},
    world::World,
};

/// A call as the gateway hands it over; its body is replaced.
const SAMPLE: &str = include_str!("../../events/receiver/200-whatsapp.json");

/// Returns a function's event with a body. The publisher and the forwarder are told of recorded events, so for them it is
/// recorded first.
///
/// # Errors
/// Fails when the sample is not JSON, or the event cannot be recorded.
pub async fn event(world: &World, input: Input, body: &Value) -> Result<String> {
    match input {
        Input::Call => {
            let mut call: Value = serde_json::from_str(SAMPLE)?;
            call["body"] = body.to_string().into();
            Ok(call.to_string())
        }
        Input::Message => {
            let message = QueuedDelivery { received: received(body), token: TokenCheck::Accepted }.to_message();
            Ok(message_event("fallback", &message, None))
        }
        Input::StreamRecord => {
            let event = world.record(body).await?;
            Ok(json!({ "Records": [world.stream_record(&event.id)?] }).to_string())
        }
        Input::ForwardMessage => {
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
