//! The messages of the provider's partner API, as its pages "Access Token" and "Partner Webhook" describe them.
//!
//! Requests are written exactly; answers are read with tolerance: a number may come as a string, fields may be missing,
//! unknown codes are kept.

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{RegisteredUrl, Secret, Timestamp, WebhookUrl};

/// Path of the access token call, below the API's base URL (`POST`).
pub const ACCESS_TOKEN: &str = "/settings/accessToken";
/// Path of the call that registers the webhook (`POST`).
pub const SET_WEBHOOK: &str = "/settings/setWebhook";
/// Path of the call that reads the registered webhook (`GET`).
pub const GET_WEBHOOK: &str = "/settings/getWebhook";

/// The code by which the provider gives the cause of an answer. Its meaning depends on the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(pub i64);

impl Reason {
    /// All calls: not a failure.
    pub const OK: Self = Self(1);
    /// All calls: client id or secret wrong, or (access token) the JSON malformed. Repeating it leads to
    /// [`Reason::BLOCKED`].
    pub const WRONG_CREDENTIALS: Self = Self(2);
    /// Access token: too many wrong attempts, the caller's address is blocked for a while.
    pub const BLOCKED: Self = Self(3);
    /// Webhook calls: the access token does not exist or has expired.
    pub const TOKEN_EXPIRED: Self = Self(3);
    /// Set webhook: the URL is invalid.
    pub const INVALID_URL: Self = Self(13);
}

/// The bytes are not an answer of the partner API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTheApi {
    /// Nothing was answered.
    #[error("an empty answer")]
    Empty,
    /// Something that starts as a page does.
    #[error("an HTML page")]
    Html,
    /// Not JSON, or not an object.
    #[error("something that is not a JSON object")]
    NotAnObject,
    /// An object without the fields that the call must answer with.
    #[error("a JSON object without the fields of this call ({0})")]
    MissingField(&'static str),
}

/// The body of the access token request. The one place where the credentials are written out.
pub fn access_token_request(client_id: &Secret, client_secret: &Secret) -> Vec<u8> {
    json!({"client_id": client_id.expose(), "client_secret": client_secret.expose()}).to_string().into_bytes()
}

/// The body of the set webhook request.
pub fn set_webhook_request(url: &WebhookUrl) -> Vec<u8> {
    json!({"url": url.expose()}).to_string().into_bytes()
}

/// What the access token call answers.
#[derive(Clone, Debug)]
pub enum AccessTokenAnswer {
    /// A token for the other calls.
    Granted {
        /// Goes into `Authorization: Bearer`.
        token: Secret,
        /// When it stops being valid (the provider sends Unix seconds, as a string); about an hour ahead.
        expires_at: Option<Timestamp>,
    },
    /// No token, and why.
    Refused(Reason),
}

impl AccessTokenAnswer {
    /// Reads an answer. `status` is documented but missing from the provider's example, so it is not asked for.
    ///
    /// # Errors
    /// When the bytes are no such answer.
    pub fn read(body: &[u8]) -> Result<Self, NotTheApi> {
        let object = read_object(body)?;
        let token = text(&object, "access_token").filter(|token| !token.is_empty());
        match (integer(&object, "reason").map(Reason), token) {
            (Some(Reason::OK) | None, Some(token)) => {
                let expires_at = integer(&object, "expiration_time")
                    .map(|seconds| Timestamp::from_micros(seconds.saturating_mul(1_000_000)));
                Ok(Self::Granted { token: Secret::new(token), expires_at })
            }
            (Some(Reason::OK), None) => Err(NotTheApi::MissingField("access_token")),
            (Some(reason), _) => Ok(Self::Refused(reason)),
            (None, None) => Err(NotTheApi::MissingField("reason")),
        }
    }
}

/// What the calls that set and get the webhook answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// Done; with the registered URL, if there is one.
    Done(Option<RegisteredUrl>),
    /// Not done, and why.
    Refused(Reason),
}

impl WebhookAnswer {
    /// Reads an answer. The provider writes `OK`, `FAIL` and `Fail`, so `status` is compared without case.
    ///
    /// # Errors
    /// When the bytes are no such answer.
    pub fn read(body: &[u8]) -> Result<Self, NotTheApi> {
        let object = read_object(body)?;
        let failed = text(&object, "status").map(|status| !status.eq_ignore_ascii_case("OK"));
        let reason = integer(&object, "reason").map(Reason);
        match (failed, reason) {
            (None, None) => Err(NotTheApi::MissingField("status, reason")),
            (None | Some(false), None | Some(Reason::OK)) => {
                Ok(Self::Done(text(&object, "url").as_deref().and_then(RegisteredUrl::new)))
            }
            (Some(true), None) => Err(NotTheApi::MissingField("reason")),
            (_, Some(reason)) => Ok(Self::Refused(reason)),
        }
    }
}

