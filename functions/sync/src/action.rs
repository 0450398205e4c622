use lambda::MessageBatch;
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::{Entity, InvalidWebhookUrl, WebhookUrl};
use thiserror::Error;

use crate::resource_request::BadResourceRequest;

/// The pass that an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// An action of the registration.
    Registration(Action),
    /// A pass of the inventory.
    Inventory(PassMode),
    /// A pass over the lines.
    Lines(LinesRequest),
}

/// A pass over all lines, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinesRequest {
    /// The one line to check; `None` for all.
    pub entity: Option<Entity>,
    /// True to ask the provider even with a key that it has refused; only for a single line.
    pub again: bool,
    /// The use of the findings.
    pub mode: PassMode,
}

impl Request {
    /// Reads an event. Without `action` it asks for [`Action::Sync`]. The event may be a batch of SQS with one message, which asks for a
    /// check of one line.
    ///
    /// # Errors
    /// The event asks for nothing, or is ambiguous.
    pub fn read(event: &Value) -> Result<Self, BadRequest> {
        if event.get("Records").is_none() {
            return Self::of_caller(event);
        }
        match Self::of_caller(&body(event)?)? {
            Self::Lines(request) if request.entity.is_some() => Ok(Self::Lines(request)),
            _ => Err(BadRequest::NotALineMessage),
        }
    }

    fn of_caller(event: &Value) -> Result<Self, BadRequest> {
        match event.get("action").and_then(Value::as_str) {
            Some("inventory") => mode(event).map(Self::Inventory),
            Some("lines") => {
                let entity = line(event)?;
                Ok(Self::Lines(LinesRequest { again: again(event, entity.is_some())?, entity, mode: mode(event)? }))
            }
            _ => Action::read(event).map(Self::Registration),
        }
    }
}

/// Returns the body of the only message of a batch.
fn body(event: &Value) -> Result<Value, BadRequest> {
    let batch = MessageBatch::deserialize(event).map_err(|_| BadRequest::NotOneMessage)?;
    match batch.messages.as_slice() {
        [message] if event["Records"][0]["eventSource"] == "aws:sqs" => {
            serde_json::from_str(&message.body).map_err(|_| BadRequest::NotALineMessage)
        }
        _ => Err(BadRequest::NotOneMessage),
    }
}

fn mode(event: &Value) -> Result<PassMode, BadRequest> {
    if event.get("url").is_some() {
        return Err(BadRequest::UrlNotWanted);
    }
    match event.get("mode").map(Value::as_str) {
        None => Ok(PassMode::Apply),
        Some(Some("plan")) => Ok(PassMode::Plan),
        Some(_) => Err(BadRequest::UnknownMode),
    }
}

fn line(event: &Value) -> Result<Option<Entity>, BadRequest> {
    let Some(entity) = event.get("entity") else { return Ok(None) };
    let entity = Entity::named(entity.as_str().ok_or(BadRequest::EntityNotText)?);
    let is_line = entity.as_str().strip_prefix("whatsapp#").is_some_and(|number| !number.is_empty());
    if is_line && entity.is_whole() { Ok(Some(entity)) } else { Err(BadRequest::NotALine) }
}

fn again(event: &Value, is_one_line: bool) -> Result<bool, BadRequest> {
    match event.get("again").map(Value::as_bool) {
        None => Ok(false),
        Some(Some(true)) if is_one_line => Ok(true),
        Some(Some(true)) => Err(BadRequest::AgainWithoutEntity),
        Some(_) => Err(BadRequest::AgainNotTrue),
    }
}

/// The use that a pass makes of its findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassMode {
    /// Records and marks.
    Apply,
    /// Reports what [`PassMode::Apply`] would do.
    Plan,
}

/// The action of the registration that an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Report what is registered.
    Get,
    /// Report what [`Action::Sync`] would do.
    Plan,
    /// Register our URL if another one is registered.
    Sync,
    /// Register this URL in place of any other.
    Set(WebhookUrl),
    /// Give our URL a new token, and register it.
    Rotate,
}

