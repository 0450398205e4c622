//! Every file of events/receiver is a case: the first three digits of its name are the status of the answer.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{World, request, sample, samples};
use fixtures::LINE;
use serde_json::{Value, json};
use shared::Event;

#[tokio::test]
async fn every_sample_is_answered_as_its_name_says_and_kept_accordingly() {
    let samples = samples();
    assert!(samples.len() > 20);
    for (name, event) in samples {
        let world = World::start().await;
        let answer = world.send(&event).await;
        assert_eq!(answer.status.to_string(), name[..3], "{name}: {answer:?}");

        let deliveries = world.deliveries().await;
        if answer.status != 200 {
            assert_eq!(deliveries, [], "{name}");
            assert_eq!(world.items("sealed").await, [], "{name}");
            continue;
        }
        assert_eq!(deliveries.len(), 1, "{name}");
        let delivery = &deliveries[0];
        let body = request(&event).body().to_vec();
        let mut expected = json!({"status": "OK", "id": delivery.id.to_string()});
        if name.contains("quarantined") {
            expected["quarantined"] = json!(true);
            assert_eq!(world.items("sealed").await[0]["body"].as_b().unwrap().as_ref(), body, "{name}");
            assert_eq!((delivery.entity.as_str(), &delivery.body), ("quarantine#2026-11-22", &None), "{name}");
        } else {
            let event = Event::decode(&body).unwrap();
            assert_eq!((&delivery.entity, delivery.body.as_ref()), (&event.entity, Some(&event.body)), "{name}");
            assert_eq!(world.state(event.entity.as_str()).await.unwrap().version, 1, "{name}");
            assert_eq!(world.items("sealed").await.len(), usize::from(event.sealed.is_some()), "{name}");
        }
        assert_eq!(answer.body, expected, "{name}");
    }
}

#[tokio::test]
async fn every_good_sample_sent_again_is_a_duplicate_of_the_first_if_it_names_its_entity() {
    for (name, event) in
        samples().into_iter().filter(|(name, _)| name.starts_with("200") && !name.contains("quarantined"))
    {
        let world = World::start().await;
        let first = world.send(&event).await;
        let again = world.send(&event).await;
        let deliveries = world.deliveries().await;
        let entity = &deliveries[0].entity;
        let (duplicate_of, counts) = match entity.is_unnamed() {
            true => (&Value::Null, (2, 2, 0)),
            false => (&first.body["id"], (2, 1, 1)),
        };
        assert_eq!((again.status, &again.body["duplicate_of"]), (200, duplicate_of), "{name}");
        let state = world.state(entity.as_str()).await.unwrap();
        assert_eq!((deliveries.len(), state.version, state.duplicates), counts, "{name}");
    }
}

#[tokio::test]
async fn the_same_event_through_every_kind_of_gateway_is_the_same_event() {
    let world = World::start().await;
    let first = world.send(&sample("200-whatsapp.json")).await;
    for name in [
        "200-whatsapp-base64.json",
        "200-whatsapp-http-api.json",
        "200-whatsapp-function-url.json",
        "200-whatsapp-gzip.json",
        "200-forwarded-proto-list.json",
        "200-trailing-slash.json",
    ] {
        let answer = world.send(&sample(name)).await;
        assert_eq!(answer.body["duplicate_of"], first.body["id"], "{name}");
    }
    let deliveries = world.deliveries().await;
    assert!(deliveries.iter().all(|delivery| delivery.source_ip == "34.165.99.212" && !delivery.request_id.is_empty()));
    assert_eq!(world.state(LINE).await.unwrap().duplicates, 6);
}

#[tokio::test]
async fn every_bare_body_is_an_event() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/bodies");
    let mut bodies = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let body = std::fs::read(file.unwrap().path()).unwrap();
        let event = Event::decode(&body).unwrap();
        let whole: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event.kind.as_str(), whole["event"]);
        bodies += 1;
    }
    assert!(bodies >= 5);
}