fn read_object(body: &[u8]) -> Result<Map<String, Value>, NotTheApi> {
    let start = body.trim_ascii_start();
    if start.is_empty() {
        return Err(NotTheApi::Empty);
    }
    if start.starts_with(b"<") {
        return Err(NotTheApi::Html);
    }
    serde_json::from_slice(body).map_err(|_| NotTheApi::NotAnObject)
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn integer(object: &Map<String, Value>, name: &str) -> Option<i64> {
    match object.get(name)? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_access_token_answer_is_read_and_its_token_hidden() {
        let answer = AccessTokenAnswer::read(
            br#"{"access_token":"12345","expiration_time":"1731842931","token_type":"Bearer","reason":1}"#,
        );
        let answer = answer.unwrap();
        assert!(!format!("{answer:?}").contains("12345"));
        let AccessTokenAnswer::Granted { token, expires_at } = answer else { panic!("refused") };
        assert_eq!(token.expose(), "12345");
        assert_eq!(expires_at.unwrap().to_string(), "2024-11-17T11:28:51.000000Z");
    }

    #[test]
    fn numbers_as_strings_and_strings_as_numbers_are_read() {
        let answer = AccessTokenAnswer::read(br#"{"access_token":12345,"expiration_time":1731842931,"reason":"1"}"#);
        assert!(matches!(answer, Ok(AccessTokenAnswer::Granted { expires_at: Some(_), .. })));
        let answer = WebhookAnswer::read(br#"{"status":"ok","url":"a.example","reason":"1"}"#).unwrap();
        assert_eq!(answer, WebhookAnswer::Done(RegisteredUrl::new("a.example")));
    }

    #[test]
    fn refusals_keep_their_number() {
        for reason in [2, 3, 13, 99, -1] {
            let body = format!(r#"{{"status":"Fail","url":"","reason":{reason}}}"#);
            assert!(
                matches!(AccessTokenAnswer::read(body.as_bytes()), Ok(AccessTokenAnswer::Refused(Reason(n))) if n == reason)
            );
            assert_eq!(WebhookAnswer::read(body.as_bytes()), Ok(WebhookAnswer::Refused(Reason(reason))));
        }
        let contradiction = WebhookAnswer::read(br#"{"status":"FAIL","reason":1}"#);
        assert_eq!(contradiction, Ok(WebhookAnswer::Refused(Reason::OK)));
    }

    #[test]
    fn nothing_registered_is_an_answer() {
        for body in [
            r#"{"status":"OK","reason":1}"#,
            r#"{"status":"OK","url":"","reason":1}"#,
            r#"{"status":"OK","url":null,"reason":1}"#,
        ] {
            assert_eq!(WebhookAnswer::read(body.as_bytes()), Ok(WebhookAnswer::Done(None)), "{body}");
        }
    }

    #[test]
    fn what_is_not_the_api_is_told_apart() {
        for (body, error) in [
            ("", NotTheApi::Empty),
            (" \n", NotTheApi::Empty),
            ("<html>", NotTheApi::Html),
            ("\n<!DOCTYPE html>", NotTheApi::Html),
            ("oops", NotTheApi::NotAnObject),
            ("[1]", NotTheApi::NotAnObject),
            ("{\"status\":\"OK\"", NotTheApi::NotAnObject),
        ] {
            assert_eq!(AccessTokenAnswer::read(body.as_bytes()).unwrap_err(), error, "{body}");
            assert_eq!(WebhookAnswer::read(body.as_bytes()).unwrap_err(), error, "{body}");
        }
        assert_eq!(AccessTokenAnswer::read(b"{}").unwrap_err(), NotTheApi::MissingField("reason"));
        assert_eq!(AccessTokenAnswer::read(br#"{"reason":1}"#).unwrap_err(), NotTheApi::MissingField("access_token"));
        assert_eq!(WebhookAnswer::read(b"{}").unwrap_err(), NotTheApi::MissingField("status, reason"));
        assert_eq!(WebhookAnswer::read(br#"{"status":"FAIL"}"#).unwrap_err(), NotTheApi::MissingField("reason"));
    }

    #[test]
    fn requests_are_written_as_documented() {
        let body = access_token_request(&Secret::new("id"), &Secret::new("se\"cret"));
        assert_eq!(body, br#"{"client_id":"id","client_secret":"se\"cret"}"#);
        let url = WebhookUrl::parse("https://example.com/a").unwrap();
        assert_eq!(set_webhook_request(&url), br#"{"url":"https://example.com/a"}"#);
    }
}
