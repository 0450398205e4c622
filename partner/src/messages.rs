//! The messages of the partner API, as its pages "Access Token" and "Partner Webhook" describe them.
//!
//! A number may come as a string, and a string as a number. A field of any other type is refused, because its meaning would be
//! a guess.

use serde_json::{Map, Value, json};
use shared::{RegisteredUrl, Secret, Timestamp, WebhookUrl, json::without_byte_order_mark};

use crate::{credentials::ClientCredentials, error::Unexpected};

/// The code by which the provider gives the cause of an answer. Its meaning depends on the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason(pub(crate) i64);

impl Reason {
    /// All operations: success.
    pub(crate) const OK: Self = Self(1);
    /// All operations: the client id or secret is wrong, or (access token) the JSON malformed.
    pub(crate) const WRONG_CREDENTIALS: Self = Self(2);
    /// Access token: too many wrong attempts, the caller's address is blocked for a while.
    pub(crate) const BLOCKED: Self = Self(3);
    /// All others: the access token is unknown or has expired.
    pub(crate) const TOKEN_EXPIRED: Self = Self(3);
    /// Set webhook: the URL is invalid.
    pub(crate) const INVALID_URL: Self = Self(13);
}

/// Returns the body of the access token request. No other place writes the credentials out.
pub(crate) fn access_token_request(client: &ClientCredentials) -> Vec<u8> {
    json!({"client_id": client.id.expose(), "client_secret": client.secret.expose()}).to_string().into_bytes()
}

/// Returns the body of the set webhook request.
pub(crate) fn set_webhook_request(url: &WebhookUrl) -> Vec<u8> {
    json!({"url": url.expose()}).to_string().into_bytes()
}

/// The answer to the access token call.
#[derive(Clone, Debug)]
pub(crate) enum AccessTokenAnswer {
    /// A token for the other operations.
    Granted {
        /// Goes into `Authorization: Bearer`.
        token: Secret,
        /// Its expiry, about an hour ahead. The provider sends Unix seconds, as a string.
        expires_at: Option<Timestamp>,
    },
    /// No token, and the reason.
    Refused(Reason),
}

impl AccessTokenAnswer {
    /// Reads an answer. `status` is documented but missing from the provider's example, so it is not required.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Unexpected> {
        let object = read_object(body)?;
        let token = object.text("access_token")?.filter(|token| !token.is_empty());
        match (object.reason()?, token) {
            (Some(Reason::OK) | None, Some(token)) => {
                // An impossible expiration is ignored: the token is still valid for its hour.
                let expires_at = object.integer("expiration_time").unwrap_or_default();
                let expires_at = expires_at.map(|seconds| Timestamp::from_micros(seconds.saturating_mul(1_000_000)));
                Ok(Self::Granted { token: Secret::new(token), expires_at })
            }
            (Some(Reason::OK), None) => Err(Unexpected::MissingField("access_token")),
            (Some(reason), _) => Ok(Self::Refused(reason)),
            (None, None) => Err(Unexpected::MissingField("reason")),
        }
    }
}

/// The answer to the get webhook call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GetWebhookAnswer {
    /// The registered URL; `None` when nothing is registered.
    Registered(Option<RegisteredUrl>),
    /// Not answered, and the reason.
    Refused(Reason),
}

impl GetWebhookAnswer {
    /// Reads an answer. Only an empty `url` means that nothing is registered; without the field it is unknown.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Unexpected> {
        let object = read_object(body)?;
        if let Some(reason) = object.refused()? {
            return Ok(Self::Refused(reason));
        }
        match object.0.get("url") {
            Some(Value::String(url)) => Ok(Self::Registered(RegisteredUrl::new(url))),
            Some(_) => Err(Unexpected::WrongType("url")),
            None => Err(Unexpected::MissingField("url")),
        }
    }
}

/// The answer to the set webhook call. Its URL is ignored: a get afterwards shows the registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetWebhookAnswer {
    /// Carried out, according to the provider.
    Done,
    /// Not carried out, and the reason.
    Refused(Reason),
}

impl SetWebhookAnswer {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Unexpected> {
        Ok(read_object(body)?.refused()?.map_or(Self::Done, Self::Refused))
    }
}

