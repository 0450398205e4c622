use std::{convert::Infallible, future, io};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{OriginalUri, State as Given},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::{Call, Fault, Shared, State, lines, lists};

/// Maximum number of characters of a registered URL.
const LONGEST_URL: usize = 512;

const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
const HTML: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/html")];

pub(super) fn router(state: Shared) -> Router {
    let router = Router::new()
        .route("/api/settings/accessToken", route(Call::AccessToken))
        .route("/api/settings/setWebhook", route(Call::Set))
        .route("/whatsapp/v2/getWebhook", route(Call::LineGet))
        .route("/whatsapp/v2/setWebhook", route(Call::LineSet));
    let gets = std::iter::once(("settings/getWebhook", Call::Get)).chain(lists::PATHS);
    let add = |router: Router<_>, (path, call): (&str, Call)| {
        router.route(&format!("/api/{path}"), route(call).fallback(|| async { refusal(13) }))
    };
    gets.fold(router, add).with_state(state)
}

fn route(call: Call) -> MethodRouter<Shared> {
    let answer = move |Given(state): Given<Shared>, OriginalUri(uri), headers: HeaderMap, body: Bytes| async move {
        let fault = state.lock().called(call, &body);
        match fault {
            None => state.lock().answer(call, &headers, &body),
            Some(Fault::TokenExpired) => {
                let mut state = state.lock();
                state.forget_access_tokens();
                state.answer(call, &headers, &body)
            }
            Some(Fault::SetIgnored) => {
                let mut state = state.lock();
                let kept = (state.registered.clone(), state.phone_lines.clone());
                let answer = state.answer(call, &headers, &body);
                (state.registered, state.phone_lines) = kept;
                answer
            }
            Some(fault @ (Fault::CutOff | Fault::WrongTotal | Fault::MissingComma)) => {
                let state = state.lock();
                let granted = state.check_access_token(&headers);
                granted.map_or_else(refusal, |()| json_text(lists::faulty(&state.lists, call, &fault)))
            }
            Some(Fault::Redirect) => (StatusCode::FOUND, [(header::LOCATION, uri.to_string())]).into_response(),
            Some(Fault::Html) => (HTML, "<!DOCTYPE html><title>Welcome</title>").into_response(),
            Some(Fault::Empty) => StatusCode::OK.into_response(),
            Some(Fault::WrongJson) => (JSON, r#"{"hello":"world"}"#).into_response(),
            Some(Fault::Endless) => (JSON, endless()).into_response(),
            Some(Fault::Status(status)) => with_status(status, "the answer of a proxy".to_owned()),
            Some(Fault::Answer(status, body)) => with_status(status, body),
            Some(Fault::Reason(reason)) => refusal(reason),
            Some(Fault::Hang) => future::pending().await,
            Some(Fault::Disconnect) => broken().into_response(),
        }
    };
    match call {
        Call::AccessToken | Call::Set | Call::LineGet | Call::LineSet => post(answer),
        _ => get(answer),
    }
}

impl State {
    fn answer(&mut self, call: Call, headers: &HeaderMap, body: &[u8]) -> Response {
        let answer = match call {
            Call::AccessToken => self.access_token(body),
            Call::Set => self.check_access_token(headers).and_then(|()| self.set(body)),
            Call::Get => self.check_access_token(headers).map(|()| self.webhook()),
            Call::LineGet => self.line_webhook(&lines::Request::read(body)).map(|answer| json_text(answer.to_string())),
            Call::LineSet => {
                self.set_line_webhook(&lines::Request::read(body)).map(|answer| json_text(answer.to_string()))
            }
            _ => self.check_access_token(headers).map(|()| json_text(lists::answer(&self.lists, call).to_string())),
        };
        answer.unwrap_or_else(refusal)
    }

    fn access_token(&mut self, body: &[u8]) -> Result<Response, i64> {
        #[derive(Default, Deserialize)]
        struct Request {
            client_id: String,
            client_secret: String,
        }
        let request: Request = serde_json::from_slice(body).unwrap_or_default();
        self.check_credentials(&request.client_id, &request.client_secret)?;
        let (token, expiration) = self.grant();
        let mut answer = json!({ "access_token": token, "token_type": "Bearer", "reason": 1 });
        if let Some(expiration) = expiration {
            answer["expiration_time"] = expiration.into();
        }
        Ok((JSON, answer.to_string()).into_response())
    }

    fn check_access_token(&self, headers: &HeaderMap) -> Result<(), i64> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match authorization.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if self.knows(token) => Ok(()),
            _ => Err(3),
        }
    }

    fn set(&mut self, body: &[u8]) -> Result<Response, i64> {
        #[derive(Deserialize)]
        struct Request {
            url: String,
        }
        let Request { url } = serde_json::from_slice(body).map_err(|_| 13)?;
        let scheme = url.starts_with("https://") || url.starts_with("http://");
        if !scheme || url.chars().count() > LONGEST_URL {
            return Err(13);
        }
        self.registered = Some(url);
        Ok(self.webhook())
    }

    fn webhook(&self) -> Response {
        let url = self.registered.as_deref().map(|url| self.writing.of(url)).unwrap_or_default();
        (JSON, json!({ "status": "OK", "url": url, "reason": 1 }).to_string()).into_response()
    }
}

fn json_text(body: String) -> Response {
    (JSON, body).into_response()
}

fn refusal(reason: i64) -> Response {
    (JSON, json!({ "status": "FAIL", "reason": reason }).to_string()).into_response()
}

fn with_status(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, body).into_response()
}

fn endless() -> Body {
    let start = Bytes::from_static(br#"{"status":"OK","reason":1,"url":"https://example.com/"#);
    let more = Bytes::from_static(&[b'a'; 8 * 1024]);
    let chunks = std::iter::once(start).chain(std::iter::repeat(more));
    Body::from_stream(stream::iter(chunks.map(Ok::<_, Infallible>)))
}

/// Returns a body that fails before its first byte, so that the server closes the connection without an answer.
fn broken() -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))]))
}
