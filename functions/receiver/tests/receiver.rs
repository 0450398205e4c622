//! The receiver's guarantees beyond single requests: its callers, the time of its answers, the deliveries that it keeps.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{World, answer, receiver, request, sample, samples, with_body, with_token};
use fixtures::{LINE, noon};
use proptest::{collection::hash_map, prelude::*};
use receiver::Arrival;
use serde_json::{Value, json};
use shared::{QueuedDelivery, TokenCheck, TokenHash};
use store::StoredDelivery;
use tokio::time::Instant;

const ANSWER_WITHIN: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_refused_call_learns_nothing_but_that() {
    let world = World::start().await;
    for (name, event) in samples().into_iter().filter(|(name, _)| name.starts_with("403")) {
        let answer = world.send(&event).await;
        assert_eq!((answer.status, answer.body), (403, Value::Null), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let world = World::start().await;
    let answer = world.send(&sample("405-get.json")).await;
    assert_eq!((answer.status, answer.allow.as_deref()), (405, Some("POST")));
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_refused_with_the_limit() {
    const LIMIT: usize = 256 * 1024;
    let world = World::start().await;
    let of_size = |size: usize| {
        let empty = json!({"event": "whatsapp", "whatsapp": "972501234567", "note": ""}).to_string().len();
        with_body(
            &json!({"event": "whatsapp", "whatsapp": "972501234567", "note": "x".repeat(size - empty)}).to_string(),
        )
    };
    assert_eq!(world.send(&of_size(LIMIT)).await.status, 200);
    let answer = world.send(&of_size(LIMIT + 1)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body["error"], "the body has 262145 bytes; at most 262144 are taken");
    assert_eq!(world.deliveries().await.len(), 1);
}

#[tokio::test]
async fn the_largest_bodies_are_recorded_whatever_is_in_them() {
    let world = World::start().await;
    let secret =
        json!({"event": "whatsapp", "whatsapp_apiKey": "k".repeat(200_000), "builder_url": "u".repeat(50_000)});
    let garbage = "\u{1}".repeat(260_000);
    let many = format!("{{{}}}", (0..20_000).map(|n| format!(r#""f{n}":"v""#)).collect::<Vec<_>>().join(","));
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for body in [secret.to_string(), garbage, many, deep] {
        assert_eq!(world.send(&with_body(&body)).await.status, 200, "{:.60}", body);
    }
}

#[tokio::test]
async fn a_token_accepted_after_the_start_is_learned_of_and_looked_for_at_most_every_two_seconds() {
    let world = World::start().await;
    let event = with_token("a-token-that-was-rotated-in");
    let at = |millis| noon().plus(Duration::from_millis(millis));
    assert_eq!(world.send_at(&event, at(2_000)).await.status, 403);
    world.tokens.accept(&TokenHash::of("a-token-that-was-rotated-in"), noon()).await.unwrap();
    assert_eq!(world.send_at(&event, at(3_999)).await.status, 403);
    assert_eq!(world.send_at(&event, at(4_000)).await.status, 200);
    assert_eq!(world.send_at(&sample("200-whatsapp.json"), at(4_001)).await.status, 200);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_refused_once_its_time_is_over() {
    let world = World::start().await;
    let minutes = |minutes: u64| noon().plus(Duration::from_secs(minutes * 60));
    world.tokens.accept(&TokenHash::of("a-token-that-was-replaced"), noon()).await.unwrap();
    let event = with_token("a-token-that-was-replaced");
    assert_eq!(world.send_at(&event, minutes(1)).await.status, 200);
    world.tokens.retire(&TokenHash::of("a-token-that-was-replaced"), minutes(15)).await.unwrap();
    assert_eq!(world.send_at(&event, minutes(14)).await.status, 200);
    assert_eq!(world.send_at(&event, minutes(15)).await.status, 403);
    assert_eq!(world.send_at(&sample("200-whatsapp.json"), minutes(16)).await.status, 200);
}

#[tokio::test]
async fn the_end_of_a_token_is_learned_of_within_ten_minutes() {
    let world = World::start().await;
    let event = with_token("a-token-that-was-replaced");
    let hash = TokenHash::of("a-token-that-was-replaced");
    let seconds = |seconds| noon().plus(Duration::from_secs(seconds));
    world.tokens.accept(&hash, noon()).await.unwrap();
    assert_eq!(world.send_at(&event, seconds(2)).await.status, 200);
    world.tokens.retire(&hash, seconds(3)).await.unwrap();
    assert_eq!(world.send_at(&event, seconds(601)).await.status, 200, "it does not need to read the tokens again yet");
    assert_eq!(world.send_at(&event, seconds(602)).await.status, 403);
}

#[tokio::test]
async fn a_known_token_is_relied_on_while_the_tokens_cannot_be_read_anew() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let started = Instant::now();
    let answer = world.send_at(&sample("200-whatsapp.json"), noon().plus(Duration::from_secs(3600))).await;
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() <= ANSWER_WITHIN, "{:?}", started.elapsed());
    assert!(matches!(world.queued()[0].token, TokenCheck::Accepted));
}

#[tokio::test]
async fn a_receiver_that_refuses_unlisted_addresses_reads_no_tokens_for_them() {
    let world = World::that_refuses().await;
    world.link.hang();
    // If the tokens were read again, the answer would be 200.
    let answer =
        world.send_at(&sample("200-quarantined-unlisted-address.json"), noon().plus(Duration::from_secs(60))).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn without_dynamodb_a_verified_delivery_is_queued_as_received_and_answered_200_within_4_seconds() {
    for name in ["200-whatsapp.json", "200-quarantined-not-utf8.json"] {
        let world = World::start().await;
        world.link.hang();
        tokio::time::pause();
        let started = Instant::now();
        let answer = world.send_at(&sample(name), noon().plus(Duration::from_secs(7))).await;
        assert!(started.elapsed() <= ANSWER_WITHIN, "{:?}", started.elapsed());
        let queued = &world.queued()[0];
        assert!(matches!(queued.token, TokenCheck::Accepted));
        assert_eq!(queued.received.received_at, noon().plus(Duration::from_secs(7)));
        assert_eq!(queued.received.body, request(&sample(name)).body());
        assert_eq!((answer.status, answer.body), (200, json!({"status": "OK", "id": queued.received.id.to_string()})));
        assert_eq!(world.queued().len(), 1);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn the_largest_body_fits_into_a_message_of_the_queue() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let body = "\u{1}".repeat(256 * 1024);
    assert_eq!(world.send(&with_body(&body)).await.status, 200);
    assert_eq!(world.queued()[0].received.body, body.as_bytes());
}

#[tokio::test]
async fn without_dynamodb_a_token_that_may_be_new_is_not_refused_but_queued_to_be_checked() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let started = Instant::now();
    let event = with_token("a-token-that-was-rotated-in");
    let answer = world.send_at(&event, noon().plus(Duration::from_secs(60))).await;
    assert!(started.elapsed() <= ANSWER_WITHIN, "{:?}", started.elapsed());
    assert_eq!(answer.status, 200);
    match world.queued()[0].token {
        TokenCheck::Pending(hash) => assert!(hash.matches(&TokenHash::of("a-token-that-was-rotated-in"))),
        TokenCheck::Accepted => panic!("nobody has checked this token"),
    }
}

#[tokio::test]
async fn without_dynamodb_and_sqs_the_answer_is_503_within_4_seconds() {
    let world = World::start().await;
    world.link.hang();
    world.sqs_link.hang();
    tokio::time::pause();
    let events = [sample("200-whatsapp.json"), with_token("a-token-that-was-rotated-in")];
    for event in events {
        let started = Instant::now();
        let answer = world.send_at(&event, noon().plus(Duration::from_secs(60))).await;
        assert!(started.elapsed() <= ANSWER_WITHIN, "{:?}", started.elapsed());
        assert_eq!(answer.status, 503);
    }
}

#[tokio::test]
async fn a_body_too_large_for_the_queue_is_refused_there_as_well() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let event = with_body(&"x".repeat(256 * 1024 + 1)).replace(common::TOKEN, "a-token-that-was-rotated-in");
    assert_eq!(world.send_at(&event, noon().plus(Duration::from_secs(60))).await.status, 413);
    assert_eq!(world.queued().len(), 0);
}

#[tokio::test]
async fn without_dynamodb_the_start_takes_a_second_and_nothing_is_lost_until_it_is_back() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let started = Instant::now();
    let cold = receiver(&world.link, &world.sqs_link, world.cloudwatch.clone()).await;
    assert!(started.elapsed() <= Duration::from_secs(1), "{:?}", started.elapsed());
    let send = async |second: u64| {
        let arrival = Arrival { received_at: noon().plus(Duration::from_secs(second)), random: [1; 8] };
        answer(cold.handle(request(&sample("200-whatsapp.json")), arrival).await)
    };

    assert_eq!(send(1).await.status, 200);
    assert!(matches!(world.queued()[..], [QueuedDelivery { token: TokenCheck::Pending(_), .. }]));
    tokio::time::resume();
    world.link.recover().unwrap();
    assert_eq!(send(3).await.status, 200);
    assert_eq!((world.deliveries().await.len(), world.queued().len()), (1, 1));
}

/// A sample that comes from an address, or from none that the gateway gives.
fn from_address(name: &str, source_ip: Value) -> String {
    let mut event: Value = serde_json::from_str(&sample(name)).unwrap();
    let context = &mut event["requestContext"];
    let v2 = context.get("http").is_some();
    context[if v2 { "http" } else { "identity" }]["sourceIp"] = source_ip;
    event.to_string()
}

#[tokio::test]
async fn a_delivery_from_an_unlisted_address_is_held_with_its_bytes_and_answered_200() {
    let names = ["200-whatsapp.json", "200-whatsapp-http-api.json", "200-whatsapp-function-url.json"];
    for (name, address) in names.into_iter().flat_map(|name| [(name, json!("192.117.146.95")), (name, Value::Null)]) {
        let world = World::start().await;
        let event = from_address(name, address.clone());
        let answer = world.send(&event).await;
        let [delivery] = &world.deliveries().await[..] else { panic!("one delivery is recorded") };
        let expected = json!({"status": "OK", "id": delivery.id.to_string(), "quarantined": true});
        assert_eq!((answer.status, answer.body), (200, expected), "{name} {address}");
        assert_eq!(delivery.entity.as_str(), "quarantine#2026-11-22");
        assert_eq!((delivery.cause.as_deref(), &delivery.body), (Some("unlisted_source"), &None));
        assert_eq!(delivery.source_ip, address.as_str().unwrap_or("unknown"));
        assert_eq!(delivery.content_type.as_deref(), Some("application/json"));
        let sealed = &world.items("sealed").await[0];
        assert_eq!(sealed["body"].as_b().unwrap().as_ref(), request(&event).body(), "{name}");
        assert!(world.state(LINE).await.is_none(), "a held delivery is no event");
        let open = format!("{:?}", world.items("events").await);
        assert!(!open.contains("123-456-789") && !open.contains(common::TOKEN));
    }
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_whatever_the_address() {
    let world = World::start().await;
    for name in ["403-wrong-token.json", "403-no-token.json"] {
        for address in [json!("34.165.99.212"), json!("192.117.146.95"), Value::Null] {
            let answer = world.send(&from_address(name, address)).await;
            assert_eq!((answer.status, answer.body), (403, Value::Null), "{name}");
        }
    }
    assert_eq!((world.deliveries().await.len(), world.queued().len()), (0, 0));
}

#[tokio::test]
async fn a_receiver_that_refuses_unlisted_addresses_does_so_even_with_the_right_token() {
    let world = World::that_refuses().await;
    for address in [json!("192.117.146.95"), json!("unknown"), Value::Null] {
        let answer = world.send(&from_address("200-whatsapp.json", address)).await;
        assert_eq!((answer.status, answer.body), (403, Value::Null));
    }
    assert_eq!(world.send(&sample("200-whatsapp.json")).await.status, 200);
    assert_eq!(world.deliveries().await.len(), 1);
}

#[tokio::test]
async fn without_dynamodb_a_delivery_to_be_held_is_queued_and_announced_as_quarantined() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let held = from_address("200-whatsapp.json", json!("192.117.146.95"));
    let answer = world.send_at(&held, noon().plus(Duration::from_secs(60))).await;
    let [queued] = &world.queued()[..] else { panic!("one delivery is queued") };
    let expected = json!({"status": "OK", "id": queued.received.id.to_string(), "quarantined": true});
    assert_eq!((answer.status, answer.body), (200, expected));
    assert!(matches!(queued.token, TokenCheck::Accepted));
    assert_eq!(queued.received.source_ip, Some([192, 117, 146, 95].into()));
    // A token that may be new is not refused, wherever it comes from.
    let unchecked = held.replace(common::TOKEN, "a-token-that-was-rotated-in");
    assert_eq!(world.send_at(&unchecked, noon().plus(Duration::from_secs(61))).await.status, 200);
    assert!(matches!(world.queued()[1].token, TokenCheck::Pending(_)));
}

#[tokio::test]
async fn a_compressed_event_is_the_event_and_a_stream_that_cannot_be_read_is_quarantined_as_received() {
    let world = World::start().await;
    let plain = world.send(&sample("200-whatsapp.json")).await;
    let compressed = world.send(&sample("200-whatsapp-gzip.json")).await;
    assert_eq!(compressed.body["duplicate_of"], plain.body["id"], "the same event, and the same fingerprint");
    for (name, cause) in [
        ("200-quarantined-gzip-cut.json", "the body is a damaged gzip stream"),
        ("200-quarantined-gzip-bomb.json", "the body is a gzip stream that holds more than 256 KB"),
    ] {
        let answer = world.send(&sample(name)).await;
        let delivery = world.deliveries().await.pop().unwrap();
        assert_eq!((answer.body["quarantined"].as_bool(), delivery.cause.as_deref()), (Some(true), Some(cause)));
        assert_eq!(delivery.content_type.as_deref(), Some("application/json"));
        assert_eq!(delivery.content_encoding.as_deref(), Some("gzip"));
    }
}

#[tokio::test]
async fn after_two_timeouts_in_a_row_deliveries_go_straight_to_the_queue_until_one_is_recorded_again() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let event = sample("200-whatsapp.json");
    let waits = async |millis: u64| {
        let started = Instant::now();
        let answer = world.send_at(&event, noon().plus(Duration::from_millis(millis))).await;
        assert_eq!(answer.status, 200);
        started.elapsed() >= Duration::from_secs(1)
    };
    for (millis, waited) in [(0, true), (2_000, true), (4_000, false), (11_999, false), (12_000, true), (21_999, false)]
    {
        assert_eq!(waits(millis).await, waited, "after {millis} ms");
    }
    tokio::time::resume();
    world.link.recover().unwrap();
    waits(21_999).await;
    assert_eq!((world.queued().len(), world.deliveries().await.len()), (7, 0), "it still waits");
    waits(22_000).await;
    waits(22_001).await;
    assert_eq!((world.queued().len(), world.deliveries().await.len()), (7, 2));
}

#[tokio::test]
async fn a_delivery_that_the_queue_does_not_take_tries_dynamodb_also_while_the_breaker_is_open() {
    let world = World::start().await;
    world.link.hang();
    tokio::time::pause();
    let event = sample("200-whatsapp.json");
    for second in 0..2 {
        world.send_at(&event, noon().plus(Duration::from_secs(second))).await;
    }
    world.sqs_link.hang();
    let started = Instant::now();
    assert_eq!(world.send_at(&event, noon().plus(Duration::from_secs(3))).await.status, 503);
    assert!(started.elapsed() <= ANSWER_WITHIN, "{:?}", started.elapsed());
    tokio::time::resume();
    world.link.recover().unwrap();
    assert_eq!(world.send_at(&event, noon().plus(Duration::from_secs(4))).await.status, 200);
    assert_eq!(world.deliveries().await.len(), 1);
}

/// A value of a header as a gateway may write it, or as nobody does.
fn header_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("https, http")),
        Just(json!("gzip")),
        Just(json!("br, gzip;q=0.5")),
        Just(json!("://")),
        Just(json!("a host/with?everything#in it")),
        any::<String>().prop_map(Value::from),
        any::<Vec<String>>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"a": ["b"]})),
    ]
}