/// A JSON object of the provider's.
pub(crate) struct Object(pub(crate) Map<String, Value>);

pub(crate) fn read_object(body: &[u8]) -> Result<Object, Unexpected> {
    let body = without_byte_order_mark(body);
    let start = body.trim_ascii_start();
    if start.is_empty() {
        return Err(Unexpected::Empty);
    }
    if start.starts_with(b"<") {
        return Err(Unexpected::Html);
    }
    serde_json::from_slice(body).map(Object).map_err(|_| Unexpected::NotAnObject)
}

impl Object {
    /// Returns the reason of a refusal; `None` when the call was successful. The provider writes `OK`, `FAIL` and `Fail`, so
    /// `status` is compared without case.
    pub(crate) fn refused(&self) -> Result<Option<Reason>, Unexpected> {
        let failed = match self.0.get("status") {
            None => None,
            Some(Value::String(status)) => Some(!status.eq_ignore_ascii_case("OK")),
            Some(_) => return Err(Unexpected::WrongType("status")),
        };
        match (failed, self.reason()?) {
            (None, None) => Err(Unexpected::MissingField("status, reason")),
            (Some(true), None) => Err(Unexpected::MissingField("reason")),
            (None | Some(false), None | Some(Reason::OK)) => Ok(None),
            (_, Some(reason)) => Ok(Some(reason)),
        }
    }