/// The reason why an event cannot be carried out. No part of the event is in it, because a URL is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRequest {
    /// `Records`, but not a batch of SQS with one message.
    #[error(r#""Records" is not a batch of SQS with one message; only the queue of new keys calls sync with one"#)]
    NotOneMessage,
    /// A message of the queue that asks for something else.
    #[error(
        r#"the message does not ask for a check of one line, as {{"action":"lines","entity":"whatsapp#972501234567"}} does; after three receives it becomes a dead letter"#
    )]
    NotALineMessage,
    /// JSON, but not an object.
    #[error(r#"the event is not a JSON object; send one such as {{"action":"sync"}}"#)]
    NotAnObject,
    /// `action` is not a string.
    #[error(r#""action" is not a string; use "get", "plan", "sync", "set", "rotate", "inventory" or "lines""#)]
    ActionNotText,
    /// `action` is not the name of an action.
    #[error(
        r#""action" is not the name of an action; use "get", "plan", "sync", "set", "rotate", "inventory" or "lines""#
    )]
    UnknownAction,
    /// `mode` of a pass is not `plan`.
    #[error(r#""mode" is not "plan"; leave it out to apply the findings"#)]
    UnknownMode,
    /// `entity` is not a string.
    #[error(r#""entity" is not a string; write it as "whatsapp#972501234567", or leave it out to check all lines"#)]
    EntityNotText,
    /// `entity` is not a WhatsApp line.
    #[error(
        r#""entity" is not a WhatsApp line such as "whatsapp#972501234567"; only those have a webhook of their own"#
    )]
    NotALine,
    /// `again` without `entity`.
    #[error(r#""again" is given without "entity"; a refused key can be tried again for one line at a time"#)]
    AgainWithoutEntity,
    /// `again` is not `true`.
    #[error(r#""again" is not true; leave it out to try a refused key only when that is due"#)]
    AgainNotTrue,
    /// No event has named `entity`.
    #[error(
        r#""entity" is not known: no event has named it; run the inventory to import the lines that the provider lists"#
    )]
    UnknownLine,
    /// `set` without `url`.
    #[error(
        r#""url" is missing; "set" needs the URL to register: {{"action":"set","url":"https://example.com/hooks/…"}}"#
    )]
    UrlMissing,
    /// `url` is not a string.
    #[error(r#""url" is not a string; write it as "https://example.com/hooks/…""#)]
    UrlNotText,
    /// `url` cannot be registered.
    #[error(r#""url" cannot be registered: {0}"#)]
    UrlInvalid(InvalidWebhookUrl),
    /// `url` is our address with a token that the receiver refuses.
    #[error(
        r#""url" is the address of this webhook with a token that the receiver refuses; leave the token out to register the current one"#
    )]
    UrlNotAccepted,
    /// A malformed request of CloudFormation.
    #[error("{0}")]
    ResourceRequest(BadResourceRequest),
    /// `url` with another action than `set`.
    #[error(r#""url" is given, but only "set" takes one; leave it out, or send "action":"set""#)]
    UrlNotWanted,
}

impl Action {
    /// Reads an event. Without `action` it asks for [`Action::Sync`].
    ///
    /// # Errors
    /// Fails when the event asks for no action, or is ambiguous.
    pub fn read(event: &Value) -> Result<Self, BadRequest> {
        let event = event.as_object().ok_or(BadRequest::NotAnObject)?;
        match event.get("action").map_or(Some("sync"), Value::as_str) {
            Some("get") => without_url(Self::Get, event),
            Some("plan") => without_url(Self::Plan, event),
            Some("sync") => without_url(Self::Sync, event),
            Some("rotate") => without_url(Self::Rotate, event),
            Some("set") => Ok(Self::Set(url(event)?)),
            Some(_) => Err(BadRequest::UnknownAction),
            None => Err(BadRequest::ActionNotText),
        }
    }

