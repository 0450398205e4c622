use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde_json::{Value, json};
use shared::EventId;
use store::Recorded;

use crate::{arrive::LARGEST_BODY, route::Misrouted};

/// 200: the delivery is recorded.
pub(crate) fn recorded(id: EventId, recorded: Recorded) -> Response<Body> {
    match recorded {
        Recorded::Event => accepted(&json!({"status": "OK", "id": id.to_string()})),
        Recorded::Duplicate { of } => {
            accepted(&json!({"status": "OK", "id": id.to_string(), "duplicate_of": of.to_string()}))
        }
        Recorded::Quarantined => quarantined(id),
    }
}

/// 200: the delivery waits in the fallback queue. A delivery that redrive will hold is reported as quarantined.
pub(crate) fn queued(id: EventId, held: bool) -> Response<Body> {
    if held { quarantined(id) } else { accepted(&json!({"status": "OK", "id": id.to_string()})) }
}

/// 403 without a body, so that a refused caller does not learn the reason.
pub(crate) fn refused() -> Response<Body> {
    empty(StatusCode::FORBIDDEN)
}

/// 404 or 405.
pub(crate) fn misrouted(misrouted: Misrouted) -> Response<Body> {
    match misrouted {
        Misrouted::OtherPath => empty(StatusCode::NOT_FOUND),
        Misrouted::OtherMethod => {
            let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            answer
        }
    }
}

/// 413: the body is larger than the limit.
pub(crate) fn too_large(size: usize) -> Response<Body> {
    let error = format!("the body has {size} bytes; at most {LARGEST_BODY} are taken");
    json_answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({"status": "FAIL", "error": error}))
}

/// 503: the delivery is neither recorded nor queued, and the caller may try again.
pub(crate) fn unavailable() -> Response<Body> {
    let error = "the delivery could not be recorded; send it again";
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "FAIL", "error": error}))
}

fn quarantined(id: EventId) -> Response<Body> {
    accepted(&json!({"status": "OK", "id": id.to_string(), "quarantined": true}))
}

fn accepted(answer: &Value) -> Response<Body> {
    json_answer(StatusCode::OK, answer)
}

fn json_answer(status: StatusCode, answer: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
