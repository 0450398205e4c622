use fixtures::LINE;
use serde_json::{Value, json};

use crate::world::{World, objects};

#[tokio::test]
async fn a_state_has_the_last_known_value_of_every_field() {
    let world = World::start("state").await;
    world.fill().await;
    let shown = world.hooks(&["state", LINE]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let expected = [
        "entity whatsapp#972501234567",
        "kind whatsapp",
        "events 3",
        "duplicates 1",
        "first seen -4320 (3 d ago)",
        "last seen -40 (40 min ago)",
        "last event #40",
        "",
        "│ field ┆ last value │",
        "│ status ┆ OK │",
        "│ whatsapp ┆ 972501234567 │",
        "│ whatsapp_extra_info ┆ 2 │",
        "│ whatsapp_reference ┆ client-7 │",
    ];
    assert_eq!(world.lines(&shown.stdout), expected);

    let shown = world.hooks(&["state", LINE, "--output", "json"]).await;
    let expected = json!({
        "entity": LINE, "kind": "whatsapp", "version": 3, "duplicates": 1, "first_seen": world.ago(4_320).to_string(),
        "last_seen": world.ago(40).to_string(), "last_event_id": world.id(40).to_string(), "reference": "client-7",
        "extra_info": 2,
        "fields": {
            "status": "OK", "whatsapp": "972501234567", "whatsapp_extra_info": 2, "whatsapp_reference": "client-7",
        },
    });
    assert_eq!((shown.code, objects(&shown.stdout)), (0, vec![expected]));
}

#[tokio::test]
async fn an_entity_that_no_event_has_named_is_an_error() {
    let world = World::start("no-state").await;
    let nobody = world.hooks(&["state", "builder#1\u{1b}[2J"]).await;
    let message = "error: there is no entity builder#1\\u{1b}[2J: no event has named it\n";
    assert_eq!((nobody.code, nobody.stdout.as_str(), nobody.stderr.as_str()), (1, "", message));
}

#[tokio::test]
async fn states_are_listed_by_kind_and_last_update() {
    let world = World::start("states").await;
    world.fill().await;
    for minutes in 0..10_u64 {
        let digits = "98765432109876543210";
        let status = if minutes == 9 { digits.to_owned() } else { (minutes % 3).to_string() };
        let body = format!(r#"{{"event":"builder","builderID":{minutes},"builder_extra_info":{status},"on":true}}"#);
        world.record(minutes, &body).await;
    }
    let listed = world.hooks(&["states", "--kind", "whatsapp"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let expected = [
        "│ entity ┆ events ┆ duplicates ┆ last seen ┆ reference ┆ update │",
        "│ whatsapp#972501234567 ┆ 3 ┆ 1 ┆ -40 ┆ client-7 ┆ 2 │",
    ];
    assert_eq!(world.lines(&listed.stdout), expected);

    let listed = async |arguments: &[&str]| {
        let listed = world.hooks(&[&["states", "--kind", "builder", "--output", "json"], arguments].concat()).await;
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
        let states = objects(&listed.stdout).into_iter();
        let mut entities: Vec<String> = states.map(|state| state["entity"].as_str().unwrap().to_owned()).collect();
        entities.sort();
        entities
    };
    assert_eq!(listed(&[]).await.len(), 11);
    assert_eq!(listed(&["--update", "1"]).await, ["builder#1", "builder#4", "builder#7"]);
    assert_eq!(listed(&["--status", "98765432109876543210"]).await, ["builder#9"]);
    assert_eq!(listed(&["--update", "-1"]).await, [""; 0]);
    assert_eq!(listed(&["--limit", "4"]).await.len(), 4);

    let more = world.hooks(&["states", "--kind", "builder", "--limit", "4"]).await.stdout;
    assert_eq!(more.lines().last(), Some("4 of more states; --limit shows more."));
    let nothing = world.hooks(&["states", "--kind", "package"]).await;
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "No such states.\n"));
    let nine = world.hooks(&["state", "builder#9", "--output", "json"]).await;
    let nine: Value = serde_json::from_str(&nine.stdout).unwrap();
    assert_eq!((&nine["extra_info"], &nine["fields"]["other.on"]), (&json!("98765432109876543210"), &json!(true)));
}
