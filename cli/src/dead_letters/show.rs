use std::time::SystemTime;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{Timestamp, TokenCheck};

use super::letter::{Call, Letter};
use crate::output::{
    human_time::{ago, to_the_second},
    json,
    text::{facts, plain},
};

/// A message as an object; what it carries has the names that it would have as a delivery.
#[derive(Default, Serialize)]
struct Message<'a> {
    message_id: &'a str,
    message_bytes: usize,
    receives: Option<u32>,
    id: Option<String>,
    received_at: Option<String>,
    kind: Option<String>,
    entity: Option<String>,
    source_ip: Option<String>,
    request_id: Option<&'a str>,
    /// `accepted`, or `pending` when redrive has to check it first.
    token: Option<&'static str>,
    body: Option<Box<RawValue>>,
    body_bytes: Option<usize>,
    /// Why it cannot be read, or its body not be decoded.
    cause: Option<String>,
}

/// The messages as a table, one a line.
pub fn table(letters: &[Letter]) -> Table {
    let mut table = Table::new();
    let header = ["message id", "event id", "received", "kind", "entity", "receives", "bytes"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for letter in letters {
        let of_call = |fact: fn(&Call) -> String| letter.content.as_ref().map(fact).unwrap_or_default();
        table.add_row([
            plain(&letter.message_id),
            of_call(|call| call.received.id.to_string()),
            of_call(|call| to_the_second(call.received.received_at)),
            of_call(|call| plain(&call.kind())),
            of_call(|call| plain(call.entity().as_str())),
            letter.receives.map(|receives| receives.to_string()).unwrap_or_default(),
            letter.message_bytes.to_string(),
        ]);
    }
    table
}

/// Everything about a message, for people.
pub fn in_full(letter: &Letter) -> String {
    let mut lines = vec![("message id", plain(&letter.message_id))];
    lines.extend(letter.receives.map(|receives| ("receives", receives.to_string())));
    lines.push(("message", format!("{} bytes", letter.message_bytes)));
    let mut body = String::new();
    match &letter.content {
        Err(cause) => lines.push(("cause", cause.to_string())),
        Ok(call) => {
            let received = &call.received;
            let since = ago(received.received_at, Timestamp::from(SystemTime::now()));
            lines.extend([
                ("event id", received.id.to_string()),
                ("received", format!("{} ({since})", received.received_at)),
                ("kind", plain(&call.kind())),
                ("entity", plain(call.entity().as_str())),
                ("source ip", received.source_ip.to_string()),
                ("request id", plain(&received.request_id)),
                ("token", token(call).to_owned()),
                ("body", format!("{} bytes", received.body.len())),
            ]);
            match &call.decoded {
                Ok(event) => body = format!("\n{}\n", shared::json::pretty(&event.body)),
                Err(cause) => lines.push(("cause", cause.to_string())),
            }
        }
    }
    facts(&lines) + &body
}

/// A message on a line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json(letter: &Letter) -> serde_json::Result<String> {
    let of_message = Message {
        message_id: &letter.message_id,
        message_bytes: letter.message_bytes,
        receives: letter.receives,
        ..Message::default()
    };
    let call = match &letter.content {
        Err(cause) => return json::line(&Message { cause: Some(cause.to_string()), ..of_message }),
        Ok(call) => call,
    };
    json::line(&Message {
        id: Some(call.received.id.to_string()),
        received_at: Some(call.received.received_at.to_string()),
        kind: Some(call.kind()),
        entity: Some(call.entity().to_string()),
        source_ip: Some(call.received.source_ip.to_string()),
        request_id: Some(&call.received.request_id),
        token: Some(token(call)),
        body: call.decoded.as_ref().ok().map(|event| shared::json::embedded(&event.body)),
        body_bytes: Some(call.received.body.len()),
        cause: call.decoded.as_ref().err().map(ToString::to_string),
        ..of_message
    })
}

fn token(call: &Call) -> &'static str {
    match call.token {
        TokenCheck::Accepted => "accepted",
        TokenCheck::Pending(_) => "pending",
    }
}
