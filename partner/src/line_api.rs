//! The webhook of a line (provider's pages: Get Webhook (V2), Set Webhook (V2)). The line's own API key is in the body of each call.

use std::fmt;

use serde_json::{Map, Value, json};
use shared::{RegisteredUrl, Secret, WebhookUrl};
use thiserror::Error;

use crate::{
    base_url::ApiBaseUrl,
    error::{PartnerError, Unexpected},
    http::{HttpClient, Limits},
    messages::{Object, Reason, read_object},
    operation::Operation,
};

/// Reason of a refusal: the number does not exist.
const UNKNOWN_NUMBER: Reason = Reason(2);
/// Reason of a refusal: the API key is wrong.
const WRONG_KEY: Reason = Reason(3);

/// The WhatsApp V2 API. Each call is one request, without retries.
pub struct LineApi {
    http: HttpClient,
}

/// The webhook of a line, as the provider reports it.
///
/// `Debug` masks possible secrets in the URL and has no telephone number.
#[derive(Clone, PartialEq)]
pub struct LineWebhook {
    /// The registered URL; `None` for none.
    pub url: Option<RegisteredUrl>,
    /// True if the provider retries failed deliveries; `None` when its value is missing or in an unknown form.
    pub retry: Option<bool>,
    /// True if the provider delivers the states of sent messages too; `None` as above.
    pub read_status: Option<bool>,
    /// The settings that this project does not manage and that have a value, by name, as the provider wrote them. A telephone number
    /// may be among them.
    pub others: Map<String, Value>,
}

/// The settings of a line's webhook that this project manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// The URL.
    pub url: WebhookUrl,
    /// True if the provider is to retry failed deliveries.
    pub retry: bool,
    /// True if the provider is also to report the states of sent messages.
    pub read_status: bool,
}

/// A failed call of the V2 API. No key, URL or telephone number is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineApiError {
    /// Reason 2.
    #[error("the provider does not know the line's number (reason 2)")]
    UnknownNumber,
    /// Reason 3, which means something else in the partner API.
    #[error("the provider refuses the line's API key (reason 3)")]
    WrongKey,
    /// No answer, or one that says nothing about the line.
    #[error("{0}")]
    Failed(#[from] PartnerError),
}

impl LineApi {
    /// Returns the API at a base URL; nothing is sent yet.
    pub fn new(base: ApiBaseUrl, limits: Limits) -> Self {
        Self { http: HttpClient::new(base, limits) }
    }

    /// Returns the webhook of a line. `number` consists of digits.
    ///
    /// # Errors
    /// Fails when the provider does not answer with it.
    pub async fn get_webhook(&self, number: &str, key: &Secret) -> Result<LineWebhook, LineApiError> {
        let operation = Operation::GetLineWebhook;
        let body = json!({"apiKey": key.expose(), "from": number});
        let answer = self.http.send(operation, None, Some(body.to_string().into_bytes())).await?;
        match answer.read(|body| outcome(&read_object(body)?, LineWebhook::read))? {
            Ok(webhook) => {
                answer.succeeded()?;
                Ok(webhook)
            }
            Err(reason) => Err(refusal(operation, reason)),
        }
    }

    /// Sets the webhook of a line. Settings that this project does not manage are sent as they were read, because the provider does not
    /// document that it keeps omitted ones. Only [`LineApi::get_webhook`] shows whether the webhook was set.
    ///
    /// # Errors
    /// Fails when the provider does not confirm it. The webhook may have been set nevertheless.
    pub async fn set_webhook(
        &self,
        number: &str,
        key: &Secret,
        settings: &LineSettings,
        before: &LineWebhook,
    ) -> Result<(), LineApiError> {
        let operation = Operation::SetLineWebhook;
        let mut body = before.others.clone();
        body.insert("apiKey".to_owned(), key.expose().into());
        body.insert("from".to_owned(), number.into());
        body.insert("url".to_owned(), settings.url.expose().into());
        body.insert("retry".to_owned(), u8::from(settings.retry).into());
        body.insert("readStatus".to_owned(), u8::from(settings.read_status).into());
        let answer = self.http.send(operation, None, Some(Value::Object(body).to_string().into_bytes())).await?;
        answer.read(|body| outcome(&read_object(body)?, |_| Ok(())))?.map_err(|reason| refusal(operation, reason))
    }
}

