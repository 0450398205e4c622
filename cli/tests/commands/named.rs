//! Entities and events, named as people type them.

use fixtures::{LINE, update};
use serde_json::{Value, json};
use shared::EventId;

use crate::world::{World, objects};

async fn world(name: &str) -> World {
    let world = World::start(name).await;
    world.record(50, &update(1)).await;
    world.record(40, r#"{"event":"builder","builderID":523,"builder_reference":"client 8 "}"#).await;
    world.record(30, r#"{"event":"online","accountID":77,"server":"eu1"}"#).await;
    world.record(20, r#"{"event":"online","accountID":523,"server":"eu1"}"#).await;
    world
}

#[tokio::test]
async fn an_entity_is_found_by_its_number_its_account_or_its_reference() {
    let world = world("typed").await;
    for (typed, entity) in [
        ("972501234567", LINE),
        ("+972 50-123-4567", LINE),
        ("0501234567", LINE),
        ("WhatsApp#972501234567", LINE),
        ("client-7", LINE),
        (" client-7 ", LINE),
        ("client 8 ", "builder#523"),
        ("builder#523", "builder#523"),
        ("77", "online#eu1#77"),
    ] {
        let shown = world.hooks(&["state", typed, "--output", "json"]).await;
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{typed}");
        assert_eq!(objects(&shown.stdout)[0]["entity"], entity, "{typed}");
        let listed = objects(&world.hooks(&["events", "--entity", typed, "--output", "json"]).await.stdout);
        let entities: Vec<&Value> = listed.iter().map(|event| &event["entity"]).collect();
        assert_eq!(entities, [entity], "{typed}");
    }
}

#[tokio::test]
async fn an_unclear_name_is_refused_with_the_entities_that_it_can_mean() {
    let world = world("mistyped").await;
    world.record(10, r#"{"event":"whatsapp","whatsapp":"972501111111","whatsapp_reference":"client-7"}"#).await;
    for (typed, message) in [
        ("972501234576", "there is no entity 972501234576: no event has named it; did you mean whatsapp#972501234567?"),
        ("4567", "there is no entity 4567: no event has named it; did you mean whatsapp#972501234567?"),
        (
            "whatsapp#97250123456",
            "there is no entity whatsapp#97250123456: no event has named it; did you mean whatsapp#972501234567?",
        ),
        ("0501234576", "there is no entity 0501234576: no event has named it; did you mean whatsapp#972501234567?"),
        ("CLIENT-7", "there is no entity CLIENT-7: no event has named it; did you mean client-7?"),
        ("client", "there is no entity client: no event has named it; did you mean \"client 8 \" or client-7?"),
        ("999", "there is no entity 999: no event has named it"),
    ] {
        let refused = world.hooks(&["state", typed]).await;
        assert_eq!((refused.code, refused.stderr), (1, format!("error: {message}\n")));
    }
    let bot_or_inbox = world.hooks(&["state", "523"]).await.stderr;
    assert_eq!(bot_or_inbox, "error: 523 can be builder#523 or online#eu1#523: give one of these names\n");
    let two = world.hooks(&["state", "client-7"]).await.stderr;
    assert!(two.starts_with("error: client-7 can be whatsapp#97250"), "{two}");
    assert!(two.contains("972501111111") && two.contains("972501234567"), "{two}");
    for (command, all) in [
        (&["state"][..], "`cargo hooks states --reference`"),
        (&["line"], "`cargo hooks lines --reference`"),
        (&["key"], "`cargo hooks states --reference`"),
        (&["events", "--entity"], "--reference"),
    ] {
        let two = world.hooks(&[command, &["client-7"]].concat()).await.stderr;
        let end = format!(": give one of these names, or use {all} for all of them\n");
        assert!(two.ends_with(&end), "{two}");
    }
}

#[tokio::test]
async fn a_number_means_its_own_entity_and_not_one_with_that_reference() {
    let world = world("number").await;
    world.record(10, r#"{"event":"whatsapp","whatsapp":"972502222222","whatsapp_reference":"972501234567"}"#).await;
    world.record(5, r#"{"event":"whatsapp","whatsapp":"972503333333","whatsapp_reference":"523"}"#).await;
    for command in ["state", "line"] {
        let shown = world.hooks(&[command, "972501234567", "--output", "json"]).await.stdout;
        assert_eq!(objects(&shown)[0]["entity"], LINE, "{command}");
    }
    world.record(4, r#"{"event":"whatsapp","whatsapp":"0501234567"}"#).await;
    for whole in [LINE, "whatsapp#0501234567"] {
        for command in ["state", "line"] {
            let shown = world.hooks(&[command, whole, "--output", "json"]).await.stdout;
            assert_eq!(objects(&shown)[0]["entity"], whole, "a whole name is always clear");
        }
    }
    let line = world.hooks(&["line", "523", "--output", "json"]).await.stdout;
    assert_eq!(objects(&line)[0]["entity"], "whatsapp#972503333333", "bots and inboxes are not meant");
    for bot in 0..7 {
        let event = json!({"event": "builder", "builderID": bot, "builder_reference": "client-9"});
        world.record(60 + bot, &event.to_string()).await;
    }
    world.record(3, r#"{"event":"whatsapp","whatsapp":"972504444444","whatsapp_reference":"client-9"}"#).await;
    let line = world.hooks(&["line", "client-9", "--output", "json"]).await.stdout;
    assert_eq!(objects(&line)[0]["entity"], "whatsapp#972504444444");
    let bots = world.hooks(&["state", "client-9"]).await.stderr;
    assert!(
        bots.starts_with("error: client-9 can be builder#0 or builder#1 or ") && bots.contains(" or others: "),
        "{bots}"
    );
}

#[tokio::test]
async fn a_reference_is_found_as_typed_or_without_the_spaces_around_it() {
    let world = world("spaces").await;
    for (typed, entity) in [("client-7", LINE), (" client-7 ", LINE), ("client 8 ", "builder#523")] {
        for command in [&["events"][..], &["states"], &["export"]] {
            let arguments = [command, &["--reference", typed, "--output", "json"]].concat();
            let arguments = if command == ["export"] { &arguments[..3] } else { &arguments };
            let found = objects(&world.hooks(arguments).await.stdout);
            let entities: Vec<&Value> = found.iter().map(|found| &found["entity"]).collect();
            assert_eq!(entities, [entity], "{command:?} {typed:?}");
        }
    }
    assert!(world.hooks(&["lines", "--reference", " client-7 "]).await.stdout.contains("972501234567"));
}

#[tokio::test]
async fn an_event_is_found_by_the_end_of_its_id() {
    let world = world("tail").await;
    world.record(5, "not JSON").await;
    let id = world.id(40).to_string();
    for typed in
        [&id[28..], &format!("…{}", &id[28..]), &format!("{}…{}", &id[..4], &id[28..]), &id[28..].to_uppercase()]
    {
        let shown = world.hooks(&["show", typed, "--output", "json"]).await;
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{typed}");
        assert_eq!(objects(&shown.stdout)[0]["id"], id.as_str(), "{typed}");
    }
    let quarantined = world.id(5).to_string();
    let shown = world.hooks(&["quarantine", "show", &quarantined[26..]]).await;
    assert!(shown.code == 0 && shown.stdout.contains(&quarantined), "{shown:?}");
    let twins = [60, 61].map(|minutes| EventId::new(world.ago(minutes), [0xab; 8]));
    for twin in twins {
        world.record_at(twin.received_at(), twin, &update(1)).await;
    }
    let two = world.hooks(&["show", "ababab"]).await;
    let message = format!("error: more than one id ends in ababab: {}, {}; give more digits\n", twins[0], twins[1]);
    assert_eq!((two.code, two.stderr), (1, message));
    let none = world.hooks(&["show", "ffffffff"]).await;
    let message =
        "error: none of the last 10000 events has an id that ends in ffffffff; give its last digits, or the whole id\n";
    assert_eq!((none.code, none.stderr.as_str()), (1, message));
}
