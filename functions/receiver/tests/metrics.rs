//! The receiver's metrics: a gateway's event in, the lines that CloudWatch reads out.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use common::{TOKEN, World, receiver, request, sample, samples, with_body, with_token};
use fixtures::{API_KEY, FINGERPRINT_KEY, noon};
use receiver::Arrival;
use serde_json::{Value, json};

/// The sums of all metrics but the times, as a whole and by their dimension (`Received Kind=whatsapp`).
fn counts(world: &World) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for datum in world.cloudwatch.data().unwrap().into_iter().filter(|datum| datum.unit == "Count") {
        let by: String = datum.dimensions.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        *counts.entry(datum.name + &by).or_default() += datum.value;
    }
    counts
}

fn expected<const N: usize>(counts: [(&str, f64); N]) -> BTreeMap<String, f64> {
    counts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Lets the cold start pass, which is counted once.
async fn warm() -> World {
    let world = World::start().await;
    world.send(&sample("404-other-path.json")).await;
    world
}

#[tokio::test]
async fn an_event_is_one_document_with_its_kind_its_times_and_the_time_of_receipt() {
    let world = World::start().await;
    world.send_at(&sample("200-whatsapp.json"), noon().plus(Duration::from_micros(1_234_567))).await;

    let lines = world.cloudwatch.lines().unwrap();
    assert_eq!(lines.len(), 1);
    let document: Value = serde_json::from_str(&lines[0]).unwrap();
    let metrics = |names: &[(&str, &str)]| -> Vec<Value> {
        names.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect()
    };
    let all = metrics(&[
        ("Acknowledged", "Count"),
        ("AnswerTime", "Milliseconds"),
        ("ColdStart", "Count"),
        ("Received", "Count"),
        ("TimeToRecord", "Milliseconds"),
    ]);
    let by_kind = metrics(&[("Received", "Count")]);
    assert_eq!(
        document["_aws"],
        json!({
            "Timestamp": noon().as_millis() + 1_234,
            "CloudWatchMetrics": [
                {"Namespace": "partner-webhook", "Dimensions": [[]], "Metrics": all},
                {"Namespace": "partner-webhook", "Dimensions": [["Kind"]], "Metrics": by_kind},
            ],
        })
    );
    let members: BTreeSet<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        BTreeSet::from(["Acknowledged", "AnswerTime", "ColdStart", "Kind", "Received", "TimeToRecord", "_aws"])
    );
    assert_eq!((&document["Kind"], &document["Received"]), (&json!("whatsapp"), &json!(1)));
    let (record, answer) = (document["TimeToRecord"].as_f64().unwrap(), document["AnswerTime"].as_f64().unwrap());
    assert!(0.0 < record && record <= answer, "{record} {answer}");
}

#[tokio::test]
async fn every_request_is_one_document_and_only_the_first_is_a_cold_start() {
    let world = World::start().await;
    let samples = samples();
    for (_, event) in &samples {
        world.send(event).await;
    }
    let data = world.cloudwatch.data().unwrap();
    let of = |name: &str| data.iter().filter(|datum| datum.name == name).count();
    assert_eq!(
        (world.cloudwatch.lines().unwrap().len(), of("AnswerTime"), of("ColdStart")),
        (samples.len(), samples.len(), 1)
    );
}

#[tokio::test]
async fn received_are_counted_by_documented_kind_and_all_others_as_other() {
    let world = warm().await;
    for kind in ["builder", "builder", "package", "voice", "fax", "Kind=whatsapp", ""] {
        world.send(&with_body(&json!({"event": kind, "n": fastrand::u64(..)}).to_string())).await;
    }
    let kinds = [("builder", 2.0), ("package", 1.0), ("other", 4.0)];
    let mut wanted = expected([("Acknowledged", 7.0), ("ColdStart", 1.0), ("Received", 7.0)]);
    wanted.extend(kinds.map(|(kind, count)| (format!("Received Kind={kind}"), count)));
    assert_eq!(counts(&world), wanted);
}

#[tokio::test]
async fn duplicates_and_quarantined_deliveries_are_counted_beside_being_received() {
    let world = warm().await;
    for name in ["200-whatsapp.json", "200-whatsapp.json", "200-quarantined-not-utf8.json"] {
        world.send(&sample(name)).await;
    }
    let wanted = [
        ("Acknowledged", 3.0),
        ("ColdStart", 1.0),
        ("Received", 3.0),
        ("Received Kind=whatsapp", 2.0),
        ("Received Kind=other", 1.0),
        ("Duplicates", 1.0),
        ("Quarantined", 1.0),
        ("Undecodable", 1.0),
    ];
    assert_eq!(counts(&world), expected(wanted));
}

#[tokio::test]
async fn a_held_delivery_is_counted_as_held_beside_being_quarantined() {
    let world = warm().await;
    world.send(&sample("200-quarantined-unlisted-address.json")).await;
    let wanted = [
        ("Acknowledged", 1.0),
        ("ColdStart", 1.0),
        ("Held", 1.0),
        ("Quarantined", 1.0),
        ("Received", 1.0),
        ("Received Kind=other", 1.0),
    ];
    assert_eq!(counts(&world), expected(wanted));
}