impl LineWebhook {
    /// Names of the settings that this project does not manage.
    const OTHERS: [&str; 2] = ["system", "systemPhoneAlert"];

    /// Reads an answer. Only an empty `url` means that nothing is registered; without the field it is unknown.
    fn read(answer: &Object) -> Result<Self, Unexpected> {
        let url = match answer.0.get("url") {
            Some(Value::String(url)) => RegisteredUrl::new(url),
            Some(_) => return Err(Unexpected::WrongType("url")),
            None => return Err(Unexpected::MissingField("url")),
        };
        let flag = |name| match answer.integer(name) {
            Ok(Some(0)) => Some(false),
            Ok(Some(1)) => Some(true),
            _ => answer.0.get(name).and_then(Value::as_bool),
        };
        let has_value = |value: &&Value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty());
        let other = |name: &&str| Some(((*name).to_owned(), answer.0.get(*name).filter(has_value)?.clone()));
        let others = Self::OTHERS.iter().filter_map(other).collect();
        Ok(Self { url, retry: flag("retry"), read_status: flag("readStatus"), others })
    }

    /// Returns the names of the settings that are not ours and differ from those of another answer. A number and its text are the same.
    pub fn other_settings_unlike(&self, before: &Self) -> Vec<&'static str> {
        let text = |webhook: &Self, name: &str| {
            webhook
                .others
                .get(name)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned()))
        };
        Self::OTHERS.into_iter().filter(|name| text(self, name) != text(before, name)).collect()
    }
}

impl fmt::Debug for LineWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, retry, read_status, others: _ } = self;
        f.debug_struct("LineWebhook")
            .field("url", url)
            .field("retry", retry)
            .field("read_status", read_status)
            .finish_non_exhaustive()
    }
}

/// Reads an answer, or the reason of a refusal.
fn outcome<T>(
    answer: &Object,
    read: impl FnOnce(&Object) -> Result<T, Unexpected>,
) -> Result<Result<T, Reason>, Unexpected> {
    match answer.refused()? {
        Some(reason) => Ok(Err(reason)),
        None => read(answer).map(Ok),
    }
}

fn refusal(operation: Operation, reason: Reason) -> LineApiError {
    match reason {
        UNKNOWN_NUMBER => LineApiError::UnknownNumber,
        WRONG_KEY => LineApiError::WrongKey,
        Reason(reason) => PartnerError::UnknownReason { operation, reason }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: Value) -> Result<LineWebhook, Unexpected> {
        let Value::Object(answer) = answer else { panic!("no object") };
        LineWebhook::read(&Object(answer))
    }

    #[test]
    fn flags_are_read_as_numbers_texts_and_truth_values_and_others_are_unknown() {
        for (value, flag) in [
            (json!(1), Some(true)),
            (json!("0"), Some(false)),
            (json!(" 1 "), Some(true)),
            (json!(true), Some(true)),
            (json!(false), Some(false)),
            (json!(2), None),
            (json!("yes"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            let webhook = read(json!({"url": "", "retry": value, "readStatus": value})).unwrap();
            assert_eq!((webhook.retry, webhook.read_status), (flag, flag), "{value}");
        }
        let webhook = read(json!({"url": ""})).unwrap();
        assert_eq!((webhook.url, webhook.retry, webhook.read_status), (None, None, None));
    }

    #[test]
    fn other_settings_without_a_value_are_left_out_and_the_others_compared_by_their_text() {
        let others = |system: Value, alert: Value| {
            read(json!({"url": "", "system": system, "systemPhoneAlert": alert})).unwrap()
        };
        assert!(others(json!(null), json!(" ")).others.is_empty());
        let before = others(json!("1"), json!("0501234567"));
        assert_eq!(before.others.len(), 2);
        assert!(others(json!(1), json!(" 0501234567")).other_settings_unlike(&before).is_empty());
        assert_eq!(others(json!("0"), json!("0501234567")).other_settings_unlike(&before), ["system"]);
        assert_eq!(others(json!("1"), json!("")).other_settings_unlike(&before), ["systemPhoneAlert"]);
    }

    #[test]
    fn a_telephone_number_is_not_in_debug() {
        let webhook = read(json!({"url": "a.example/secret-secret", "systemPhoneAlert": "0501234567"})).unwrap();
        let shown = format!("{webhook:?}");
        assert!(!shown.contains("0501234567") && !shown.contains("secret-secret"), "{shown}");
    }
}
