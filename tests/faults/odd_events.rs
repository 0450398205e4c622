//! Events that no gateway is known to send, or that lambda_http panics on, handed to the built receiver. Lambda counts neither
//! an error nor a crash for them.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{Answer, World, call, send, update};
use serde_json::{Value, json};

/// A call with changes to its event.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut event = serde_json::from_str(&call(&update(0, 1))).unwrap();
    change(&mut event);
    event.to_string()
}

#[tokio::test]
async fn every_event_is_answered_and_none_ends_the_process() {
    let world = World::start().await;
    let receiver = world.receiver().await;
    let first = send(&receiver, &call(&update(0, 1))).await;
    let process = receiver.process_id().await;
    let set = |name: &'static str, value: Value| changed(move |event| event[name] = value);
    let header = |name: &str, value: Value| {
        let headers = json!({name: value});
        changed(move |event| (event["headers"], event["multiValueHeaders"]) = (headers.clone(), headers))
    };
    let events = [
        (200, header("X-Forwarded-Proto", json!("https, http"))),
        (200, header("X-Forwarded-Proto", json!(["://", "http"]))),
        (200, header("Host", json!("a host/with?everything#in it"))),
        (200, header("Host", json!(["[::1", ""]))),
        (200, header("Content-Encoding", json!({"gzip": 1}))),
        (200, set("headers", Value::Null)),
        (200, set("headers", json!("none"))),
        (200, set("multiValueHeaders", json!([1, null]))),
        (200, set("queryStringParameters", json!({"a": {"b": "c"}}))),
        (200, set("multiValueQueryStringParameters", json!({"%": ["%zz", 1]}))),
        (200, set("requestContext", Value::Null)),
        (200, set("requestContext", json!({"identity": "somebody", "requestId": 1, "stage": []}))),
        (200, set("body", Value::Null)),
        (200, set("body", json!({"event": "whatsapp"}))),
        (200, set("isBase64Encoded", json!(true))),
        (200, changed(|event| event["path"] = json!(format!("{}/", event["path"].as_str().unwrap())))),
        (403, set("path", json!("/webhook/%zz%F0%28"))),
        (404, set("path", json!("/webhook/%2F/../\u{1}"))),
        (404, set("path", Value::Null)),
        (405, set("httpMethod", json!("a method"))),
        (404, "null".to_owned()),
        (404, "[]".to_owned()),
        (404, "1e999".to_owned()),
        (404, r#"{"path": 1, "path": 2}"#.to_owned()),
        (404, r#""\ud800""#.to_owned()),
    ];
    let mut answers = vec![first];
    for (status, event) in &events {
        let answer = send(&receiver, event).await;
        assert_eq!(answer.status, Some(*status), "{event}");
        answers.push(answer);
    }
    assert_eq!(receiver.process_id().await, process);
    let stored = world.stored_ids().await;
    let acknowledged: Vec<String> = answers.iter().filter_map(Answer::id).collect();
    assert_eq!(stored.len(), acknowledged.len());
    assert!(acknowledged.iter().all(|id| stored.contains(id)));
}
