use std::fs;

use shared::{Entity, Event, EventId};

use crate::{progress::say, provider::id, secrets::Secrets, tools::root, world::World};

/// An event that was recorded as a new one.
pub struct Recorded {
    pub id: EventId,
    pub entity: Entity,
    pub body: Vec<u8>,
}

/// Bytes that begin no character of UTF-8.
const NO_TEXT: &[u8] = b"\xff\xfe{\"event\":\"whatsapp\"}";

/// Posts each body of `events/bodies`; answers with the one that has an API key.
pub async fn every_sample_is_recorded(world: &World) -> Recorded {
    let mut samples: Vec<_> =
        fs::read_dir(root().join("events/bodies")).unwrap().map(|file| file.unwrap().path()).collect();
    samples.sort();
    let mut with_api_key = None;
    for sample in samples {
        let body = fs::read(&sample).unwrap();
        let event = Event::decode(&body).unwrap();
        let answer = world.post(body.clone()).await;
        let id = answer.id();
        let delivery = world.tables().delivery(id).await.unwrap();
        assert_eq!((&delivery.entity, delivery.body.as_deref()), (&event.entity, Some(event.body.as_str())));
        assert_eq!(delivery.duplicate_of, None);
        assert_eq!(world.tables().state(&event.entity).await.last_event_id, id);
        let sealed = world.tables().sealed(&delivery.entity, id).await;
        assert_eq!(sealed.is_some(), event.sealed.is_some(), "{}", sample.display());
        if event.sealed.is_some() {
            let api_key = sealed.as_ref().and_then(|item| item["api_key"].as_s().ok());
            assert!(api_key == Some(&Secrets::api_key()), "the API key is not in the sealed table");
            with_api_key = Some(Recorded { id, entity: event.entity, body });
        }
        say(&format!("{} is recorded", sample.file_name().unwrap().display()));
    }
    assert!(!world.secrets.are_in(&world.tables().all_of_events().await), "a secret is in the events table");
    say("the API key is in the sealed table alone");
    with_api_key.expect("no sample has an API key")
}

pub async fn a_repetition_is_a_duplicate(world: &World, recorded: &Recorded) {
    let before = world.tables().state(&recorded.entity).await;
    let answer = world.post(recorded.body.clone()).await.acknowledged();
    assert_eq!(answer["duplicate_of"], recorded.id.to_string(), "{answer}");
    let delivery = world.tables().delivery(id(&answer["id"])).await.unwrap();
    assert_eq!(delivery.duplicate_of, Some(recorded.id));
    let after = world.tables().state(&recorded.entity).await;
    assert_eq!((after.version, after.duplicates), (before.version, before.duplicates + 1));
    say("the same again is a duplicate");
}

pub async fn bytes_that_are_no_text_are_quarantined(world: &World) {
    let answer = world.post(NO_TEXT).await.acknowledged();
    assert_eq!(answer["quarantined"], true, "{answer}");
    let id = id(&answer["id"]);
    let delivery = world.tables().delivery(id).await.unwrap();
    assert_eq!((delivery.kind.as_str(), &delivery.body), ("quarantine", &None));
    let sealed = world.tables().sealed(&delivery.entity, id).await.unwrap();
    assert_eq!(sealed["body"].as_b().unwrap().as_ref(), NO_TEXT);
    say("bytes that are no text are quarantined as they came");
}
