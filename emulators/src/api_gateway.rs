//! A stand-in for API Gateway: the REST API of template.yaml in front of the receiver, with the events and the limits of AWS.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{
        ConnectInfo, DefaultBodyLimit, OriginalUri, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    lambda::Lambda,
    runtime_api::{MAX_PAYLOAD, Outcome},
};

/// The stage, which is the first part of every path.
const STAGE: &str = "v1";

/// The maximum size of a body, in bytes. What no longer fits into an event as base64 is refused as well.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The maximum time that the gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// The maximum number of calls that are handled or wait at once. More are refused, as `ThrottleBurst` does on AWS.
const MAX_CALLS: usize = 1_000;

#[derive(Clone)]
struct Gateway {
    lambda: Lambda,
    calls: Arc<Semaphore>,
    given: Arc<AtomicU64>,
}

/// One call of the webhook.
struct Call {
    uri: Uri,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    caller: SocketAddr,
    body: Bytes,
}

/// Returns the routes of the API, which invoke the function `receiver`.
pub fn router(lambda: Lambda) -> Router {
    let gateway = Gateway { lambda, calls: Arc::new(Semaphore::new(MAX_CALLS)), given: Arc::default() };
    let not_found = || async { message(StatusCode::NOT_FOUND, "Not Found") };
    Router::new()
        .route("/v1/webhook/{token}", post(webhook).fallback(not_found))
        .route("/v1/webhook/{token}/", post(webhook).fallback(not_found))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(gateway)
}

async fn webhook(
    State(gateway): State<Gateway>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long") };
    let Ok(_call) = gateway.calls.try_acquire() else {
        return message(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
    };
    let number = gateway.given.fetch_add(1, Ordering::Relaxed);
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let event = Call { uri, headers, query, caller, body }.event(number).to_string();
    if event.len() > MAX_PAYLOAD {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    }
    match timeout(INTEGRATION_TIMEOUT, gateway.lambda.invoke("receiver", event)).await {
        Err(_) => message(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
        Ok(Some(Outcome::Answer(answer))) => read_answer(answer).unwrap_or_else(bad_gateway),
        Ok(_) => bad_gateway(),
    }
}

impl Call {
    /// Returns the event of this call as REST APIs write it (payload version 1.0).
    fn event(&self, number: u64) -> Value {
        let host = text(self.headers.get(header::HOST));
        let user_agent = text(self.headers.get(header::USER_AGENT));
        let request_id = format!("00000000-0000-4000-9000-{number:012}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = self.uri.path();
        let token = path.trim_end_matches('/').rsplit('/').next();
        let (headers, multi_value_headers) = by_name(self.headers());
        let (query, multi_value_query) = by_name(self.query.iter().cloned());
        json!({
            "resource": "/webhook/{token}",
            "path": path.strip_prefix("/v1").unwrap_or(path),
            "httpMethod": Method::POST.as_str(),
            "headers": headers,
            "multiValueHeaders": multi_value_headers,
            "queryStringParameters": query,
            "multiValueQueryStringParameters": multi_value_query,
            "pathParameters": { "token": token },
            "stageVariables": null,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": host,
                "domainPrefix": "local",
                "extendedRequestId": request_id,
                "httpMethod": Method::POST.as_str(),
                "identity": { "sourceIp": self.caller.ip(), "userAgent": user_agent },
                "path": path,
                "protocol": "HTTP/1.1",
                "requestId": request_id,
                "requestTimeEpoch": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
                "resourceId": "local",
                "resourcePath": "/webhook/{token}",
                "stage": STAGE,
            },
            "body": if self.body.is_empty() { Value::Null } else { BASE64_STANDARD.encode(&self.body).into() },
            "isBase64Encoded": !self.body.is_empty(),
        })
    }

    /// Returns the headers with those that the gateway adds.
    fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let sent = self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(Some(value))));
        let before = self.headers.get("x-forwarded-for").map(|before| format!("{}, ", text(Some(before))));
        let addresses = format!("{}{}", before.unwrap_or_default(), self.caller.ip());
        let added = [("x-forwarded-proto", "http".to_owned()), ("x-forwarded-for", addresses)];
        let added =
            added.into_iter().filter(|(name, _)| *name == "x-forwarded-for" || !self.headers.contains_key(*name));
        let added: Vec<_> = added.map(|(name, value)| (name.to_owned(), value)).collect();
        sent.filter(|(name, _)| name != "x-forwarded-for").chain(added)
    }
}

/// Returns the last value of each name, and all values of each name; null when there is none, as the gateway writes it.
fn by_name(pairs: impl Iterator<Item = (String, String)>) -> (Value, Value) {
    let (mut single, mut multi) = (Map::new(), Map::new());
    for (name, value) in pairs {
        single.insert(name.clone(), value.clone().into());
        if let Value::Array(values) = multi.entry(name).or_insert_with(|| json!([])) {
            values.push(value.into());
        }
    }
    if single.is_empty() { (Value::Null, Value::Null) } else { (single.into(), multi.into()) }
}

fn text(value: Option<&HeaderValue>) -> String {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Converts a function's answer to an HTTP answer; `None` if its form is not that of a gateway.
fn read_answer(answer: Value) -> Option<Response> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Answer {
        status_code: u16,
        headers: Option<Map<String, Value>>,
        multi_value_headers: Option<Map<String, Value>>,
        body: Option<String>,
        is_base64_encoded: bool,
    }
    let answer = Answer::deserialize(answer).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64_STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = (StatusCode::from_u16(answer.status_code).ok()?, body).into_response();
    let single = answer.headers.into_iter().flatten();
    let multi = answer.multi_value_headers.into_iter().flatten();
    for (name, value) in single.chain(multi) {
        let name: HeaderName = name.parse().ok()?;
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        let values = values.iter().map(|value| HeaderValue::from_str(value.as_str()?).ok());
        response.headers_mut().remove(&name);
        for value in values.collect::<Option<Vec<_>>>()? {
            response.headers_mut().append(&name, value);
        }
    }
    Some(response)
}

fn bad_gateway() -> Response {
    message(StatusCode::BAD_GATEWAY, "Internal server error")
}

/// An answer of the gateway itself.
fn message(status: StatusCode, message: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "message": message }).to_string()).into_response()
}
