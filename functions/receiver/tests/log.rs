//! The receiver's log: its lines, and the secrets that it never contains.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{sync::LazyLock, time::Duration};

use common::{TOKEN, World, sample, samples, with_body};
use fixtures::{API_KEY, FINGERPRINT_KEY, Log, noon};
use serde_json::{Value, json};

/// Returns the one log of this process, which all tests share.
fn log_of_this_process() -> &'static Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = lambda::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    });
    &LOG
}

#[tokio::test]
async fn no_log_line_has_a_secret_at_any_level() {
    let log = log_of_this_process();
    let world = World::start().await;
    for (_, event) in samples() {
        world.send(&event).await;
    }
    world.link.hang();
    tokio::time::pause();
    for (_, event) in samples() {
        world.send_at(&event, noon().plus(Duration::from_secs(60))).await;
    }
    world.sqs_link.hang();
    for (_, event) in samples() {
        world.send_at(&event, noon().plus(Duration::from_secs(120))).await;
    }

    let text = log.text();
    for secret in [API_KEY, TOKEN, "another-token-0123456789abcdefghijk", FINGERPRINT_KEY] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for said in [
        "event recorded",
        "duplicate recorded",
        "delivery quarantined",
        "call refused",
        "body too large",
        "delivery queued",
        "delivery not recorded",
        "delivery held: its source address is not on the list",
        "DynamoDB does not answer: deliveries go straight to the fallback queue",
    ] {
        assert!(text.contains(said), "the log lacks: {said}");
    }
}

#[tokio::test]
async fn a_lost_event_can_be_entered_again_from_the_log() {
    let log = log_of_this_process();
    let world = World::start().await;
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    world.send_at(&sample("200-builder.json"), noon().plus(Duration::from_secs(1_234))).await;

    let text = log.text();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["received_at"] == "2026-11-22T12:20:34.000000Z").unwrap();
    assert_eq!(line["level"], "ERROR");
    let logged: Value = serde_json::from_str(line["body"].as_str().unwrap()).unwrap();
    assert_eq!(logged["builderID"], 523);
    assert_eq!((&line["part"], &line["parts"], &line["source_ip"]), (&1.into(), &1.into(), &"34.165.99.212".into()));
}

#[tokio::test]
async fn a_lost_event_of_any_size_can_be_joined_from_lines_that_cloudwatch_does_not_cut() {
    let log = log_of_this_process();
    let world = World::start().await;
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    let body = json!({"event": "voice", "quotes": "\"".repeat(60_000), "text": "א".repeat(60_000)}).to_string();
    world.send_at(&with_body(&body), noon().plus(Duration::from_secs(4_321))).await;

    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("2026-11-22T13:12:01.000000Z"));
    let (mut joined, mut parts) = (String::new(), 0);
    for line in lines {
        assert!(line.len() < 256 * 1024, "{} bytes", line.len());
        let line: Value = serde_json::from_str(line).unwrap();
        parts += 1;
        assert_eq!((&line["message"], &line["part"]), (&"delivery not recorded".into(), &parts.into()));
        assert_eq!(line["parts"], 4);
        joined.push_str(line["body"].as_str().unwrap());
    }
    assert_eq!((parts, joined), (4, body));
}

#[tokio::test]
async fn every_line_about_a_call_has_its_request_id_and_about_a_delivery_its_event_id_as_well() {
    const REQUEST: &str = "the-request-of-this-test";
    let log = log_of_this_process();
    let world = World::start().await;
    let of_this_test = |name: &str| {
        let mut event: Value = serde_json::from_str(&sample(name)).unwrap();
        event["requestContext"]["requestId"] = REQUEST.into();
        event.to_string()
    };
    let refused = ["403-wrong-token.json", "403-no-token.json"];
    for name in ["200-whatsapp.json", "200-whatsapp.json", "200-quarantined-empty.json", "413-too-large.json"] {
        world.send(&of_this_test(name)).await;
    }
    for name in refused {
        world.send(&of_this_test(name)).await;
    }
    world.link.hang();
    tokio::time::pause();
    world.send(&of_this_test("200-builder.json")).await;
    world.sqs_link.hang();
    world.send(&of_this_test("200-online.json")).await;

    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["request_id"] == REQUEST).collect();
    let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let (events, refusals) = (["event recorded", "duplicate recorded", "delivery quarantined"], ["call refused"; 2]);
    let expected =
        [&events[..], &["body too large, delivery lost"], &refusals, &["delivery queued", "delivery not recorded"]];
    assert_eq!(said, expected.concat());
    let without_event: Vec<_> =
        lines.iter().filter(|line| line["event_id"].is_null()).map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(without_event, [&["body too large, delivery lost"][..], &refusals].concat());
}
