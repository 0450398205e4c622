use std::future::ready;

use lambda_http::{
    Body, IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde_json::{Value, json};
use shared::EventId;
use store::Recorded;

use crate::{arrive::LARGEST_BODY, route::Misrouted};

/// An answer that is ready as it is. The body of a `Response` lambda_http would read once more, in any of forty character sets, whose
/// tables are 0.14 of the binary's 5.7 MB.
pub struct Answer(pub Response<Body>);

impl IntoResponse for Answer {
    fn into_response(self) -> std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(ready(self.0))
    }
}

/// 200: the delivery is recorded.
pub(crate) fn recorded(id: EventId, recorded: Recorded) -> Response<Body> {
    let mut answer = json!({"status": "OK", "id": id.to_string()});
    match recorded {
        Recorded::Event => {}
        Recorded::Duplicate { of } => answer["duplicate_of"] = json!(of.to_string()),
        Recorded::Quarantined => answer["quarantined"] = json!(true),
    }
    json_answer(StatusCode::OK, &answer)
}

/// 200: the delivery waits in the fallback queue.
pub(crate) fn queued(id: EventId) -> Response<Body> {
    json_answer(StatusCode::OK, &json!({"status": "OK", "id": id.to_string()}))
}

/// 403, and nothing else: whoever is refused learns no more than that.
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

/// 413: the body is larger than what is taken.
pub(crate) fn too_large(size: usize) -> Response<Body> {
    let error = format!("the body has {size} bytes; at most {LARGEST_BODY} are taken");
    json_answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({"status": "FAIL", "error": error}))
}

/// 503: the delivery is neither recorded nor queued, and the caller may try again.
pub(crate) fn unavailable() -> Response<Body> {
    let error = "the delivery could not be recorded; send it again";
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "FAIL", "error": error}))
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
