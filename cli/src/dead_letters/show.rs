use std::{net::IpAddr, time::SystemTime};

use serde::Serialize;
use serde_json::value::RawValue;
use shared::{Entity, EventId, Timestamp, TokenCheck};

use super::delivery::{DeadLetter, DecodedDelivery};
use crate::output::{
    json,
    tables::{self, Column},
    text::facts,
    times,
};

/// A message as JSON. The members of its delivery have the same names as in a delivery.
#[derive(Default, Serialize)]
struct Message<'a> {
    message_id: &'a str,
    message_bytes: usize,
    receives: Option<u32>,
    id: Option<EventId>,
    received_at: Option<Timestamp>,
    kind: Option<String>,
    entity: Option<Entity>,
    source_ip: Option<IpAddr>,
    request_id: Option<&'a str>,
    /// `accepted`, or `pending` when redrive has to check it first.
    token: Option<&'static str>,
    body: Option<Box<RawValue>>,
    body_bytes: Option<usize>,
    /// The reason why it cannot be read, or its body cannot be decoded.
    cause: Option<String>,
}

/// Returns a table of messages.
pub fn table(dead_letters: &[DeadLetter]) -> String {
    let row = |dead_letter: &DeadLetter| {
        let of_delivery =
            |fact: fn(&DecodedDelivery) -> String| dead_letter.content.as_ref().map(fact).unwrap_or_default();
        [
            dead_letter.message.id.clone(),
            of_delivery(|delivery| delivery.received.id.to_string()),
            of_delivery(|delivery| times::shown(delivery.received.received_at)),
            of_delivery(DecodedDelivery::kind),
            of_delivery(|delivery| delivery.entity().to_string()),
            dead_letter.message.receives.map(|receives| receives.to_string()).unwrap_or_default(),
            dead_letter.message.body.expose().len().to_string(),
        ]
    };
    let header = [
        Column::from("message id").least(36),
        Column::id("event id"),
        Column::time("received"),
        Column::from("kind").optional(2),
        Column::entity("entity"),
        Column::from("receives").optional(1),
        Column::from("bytes").optional(3),
    ];
    tables::table(header, dead_letters.iter().map(row))
}

/// Returns everything about a message, for people.
pub fn in_full(dead_letter: &DeadLetter) -> String {
    let mut lines = vec![("message id", dead_letter.message.id.clone())];
    lines.extend(dead_letter.message.receives.map(|receives| ("receives", receives.to_string())));
    lines.push(("message", format!("{} bytes", dead_letter.message.body.expose().len())));
    let mut body = String::new();
    match &dead_letter.content {
        Err(cause) => lines.push(("cause", cause.to_string())),
        Ok(delivery) => {
            let received = &delivery.received;
            let now = Timestamp::from(SystemTime::now());
            lines.extend([
                ("event id", received.id.to_string()),
                ("received", times::shown_exactly(received.received_at, now)),
                ("kind", delivery.kind()),
                ("entity", delivery.entity().to_string()),
                (
                    "source ip",
                    received.source_ip.map_or_else(|| "unknown".to_owned(), |source_ip| source_ip.to_string()),
                ),
                ("request id", received.request_id.clone()),
                ("token", token(delivery).to_owned()),
                ("body", format!("{} bytes", received.body.len())),
            ]);
            match &delivery.decoded {
                Ok(event) => body = format!("\n{}\n", shared::json::pretty(&event.body)),
                Err(cause) => lines.push(("cause", cause.to_string())),
            }
        }
    }
    facts(&lines) + &body
}

/// Returns a message as one line of JSON.
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn json(dead_letter: &DeadLetter) -> serde_json::Result<String> {
    let of_message = Message {
        message_id: &dead_letter.message.id,
        message_bytes: dead_letter.message.body.expose().len(),
        receives: dead_letter.message.receives,
        ..Message::default()
    };
    let delivery = match &dead_letter.content {
        Err(cause) => return json::line(&Message { cause: Some(cause.to_string()), ..of_message }),
        Ok(delivery) => delivery,
    };
    json::line(&Message {
        id: Some(delivery.received.id),
        received_at: Some(delivery.received.received_at),
        kind: Some(delivery.kind()),
        entity: Some(delivery.entity()),
        source_ip: delivery.received.source_ip,
        request_id: Some(&delivery.received.request_id),
        token: Some(token(delivery)),
        body: delivery.decoded.as_ref().ok().map(|event| shared::json::embedded(&event.body)),
        body_bytes: Some(delivery.received.body.len()),
        cause: delivery.decoded.as_ref().err().map(ToString::to_string),
        ..of_message
    })
}

fn token(delivery: &DecodedDelivery) -> &'static str {
    match delivery.token {
        TokenCheck::Accepted => "accepted",
        TokenCheck::Pending(_) => "pending",
    }
}