fn headers() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "Host",
        "host",
        "X-Forwarded-Proto",
        "x-forwarded-proto",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "Content-Type",
        "Content-Encoding",
        "content-encoding",
        "Transfer-Encoding",
        "X-Amzn-Trace-Id",
        "",
        "\u{1}",
        "ה",
    ]);
    let map = hash_map(names, header_value(), 0..8);
    prop_oneof![
        9 => map.prop_map(|headers| Value::Object(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        1 => header_value(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_header_and_no_query_matters(
        headers in prop::collection::vec((headers(), headers(), headers()), 8),
        name in prop::sample::select(vec![
            "200-whatsapp.json", "200-whatsapp-base64.json", "200-whatsapp-http-api.json", "200-whatsapp-function-url.json",
        ]),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::start().await;
            for (headers, multi_value_headers, query) in headers {
                let mut event: Value = serde_json::from_str(&sample(name)).unwrap();
                event["headers"] = headers;
                event["multiValueHeaders"] = multi_value_headers;
                event["queryStringParameters"] = query.clone();
                event["rawQueryString"] = query;
                let answer = world.send(&event.to_string()).await;
                assert_eq!((answer.status, answer.body.get("quarantined")), (200, None), "{event}");
            }
        });
    }
}

#[tokio::test]
async fn of_16_identical_deliveries_at_once_one_is_an_event_and_all_others_are_duplicates() {
    let world = World::start().await;
    let event = sample("200-whatsapp.json");
    let answers = at_once(&world, &vec![event; 16]).await;
    let deliveries = recorded(&world, &answers).await;
    let (events, duplicates): (Vec<_>, Vec<_>) =
        deliveries.iter().partition(|delivery| delivery.duplicate_of.is_none());
    let [event] = events[..] else { panic!("{} are events", events.len()) };
    assert!(duplicates.iter().all(|duplicate| duplicate.duplicate_of == Some(event.id)));
    let told: Vec<&Value> = answers.iter().filter_map(|answer| answer.body.get("duplicate_of")).collect();
    assert!(told.iter().all(|of| **of == event.id.to_string()) && told.len() <= duplicates.len());
    let state = world.state(LINE).await.unwrap();
    assert_eq!((state.version, state.duplicates), (1, duplicates.len() as u64));
    assert_eq!(world.items("sealed").await.len(), 1);
}

#[tokio::test]
async fn of_16_different_deliveries_at_once_all_are_events_and_the_state_is_the_newest() {
    let world = World::start().await;
    let events: Vec<String> = (0..16)
        .map(|n| {
            with_body(&json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_extra_info": n}).to_string())
        })
        .collect();
    let answers = at_once(&world, &events).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body.get("duplicate_of").is_none()));
    let (state, deliveries) = (world.state(LINE).await.unwrap(), recorded(&world, &answers).await);
    assert_eq!(state.version, deliveries.len() as u64);
    let newest = deliveries.last().unwrap();
    assert_eq!((state.last_event_id, state.extra_info()), (newest.id, newest.extra_info.as_ref()));
}

/// The recorded deliveries. On a busy machine some may not have been recorded in their time: those are queued.
async fn recorded(world: &World, answers: &[common::Answer]) -> Vec<StoredDelivery> {
    let deliveries = world.deliveries().await;
    let queued = world.queued().into_iter().map(|queued| queued.received.id);
    let kept: BTreeSet<String> =
        deliveries.iter().map(|delivery| delivery.id).chain(queued).map(|id| id.to_string()).collect();
    let acknowledged: BTreeSet<String> =
        answers.iter().map(|answer| answer.body["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((kept, acknowledged.len()), (acknowledged.clone(), answers.len()));
    deliveries
}

/// Sends all of them at once; the first is received first.
async fn at_once(world: &World, events: &[String]) -> Vec<common::Answer> {
    let sends = (0..).zip(events).map(|(n, event)| world.send_at(event, noon().plus(Duration::from_micros(n))));
    futures_util::future::join_all(sends).await
}
