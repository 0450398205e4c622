//! The lines and their own webhooks: the WhatsApp V2 API, after the provider's pages "Get Webhook (V2)" and "Set Webhook (V2)".

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, State};

/// Reason of a refusal: the `from` number does not exist.
const UNKNOWN_NUMBER: i64 = 2;
/// Reason of a refusal: the key is not that of the number.
const WRONG_KEY: i64 = 3;

/// A line at the provider, with the settings of its own webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The API key that the V2 API accepts.
    pub api_key: String,
    /// The registered URL; empty for none.
    pub url: String,
    /// 1 if failed deliveries are retried, else 0.
    pub retry: i64,
    /// 1 if the states of sent messages are delivered too, else 0.
    pub read_status: i64,
    /// 1 if notifications of the system are delivered too, else 0. The API writes it as a text.
    pub system: i64,
    /// The telephone numbers that get alerts.
    pub system_phone_alert: String,
}

/// A call of the V2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineCall {
    /// [`Call::LineGet`] or [`Call::LineSet`].
    pub call: Call,
    /// The number in `from`.
    pub number: String,
    /// The key in `apiKey`.
    pub api_key: String,
    /// The URL to set.
    pub url: Option<String>,
}

impl Line {
    /// Returns a line as it is right after onboarding: nothing is registered.
    pub fn new(api_key: &str) -> Self {
        Self {
            api_key: api_key.to_owned(),
            url: String::new(),
            retry: 0,
            read_status: 0,
            system: 0,
            system_phone_alert: String::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    api_key: String,
    from: String,
    url: Option<String>,
    retry: Value,
    read_status: Value,
    system: Value,
    system_phone_alert: Value,
}

impl Request {
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    pub(super) fn noted(&self, call: Call) -> LineCall {
        LineCall { call, number: self.from.clone(), api_key: self.api_key.clone(), url: self.url.clone() }
    }
}

impl State {
    /// Adds a line with its finished onboarding link to the lists and to the V2 API. A line of the same number gets the key and
    /// keeps its webhook.
    pub(super) fn onboard(&mut self, number: &str, reference: Option<&str>, api_key: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let line = json!({
            "create_time": now, "whatsapp": number, "apiKey": api_key, "display_name": format!("Client {number}"), "business_name": "",
            "isOnline": 0, "coexistence": 0,
        });
        let link = json!({
            "create_time": now, "whatsapp": number, "coexistence": 0, "display_name": format!("Client {number}"), "reference": reference,
            "status": 1,
        });
        for (call, element) in [(Call::Lines, line), (Call::OnboardingLinks, link)] {
            let list = self.lists.entry(call).or_default();
            list.retain(|element| element["whatsapp"] != number);
            list.push(element);
        }
        let line = self.phone_lines.entry(number.to_owned()).or_insert_with(|| Line::new(api_key));
        api_key.clone_into(&mut line.api_key);
    }

    pub(super) fn line_webhook(&mut self, request: &Request) -> Result<Value, i64> {
        let writing = self.writing;
        let line = self.authenticated(request)?;
        let url = if line.url.is_empty() { String::new() } else { writing.of(&line.url) };
        Ok(json!({
            "status": "OK", "url": url, "system": line.system.to_string(), "systemPhoneAlert": line.system_phone_alert,
            "retry": line.retry, "readStatus": line.read_status, "reason": 1,
        }))
    }

    /// Sets what the request has, and what it leaves out to its documented default.
    pub(super) fn set_line_webhook(&mut self, request: &Request) -> Result<Value, i64> {
        let line = self.authenticated(request)?;
        if let Some(url) = &request.url {
            url.trim().clone_into(&mut line.url);
        }
        (line.retry, line.read_status, line.system) =
            (flag(&request.retry), flag(&request.read_status), flag(&request.system));
        line.system_phone_alert = request.system_phone_alert.as_str().unwrap_or_default().to_owned();
        Ok(json!({ "status": "OK", "reason": 1 }))
    }

    fn authenticated(&mut self, request: &Request) -> Result<&mut Line, i64> {
        let line = self.phone_lines.get_mut(&request.from).ok_or(UNKNOWN_NUMBER)?;
        if line.api_key == request.api_key { Ok(line) } else { Err(WRONG_KEY) }
    }
}

fn flag(value: &Value) -> i64 {
    match value {
        Value::String(text) => text.parse().unwrap_or_default(),
        other => other.as_i64().unwrap_or_default(),
    }
}