#[tokio::test]
async fn the_breaker_is_counted_when_it_opens_and_when_it_closes() {
    let world = warm().await;
    let send =
        async |second| world.send_at(&sample("200-whatsapp.json"), noon().plus(Duration::from_secs(second))).await;
    world.link.hang();
    tokio::time::pause();
    for second in [0, 1, 2, 12] {
        send(second).await;
    }
    tokio::time::resume();
    world.link.recover().unwrap();
    send(30).await;
    send(31).await;
    let of = |name| counts(&world).get(name).copied();
    assert_eq!((of("BreakerOpened"), of("BreakerClosed")), (Some(1.0), Some(1.0)));
    assert_eq!((of("Acknowledged"), of("Queued"), of("Received")), (Some(6.0), Some(4.0), Some(2.0)));
}

#[tokio::test]
async fn refused_calls_are_counted_by_their_cause() {
    let world = World::that_refuses().await;
    let no_address = {
        let mut event: Value = serde_json::from_str(&sample("200-whatsapp.json")).unwrap();
        event["requestContext"]["identity"]["sourceIp"] = "unknown".into();
        event.to_string()
    };
    let of = |name: &str| sample(name);
    for event in [
        of("200-quarantined-unlisted-address.json"),
        of("200-quarantined-forged-address-header.json"),
        of("403-wrong-token.json"),
        of("403-no-token.json"),
        no_address,
    ] {
        assert_eq!(world.send(&event).await.status, 403);
    }
    let wanted = [
        ("ColdStart", 1.0),
        ("Refused", 5.0),
        ("Refused Cause=SourceAddress", 2.0),
        ("Refused Cause=Token", 1.0),
        ("Refused Cause=NoToken", 1.0),
        ("Refused Cause=NoSourceAddress", 1.0),
    ];
    assert_eq!(counts(&world), expected(wanted));
}

#[tokio::test]
async fn a_body_over_the_limit_is_counted_as_too_large() {
    let world = warm().await;
    world.send(&sample("413-too-large.json")).await;
    assert_eq!(counts(&world), expected([("ColdStart", 1.0), ("TooLarge", 1.0)]));
}

#[tokio::test]
async fn without_dynamodb_deliveries_are_counted_as_queued_and_without_sqs_as_lost() {
    let world = warm().await;
    let checked = sample("200-whatsapp.json");
    let unchecked = with_token("a-token-that-was-rotated-in");
    world.link.hang();
    tokio::time::pause();
    for event in [&checked, &unchecked] {
        world.send_at(event, noon().plus(Duration::from_secs(60))).await;
    }
    assert_eq!(counts(&world), expected([("Acknowledged", 2.0), ("ColdStart", 1.0), ("Queued", 2.0)]));
    world.sqs_link.hang();
    for event in [&checked, &unchecked] {
        world.send_at(event, noon().plus(Duration::from_secs(120))).await;
    }
    let wanted = [("Acknowledged", 2.0), ("BreakerOpened", 1.0), ("ColdStart", 1.0), ("Queued", 2.0), ("Lost", 2.0)];
    assert_eq!(counts(&world), expected(wanted));
}

#[tokio::test]
async fn the_answer_time_is_the_time_that_passed_and_only_recorded_deliveries_have_a_time_to_record() {
    let world = warm().await;
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    world.send_at(&sample("200-whatsapp.json"), noon().plus(Duration::from_secs(60))).await;
    let passed = started.elapsed().as_secs_f64() * 1_000.0;
    let data = world.cloudwatch.data().unwrap();
    let answer_time = data.iter().rfind(|datum| datum.name == "AnswerTime").unwrap().value;
    assert!(answer_time > 0.0 && (passed - answer_time).abs() < 1.0, "{answer_time} {passed}");
    assert!(data.iter().all(|datum| datum.name != "TimeToRecord"));
}

#[tokio::test]
async fn nothing_of_a_request_is_in_its_metrics() {
    let world = World::start().await;
    let events: Vec<_> = samples().into_iter().map(|(_, event)| event).collect();
    let unknown = with_body(&json!({"event": "123-456-789", "whatsapp": TOKEN}).to_string());
    for event in events.iter().chain([&unknown]) {
        world.send(event).await;
    }
    world.link.hang();
    tokio::time::pause();
    for event in &events {
        world.send_at(event, noon().plus(Duration::from_secs(60))).await;
    }
    let lines = world.cloudwatch.lines().unwrap().join("\n");
    for from_outside in [API_KEY, TOKEN, "another-token", FINGERPRINT_KEY, "97250", "34.165", "203.0", "voice"] {
        assert!(!lines.contains(from_outside), "{from_outside} is in the metrics");
    }
}

#[tokio::test]
async fn a_receiver_whose_metrics_cannot_be_written_answers_as_usual() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let world = World::start().await;
    let receiver = receiver(&world.link, &world.sqs_link, Closed).await;
    let arrival = Arrival { received_at: noon(), random: [1; 8] };
    assert_eq!(receiver.handle(request(&sample("200-whatsapp.json")), arrival).await.status(), 200);
    assert_eq!(world.deliveries().await.len(), 1);
}
