//! Lost events in the receiver's log. `functions/receiver/src/log.rs` has the format. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;
use serde_json::{Deserializer, Value};
use shared::{EventId, Fingerprint, Timestamp};
use thiserror::Error;

/// The message of the log lines.
const MESSAGE: &str = "delivery not recorded";

/// An event that was neither recorded nor queued.
#[derive(Debug, PartialEq)]
pub struct LostEvent {
    pub id: EventId,
    pub received_at: Timestamp,
    pub source_ip: Option<IpAddr>,
    pub request_id: String,
    pub fingerprint: Fingerprint,
    /// The receiver's knowledge of its token.
    pub token: Token,
    /// Its source address was not listed.
    pub held: bool,
    /// The redacted body, joined from its parts.
    pub body: Result<String, NoBody>,
}

/// The receiver's knowledge of the token of a lost event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It was accepted.
    Accepted,
    /// It could not be checked. This is its SHA-256, in hexadecimal.
    Unchecked(String),
    /// The line does not say.
    Unknown,
}

/// The reason why a log lacks the body of an event.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum NoBody {
    /// Bodies that are not events are not logged.
    #[error("its body is not in the log: it was not JSON")]
    NotLogged,
    /// A part was not exported.
    #[error("part {0} of {1} of its body is missing: export the log of a longer period")]
    PartMissing(usize, usize),
    /// Two lines do not agree.
    #[error("lines of the log contradict each other")]
    Contradiction,
}

/// A log line about a lost event.
#[derive(Deserialize)]
struct Line {
    event_id: EventId,
    received_at: Timestamp,
    source_ip: Option<IpAddr>,
    request_id: String,
    fingerprint: Fingerprint,
    authenticated: Option<bool>,
    #[serde(default)]
    held: bool,
    token_sha256: Option<String>,
    /// From 1.
    #[serde(default = "one")]
    part: usize,
    #[serde(default = "one")]
    parts: usize,
    body: String,
}

fn one() -> usize {
    1
}

/// Returns the lost events of a log, oldest first. The log is lines with a JSON object each, with anything in front of it, or a JSON
/// document in which the AWS CLI has put them as texts. Everything else in it is skipped.
pub fn read(log: &str) -> Vec<LostEvent> {
    let mut lines: BTreeMap<EventId, Vec<Line>> = BTreeMap::new();
    for line in lines_of(log) {
        lines.entry(line.event_id).or_default().push(line);
    }
    lines.into_values().filter_map(join).collect()
}

/// Returns every line about a lost event in a text.
fn lines_of(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '[']) {
        rest = &rest[start..];
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                rest = &rest[values.byte_offset()..];
                collect(value, &mut lines);
            }
            // A name in brackets, as of a log stream, may come before the object.
            _ if rest.starts_with('[') => rest = &rest[1..],
            _ => rest = rest.split_once('\n').map_or("", |(_, rest)| rest),
        }
    }
    lines
}

/// Collects the lines in a JSON value: in itself, or in the members in which the AWS CLI puts log lines (`filter-log-events` and
/// `get-log-events`: `events[].message`; `get-query-results`: `results[][].value`).
fn collect(value: Value, lines: &mut Vec<Line>) {
    match value {
        Value::Object(object) if object.get("message").is_some_and(|message| message == MESSAGE) => {
            lines.extend(serde_json::from_value(Value::Object(object)).ok());
        }
        Value::Object(mut object) => {
            let members = ["events", "results", "message", "value"].into_iter().filter_map(|name| object.remove(name));
            members.for_each(|member| collect(member, lines));
        }
        Value::Array(values) => values.into_iter().for_each(|value| collect(value, lines)),
        // The text is shorter than the document that it is in, so this comes to an end.
        Value::String(text) if text.contains(MESSAGE) => lines.extend(lines_of(&text)),
        _ => {}
    }
}