    fn reason(&self) -> Result<Option<Reason>, Unexpected> {
        Ok(self.integer("reason")?.map(Reason))
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Unexpected> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Unexpected::WrongType(name)),
        }
    }

    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, Unexpected> {
        let integer = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_i64(),
            Some(_) => None,
        };
        integer.map(Some).ok_or(Unexpected::WrongType(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(body: &str) -> Result<GetWebhookAnswer, Unexpected> {
        GetWebhookAnswer::read(body.as_bytes())
    }

    fn set(body: &str) -> Result<SetWebhookAnswer, Unexpected> {
        SetWebhookAnswer::read(body.as_bytes())
    }

    fn access_token(body: &str) -> Result<AccessTokenAnswer, Unexpected> {
        AccessTokenAnswer::read(body.as_bytes())
    }

    fn registered(url: &str) -> Result<GetWebhookAnswer, Unexpected> {
        Ok(GetWebhookAnswer::Registered(RegisteredUrl::new(url)))
    }

    #[test]
    fn the_documented_access_token_answer_is_read_and_its_token_hidden() {
        let answer =
            access_token(r#"{"access_token":"12345","expiration_time":"1731842931","token_type":"Bearer","reason":1}"#);
        let answer = answer.unwrap();
        assert!(!format!("{answer:?}").contains("12345"));
        let AccessTokenAnswer::Granted { token, expires_at } = answer else { panic!("refused") };
        assert_eq!(token.expose(), "12345");
        assert_eq!(expires_at.unwrap().to_string(), "2024-11-17T11:28:51.000000Z");
    }

    #[test]
    fn numbers_as_strings_and_strings_as_numbers_are_read() {
        let answer = access_token(r#"{"access_token":12345,"expiration_time":1731842931,"reason":"1"}"#);
        assert!(matches!(answer, Ok(AccessTokenAnswer::Granted { expires_at: Some(_), .. })));
        assert_eq!(get(r#"{"status":"ok","url":"a.example","reason":"1"}"#), registered("a.example"));
    }

    #[test]
    fn an_answer_after_a_byte_order_mark_is_read() {
        assert_eq!(get("\u{feff}{\"status\":\"OK\",\"url\":\"a.example\",\"reason\":1}"), registered("a.example"));
        assert!(access_token("\u{feff}{\"access_token\":\"t\",\"reason\":1}").is_ok());
        assert_eq!(set("\u{feff}\n<html>"), Err(Unexpected::Html));
        assert_eq!(set("\u{feff}"), Err(Unexpected::Empty));
    }

    #[test]
    fn refusals_keep_their_number() {
        for reason in [2, 3, 13, 99, -1] {
            let body = format!(r#"{{"status":"Fail","url":"","reason":{reason}}}"#);
            assert!(matches!(access_token(&body), Ok(AccessTokenAnswer::Refused(Reason(n))) if n == reason));
            assert_eq!(get(&body), Ok(GetWebhookAnswer::Refused(Reason(reason))));
            assert_eq!(set(&body), Ok(SetWebhookAnswer::Refused(Reason(reason))));
        }
        let contradiction = get(r#"{"status":"FAIL","reason":1}"#);
        assert_eq!(contradiction, Ok(GetWebhookAnswer::Refused(Reason::OK)));
    }

    #[test]
    fn only_an_empty_url_says_that_nothing_is_registered() {
        for url in ["", " "] {
            assert_eq!(get(&json!({"status": "OK", "url": url, "reason": 1}).to_string()), registered(""));
        }
        assert_eq!(get(r#"{"status":"OK","reason":1}"#), Err(Unexpected::MissingField("url")));
        for url in
            [json!(null), json!(1), json!(true), json!(["https://a.example"]), json!({"url": "https://a.example"})]
        {
            let body = json!({"status": "OK", "url": url, "reason": 1}).to_string();
            assert_eq!(get(&body), Err(Unexpected::WrongType("url")), "{body}");
        }
    }

    #[test]
    fn the_answer_to_a_set_needs_no_url() {
        for body in [r#"{"status":"OK","reason":1}"#, r#"{"status":"OK","url":{},"reason":1}"#, r#"{"status":"OK"}"#] {
            assert_eq!(set(body), Ok(SetWebhookAnswer::Done), "{body}");
        }
    }

    #[test]
    fn a_status_or_reason_of_another_type_is_not_the_api() {
        for value in [json!(null), json!(true), json!([1]), json!({"code": 1})] {
            let status = json!({"status": value, "url": "", "reason": 1}).to_string();
            assert_eq!(get(&status), Err(Unexpected::WrongType("status")));
            assert_eq!(set(&status), Err(Unexpected::WrongType("status")));
            let reason = json!({"status": "OK", "url": "", "access_token": "t", "reason": value}).to_string();
            assert_eq!(get(&reason), Err(Unexpected::WrongType("reason")));
            assert_eq!(set(&reason), Err(Unexpected::WrongType("reason")));
            assert_eq!(access_token(&reason).unwrap_err(), Unexpected::WrongType("reason"));
        }
        for reason in ["one", "", "1.5"] {
            let body = json!({"status": "OK", "url": "", "reason": reason}).to_string();
            assert_eq!(get(&body), Err(Unexpected::WrongType("reason")), "{body}");
        }
        let token = r#"{"access_token":{"token":"t"},"reason":1}"#;
        assert_eq!(access_token(token).unwrap_err(), Unexpected::WrongType("access_token"));
    }

    #[test]
    fn anything_but_the_documented_object_is_named() {
        for (body, error) in [
            ("", Unexpected::Empty),
            (" \n", Unexpected::Empty),
            ("<html>", Unexpected::Html),
            ("\n<!DOCTYPE html>", Unexpected::Html),
            ("oops", Unexpected::NotAnObject),
            ("[1]", Unexpected::NotAnObject),
            ("null", Unexpected::NotAnObject),
            ("\"https://a.example\"", Unexpected::NotAnObject),
            ("{\"status\":\"OK\"", Unexpected::NotAnObject),
        ] {
            assert_eq!(access_token(body).unwrap_err(), error, "{body}");
            assert_eq!(get(body), Err(error), "{body}");
            assert_eq!(set(body), Err(error), "{body}");
        }
        assert_eq!(access_token("{}").unwrap_err(), Unexpected::MissingField("reason"));
        assert_eq!(access_token(r#"{"reason":1}"#).unwrap_err(), Unexpected::MissingField("access_token"));
        assert_eq!(get("{}"), Err(Unexpected::MissingField("status, reason")));
        assert_eq!(set(r#"{"status":"FAIL"}"#), Err(Unexpected::MissingField("reason")));
    }

    #[test]
    fn requests_are_written_as_documented() {
        let client = ClientCredentials { id: Secret::new("id"), secret: Secret::new("se\"cret") };
        assert_eq!(access_token_request(&client), br#"{"client_id":"id","client_secret":"se\"cret"}"#);
        let url = WebhookUrl::parse("https://example.com/a").unwrap();
        assert_eq!(set_webhook_request(&url), br#"{"url":"https://example.com/a"}"#);
    }
}
