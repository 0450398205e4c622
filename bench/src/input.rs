//! The forms of the functions' events, and the bodies in them.

use std::{net::IpAddr, time::SystemTime};

use serde_json::{Value, json};
use shared::{EventId, Received};

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