/// Returns the event of all lines with its id; `None` without a line.
fn join(lines: Vec<Line>) -> Option<LostEvent> {
    let mut parts: BTreeMap<usize, &str> = BTreeMap::new();
    let first = lines.first()?;
    let token = |line: &Line| match (line.authenticated, &line.token_sha256) {
        (Some(true), None) => Token::Accepted,
        (Some(false), Some(presented)) => Token::Unchecked(presented.clone()),
        _ => Token::Unknown,
    };
    let facts = |line: &Line| {
        (
            line.received_at,
            line.source_ip,
            line.request_id.clone(),
            line.fingerprint,
            token(line),
            line.held,
            line.parts,
        )
    };
    // A line that was exported twice is one.
    let mut agree = true;
    for line in &lines {
        agree &= facts(line) == facts(first) && (1..=line.parts).contains(&line.part);
        agree &= *parts.entry(line.part).or_insert(&line.body) == line.body;
    }
    let missing = (1..=first.parts).find(|part| !parts.contains_key(part));
    let body = match missing {
        _ if !agree => Err(NoBody::Contradiction),
        Some(part) => Err(NoBody::PartMissing(part, first.parts)),
        None => Ok(parts.into_values().collect::<String>()),
    };
    Some(LostEvent {
        id: first.event_id,
        received_at: first.received_at,
        source_ip: first.source_ip,
        request_id: first.request_id.clone(),
        fingerprint: first.fingerprint,
        token: token(first),
        held: first.held,
        body: body.and_then(|body| if body.is_empty() { Err(NoBody::NotLogged) } else { Ok(body) }),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BODY: &str = r#"{"event":"voice","n":12345678901234567890123,"t":"}{"}"#;

    fn id(n: u8) -> EventId {
        EventId::new(Timestamp::from_micros(1_795_339_800_000_000), [n; 8])
    }

    fn line(id: EventId, part: usize, parts: usize, body: &str) -> String {
        json!({
            "timestamp": "2026-11-22T09:30:01.000000Z", "level": "ERROR", "message": MESSAGE, "event_id": id,
            "received_at": id.received_at(), "request_id": "r", "source_ip": "34.165.99.212",
            "fingerprint": "0a".repeat(32), "authenticated": true, "not_recorded": "{", "not_queued": "[", "part": part, "parts": parts,
            "body": body, "target": "receiver::log",
        })
        .to_string()
    }

    fn bodies(log: &str) -> Vec<(EventId, Result<String, NoBody>)> {
        read(log).into_iter().map(|event| (event.id, event.body)).collect()
    }

    #[test]
    fn every_way_in_which_the_aws_cli_writes_a_line_is_read() {
        let line = line(id(1), 1, 1, BODY);
        let message = format!("{line}\n");
        let filtered =
            json!({"events": [{"logStreamName": "2026/11/22/[$LATEST]ab", "timestamp": 1, "message": message}]});
        for log in [
            line.clone(),
            format!("2026-11-22T09:30:01+00:00 2026/11/22/[$LATEST]0123 {line}\nREPORT RequestId: 1 {{\n"),
            format!("START\n[7]ab\t{{\"level\":\"INFO\",\"message\":\"event recorded\"}}\n{line}\n"),
            format!("{{ not JSON\n{line}"),
            filtered.to_string(),
            serde_json::to_string_pretty(&filtered).unwrap(),
            json!([message]).to_string(),
            json!({"results": [[{"field": "@timestamp", "value": "1"}, {"field": "@message", "value": line}]]})
                .to_string(),
        ] {
            assert_eq!(bodies(&log), [(id(1), Ok(BODY.to_owned()))], "{log}");
        }
    }

    #[test]
    fn parts_are_joined_in_any_order_and_a_line_may_occur_twice() {
        let [first, second, third] =
            [(1, "{\"a\":"), (2, "\"é"), (3, "\"}")].map(|(part, body)| line(id(1), part, 3, body));
        let other = line(id(2), 1, 1, "{}");
        let log = [&third, &other, &first, &second, &third].map(String::as_str).join("\n");
        assert_eq!(bodies(&log), [(id(1), Ok("{\"a\":\"é\"}".to_owned())), (id(2), Ok("{}".to_owned()))]);
        assert_eq!(bodies(&[first.as_str(), &third].join("\n")), [(id(1), Err(NoBody::PartMissing(2, 3)))]);
    }

    #[test]
    fn a_line_says_whether_the_token_was_checked() {
        let presented = "0b".repeat(32);
        let token = |authenticated: Value, token_sha256: Value| {
            let mut line: Value = serde_json::from_str(&line(id(1), 1, 1, BODY)).unwrap();
            line["authenticated"] = authenticated;
            line["token_sha256"] = token_sha256;
            read(&line.to_string()).first().map(|event| event.token.clone())
        };
        assert_eq!(token(json!(true), json!(null)), Some(Token::Accepted));
        assert_eq!(token(json!(false), json!(presented)), Some(Token::Unchecked(presented.clone())));
        assert_eq!(token(json!(true), json!(presented)), Some(Token::Unknown));
        assert_eq!(token(json!(false), json!(null)), Some(Token::Unknown));
    }

    #[test]
    fn an_event_without_a_body_in_the_log_says_why() {
        assert_eq!(bodies(&line(id(1), 1, 1, "")), [(id(1), Err(NoBody::NotLogged))]);
        let [one, another, out_of_range] = [line(id(1), 1, 1, "{}"), line(id(1), 1, 1, "{ }"), line(id(1), 2, 1, "{}")];
        assert_eq!(bodies(&format!("{one}\n{another}")), [(id(1), Err(NoBody::Contradiction))]);
        assert_eq!(bodies(&out_of_range), [(id(1), Err(NoBody::Contradiction))]);
    }

    #[test]
    fn a_line_without_parts_is_a_whole_one_and_other_lines_are_skipped() {
        let mut whole: Value = serde_json::from_str(&line(id(1), 1, 1, BODY)).unwrap();
        let members = whole.as_object_mut().unwrap();
        members.retain(|name, _| !["part", "parts", "source_ip"].contains(&name.as_str()));
        let other = whole.to_string().replace(MESSAGE, "delivery not recorded yet");
        let inside = json!({"message": "event recorded", "body": line(id(3), 1, 1, "{}")});
        let without_id = whole.to_string().replace("event_id", "id");
        assert_eq!(bodies(&format!("{other}\n{inside}\n{without_id}\n{whole}")), [(id(1), Ok(BODY.to_owned()))]);
        assert_eq!(bodies(""), []);
    }
}