    /// Returns the name in an event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Plan => "plan",
            Self::Sync => "sync",
            Self::Set(_) => "set",
            Self::Rotate => "rotate",
        }
    }
}

fn without_url(action: Action, event: &Map<String, Value>) -> Result<Action, BadRequest> {
    if event.contains_key("url") { Err(BadRequest::UrlNotWanted) } else { Ok(action) }
}

fn url(event: &Map<String, Value>) -> Result<WebhookUrl, BadRequest> {
    let url = event.get("url").ok_or(BadRequest::UrlMissing)?.as_str().ok_or(BadRequest::UrlNotText)?;
    WebhookUrl::parse(url).map_err(BadRequest::UrlInvalid)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_action_is_read_by_its_name() {
        for name in ["get", "plan", "sync", "rotate"] {
            assert_eq!(Action::read(&json!({ "action": name })).unwrap().name(), name);
        }
        let url = "https://example.com/hooks/other";
        let set = Action::read(&json!({ "action": "set", "url": url })).unwrap();
        assert_eq!(set, Action::Set(WebhookUrl::parse(url).unwrap()));
        assert_eq!(set.name(), "set");
    }

    #[test]
    fn an_inventory_is_applied_or_planned() {
        let inventory = |mode| Ok(Request::Inventory(mode));
        assert_eq!(Request::read(&json!({"action": "inventory"})), inventory(PassMode::Apply));
        assert_eq!(Request::read(&json!({"action": "inventory", "mode": "plan"})), inventory(PassMode::Plan));
        for mode in [json!("apply"), json!(null), json!(1), json!("")] {
            let event = json!({"action": "inventory", "mode": mode});
            assert_eq!(Request::read(&event), Err(BadRequest::UnknownMode), "{event}");
        }
        let with_url = json!({"action": "inventory", "url": "https://example.com/t"});
        assert_eq!(Request::read(&with_url), Err(BadRequest::UrlNotWanted));
        assert_eq!(Request::read(&json!({"action": "plan"})), Ok(Request::Registration(Action::Plan)));
        assert_eq!(Request::read(&json!([])), Err(BadRequest::NotAnObject));
    }

    #[test]
    fn all_lines_or_one_are_checked_or_planned() {
        let line = Entity::named("whatsapp#972501234567");
        let one = json!({"action": "lines", "entity": "whatsapp#972501234567", "mode": "plan"});
        let request = LinesRequest { entity: Some(line.clone()), again: false, mode: PassMode::Plan };
        assert_eq!(Request::read(&one), Ok(Request::Lines(request)));
        let all = LinesRequest { entity: None, again: false, mode: PassMode::Apply };
        assert_eq!(Request::read(&json!({"action": "lines"})), Ok(Request::Lines(all)));
        let again = LinesRequest { entity: Some(line.clone()), again: true, mode: PassMode::Apply };
        let event = json!({"action": "lines", "entity": line, "again": true});
        assert_eq!(Request::read(&event), Ok(Request::Lines(again)));
        for again in [json!(false), json!(null), json!(1), json!("true")] {
            let event = json!({"action": "lines", "entity": line, "again": again});
            assert_eq!(Request::read(&event), Err(BadRequest::AgainNotTrue), "{event}");
        }
        let event = json!({"action": "lines", "again": true});
        assert_eq!(Request::read(&event), Err(BadRequest::AgainWithoutEntity));
        for (entity, fault) in [
            (json!(null), BadRequest::EntityNotText),
            (json!(972), BadRequest::EntityNotText),
            (json!("972501234567"), BadRequest::NotALine),
            (json!("store#972501234567"), BadRequest::NotALine),
            (json!("whatsapp#"), BadRequest::NotALine),
            (json!("whatsapp#-"), BadRequest::NotALine),
        ] {
            let event = json!({"action": "lines", "entity": entity});
            assert_eq!(Request::read(&event), Err(fault), "{event}");
        }
        for (name, fault) in [("mode", BadRequest::UnknownMode), ("url", BadRequest::UrlNotWanted)] {
            let event = json!({"action": "lines", name: "apply"});
            assert_eq!(Request::read(&event), Err(fault), "{event}");
        }
    }

    fn message(body: &str) -> Value {
        let attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1795348801000"});
        json!({"Records": [{
            "messageId": "1", "receiptHandle": "r", "eventSource": "aws:sqs", "body": body, "attributes": attributes,
        }]})
    }

    #[test]
    fn a_message_of_the_queue_asks_for_a_check_of_one_line_and_for_nothing_else() {
        let line = r##"{"action":"lines","entity":"whatsapp#972501234567"}"##;
        let entity = Some(Entity::named("whatsapp#972501234567"));
        let request = LinesRequest { entity, mode: PassMode::Apply, again: false };
        assert_eq!(Request::read(&message(line)), Ok(Request::Lines(request)));
        for (body, fault) in [
            ("", BadRequest::NotALineMessage),
            ("not JSON", BadRequest::NotALineMessage),
            ("{}", BadRequest::NotALineMessage),
            ("[]", BadRequest::NotAnObject),
            (r#"{"action":"lines"}"#, BadRequest::NotALineMessage),
            (r#"{"action":"rotate"}"#, BadRequest::NotALineMessage),
            (r#"{"action":"inventory"}"#, BadRequest::NotALineMessage),
            (r##"{"action":"lines","entity":"whatsapp#-"}"##, BadRequest::NotALine),
            (&message(line).to_string(), BadRequest::NotALineMessage),
        ] {
            assert_eq!(Request::read(&message(body)), Err(fault), "{body}");
        }
        let mut two = message(line);
        let record = two["Records"][0].clone();
        two["Records"].as_array_mut().unwrap().push(record);
        let mut other_source = message(line);
        other_source["Records"][0]["eventSource"] = "aws:s3".into();
        for event in [two, other_source, json!({"Records": []}), json!({"Records": {}, "action": "sync"})] {
            assert_eq!(Request::read(&event), Err(BadRequest::NotOneMessage), "{event}");
        }
    }

    #[test]
    fn an_event_without_an_action_asks_for_a_sync() {
        for event in [json!({}), json!({ "source": "aws.scheduler", "detail": {} })] {
            assert_eq!(Action::read(&event), Ok(Action::Sync));
        }
    }

    #[test]
    fn any_other_event_is_refused_with_its_fault() {
        for (event, fault) in [
            (json!(null), BadRequest::NotAnObject),
            (json!([]), BadRequest::NotAnObject),
            (json!("sync"), BadRequest::NotAnObject),
            (json!({ "action": null }), BadRequest::ActionNotText),
            (json!({ "action": 1 }), BadRequest::ActionNotText),
            (json!({ "action": "" }), BadRequest::UnknownAction),
            (json!({ "action": "SYNC" }), BadRequest::UnknownAction),
            (json!({ "action": "delete" }), BadRequest::UnknownAction),
            (json!({ "action": "set" }), BadRequest::UrlMissing),
            (json!({ "action": "set", "url": null }), BadRequest::UrlNotText),
            (json!({ "action": "set", "url": "" }), BadRequest::UrlInvalid(InvalidWebhookUrl::NotAUrl)),
            (json!({ "action": "sync", "url": "https://example.com/t" }), BadRequest::UrlNotWanted),
            (json!({ "url": "https://example.com/t" }), BadRequest::UrlNotWanted),
            (json!({ "action": "rotate", "url": "https://example.com/t" }), BadRequest::UrlNotWanted),
        ] {
            assert_eq!(Action::read(&event), Err(fault), "{event}");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_url() {
        let event = json!({ "action": "set", "url": "http://example.com/hooks/s3cret" });
        let refusal = Action::read(&event).unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains("s3cret"));
    }
}
