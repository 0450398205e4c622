use fixtures::LINE;
use serde_json::{Value, json};
use shared::Entity;
use store::{Inventory, Tracked};

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
        "API key yes, last received at -40 (40 min ago)",
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
    let all = objects(&world.hooks(&["states", "--kind", "builder", "--output", "json"]).await.stdout);
    assert!(all.is_sorted_by_key(|state| state["entity"].as_str().unwrap().to_owned()), "{all:?}");

    let more = world.hooks(&["states", "--kind", "builder", "--limit", "4"]).await.stdout;
    assert_eq!(more.lines().last(), Some("4 of the states, in no order (--sort sets one); --limit shows more."));
    let nothing = world.hooks(&["states", "--kind", "package"]).await;
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "No such states.\n"));
    let mistyped = world.hooks(&["states", "--kind", "builders"]).await;
    assert_eq!((mistyped.code, mistyped.stdout.as_str()), (0, "No such states.\n"));
    assert_eq!(mistyped.stderr, "builders is not a known kind; did you mean builder?\n");
    let neither = world.hooks(&["states"]).await;
    assert_eq!(neither.code, 2);
    let message = "error: states are listed by kind: give --kind, such as --kind whatsapp, or --reference\n";
    assert_eq!(neither.stderr, message);
    let nobody = world.hooks(&["states", "--reference", "Client-7"]).await;
    let message = "error: there is no reference Client-7: no event has it; did you mean client-7?\n";
    assert_eq!((nobody.code, nobody.stdout.as_str(), nobody.stderr.as_str()), (1, "", message));
    let nine = world.hooks(&["state", "builder#9", "--output", "json"]).await;
    let nine: Value = serde_json::from_str(&nine.stdout).unwrap();
    assert_eq!((&nine["extra_info"], &nine["fields"]["other.on"]), (&json!("98765432109876543210"), &json!(true)));
}

#[tokio::test]
async fn states_are_sorted_filtered_by_reference_and_counted() {
    let world = World::start("states-sorted").await;
    let bot = |number: u64, reference: &str, update: i64| {
        format!(
            r#"{{"event":"builder","builderID":{number},"builder_reference":"{reference}","builder_extra_info":{update}}}"#
        )
    };
    for (minutes, number, reference, update) in [(40, 1, "c", 10), (10, 2, "b", 2), (30, 3, "b", 10), (20, 4, "a", -1)]
    {
        world.record(minutes, &bot(number, reference, update)).await;
    }
    world.record(5, r#"{"event":"whatsapp","whatsapp":"972501234567","whatsapp_reference":"b"}"#).await;
    let listed = async |arguments: &[&str]| {
        let listed = world.hooks(&[&["states", "--output", "json"], arguments].concat()).await;
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{arguments:?}");
        let entities = objects(&listed.stdout);
        entities.iter().map(|state| state["entity"].as_str().unwrap().replace("builder#", "")).collect::<Vec<_>>()
    };
    for (sort, expected) in
        [("oldest", ["1", "3", "4", "2"]), ("newest", ["2", "4", "3", "1"]), ("entity", ["1", "2", "3", "4"])]
    {
        assert_eq!(listed(&["--kind", "builder", "--sort", sort]).await, expected, "{sort}");
    }
    assert_eq!(listed(&["--kind", "builder", "--sort", "update"]).await[..2], ["4", "2"]);
    assert_eq!(listed(&["--kind", "builder", "--sort", "reference"]).await[0], "4");
    assert_eq!(listed(&["--kind", "builder", "--sort", "oldest", "--limit", "2"]).await, ["1", "3"]);
    assert_eq!(listed(&["--reference", "b"]).await.len(), 3);
    assert_eq!(listed(&["--reference", "b", "--kind", "Whatsapp "]).await, ["whatsapp#972501234567"]);
    assert_eq!(listed(&["--reference", "b", "--update", "10"]).await, ["3"]);

    let counted = world.hooks(&["states", "--kind", "builder", "--count"]).await.stdout;
    assert_eq!(world.lines(&counted), ["│ update ┆ states │", "│ -1 ┆ 1 │", "│ 2 ┆ 1 │", "│ 10 ┆ 2 │"]);
    let counted = objects(&world.hooks(&["states", "--kind", "builder", "--count", "--output", "json"]).await.stdout);
    assert_eq!(counted[2], json!({"extra_info": 10, "states": 2}));
    let unknown = world.hooks(&["states", "--reference", "nobody", "--count"]).await;
    assert!(unknown.code == 1 && unknown.stderr.starts_with("error: there is no reference nobody"), "{unknown:?}");
}

#[tokio::test]
async fn deliveries_are_counted_by_kind_reference_and_day() {
    let world = World::start("stats").await;
    world.fill().await;
    world.record(15, r#"{"event":"doctor"}"#).await;
    world.record(10, r#"{"event":"builder","builderID":1,"builder_reference":"=a, \"b\""}"#).await;
    let stats = async |arguments: &[&str]| {
        let counted = world.hooks(&[&["stats"], arguments].concat()).await;
        assert_eq!((counted.code, counted.stderr.as_str()), (0, ""), "{arguments:?}");
        counted.stdout
    };
    let expected = [
        "│ kind ┆ deliveries ┆ duplicates │",
        "│ builder ┆ 2 ┆ 0 │",
        "│ quarantine ┆ 1 ┆ 0 │",
        "│ whatsapp ┆ 4 ┆ 1 │",
        "│ all ┆ 7 ┆ 1 │",
    ];
    assert_eq!(world.lines(&stats(&["--since", "30d"]).await), expected);
    let by_reference = stats(&["--since", "1d", "--by", "reference", "--output", "csv"]).await;
    assert_eq!(by_reference, "reference,deliveries,duplicates\r\n,2,0\r\n\"'=a, \"\"b\"\"\",1,0\r\nclient-7,3,1\r\n");
    let day = world.ago(4_320).day();
    let by_day = objects(&stats(&["--since", "7d", "--by", "day", "--kind", "whatsapp", "--output", "json"]).await);
    assert_eq!(by_day[0], json!({"day": day, "deliveries": 1, "duplicates": 0}));
    assert_eq!(world.lines(&stats(&["--kind", "doctor"]).await)[1], "│ doctor ┆ 1 ┆ 0 │");
}

#[tokio::test]
async fn a_bot_that_is_gone_at_the_provider_says_so() {
    let world = World::start("state-gone").await;
    world.fill().await;
    world.record(25, r#"{"event":"builder","builderID":7,"builder_reference":"client-7"}"#).await;
    world.record(24, r#"{"event":"builder","builderID":8,"builder_reference":"client-7"}"#).await;
    let header = "│ entity ┆ events ┆ duplicates ┆ last seen ┆ reference ┆ update │";
    let states =
        async || world.lines(&world.hooks(&["states", "--reference", "client-7", "--sort", "entity"]).await.stdout);
    assert_eq!(states().await[0], header);

    let gone = |number, minutes| {
        let entity = Entity::named(format!("builder#{number}"));
        Tracked { gone_at: Some(world.ago(minutes)), ..Tracked::new(entity) }
    };
    let inventory = Inventory::new(world.dynamodb.client(), world.dynamodb.events_table());
    // The event of number 8 is newer: it is back.
    inventory.write(&[gone(7, 20), gone(8, 30)]).await.unwrap();
    let shown = states().await;
    assert!(shown[0].ends_with("┆ update ┆ gone │") && shown[1].starts_with("│ builder#7 "), "{shown:#?}");
    assert_eq!(shown[1..].iter().map(|row| row.ends_with("┆ yes │")).collect::<Vec<_>>(), [true, false, false]);
    let line = world.lines(&world.hooks(&["line", LINE]).await.stdout);
    assert!(line.iter().any(|row| row.starts_with("│ builder#7 ") && row.ends_with("┆ yes │")), "{line:#?}");

    let bot = world.lines(&world.hooks(&["state", "builder#7"]).await.stdout);
    assert!(bot.contains(&"gone not in the provider's list since -20 (20 min ago)".to_owned()), "{bot:#?}");
    for command in [&["state", "builder#7"][..], &["states", "--reference", "client-7", "--sort", "entity"]] {
        let states = objects(&world.hooks(&[command, &["--output", "json"]].concat()).await.stdout);
        assert_eq!(states[0]["gone_at"], json!(world.ago(20)), "{command:?}");
        assert!(states[1..].iter().all(|state| state.get("gone_at").is_none()), "{command:?}");
    }
    let back = world.hooks(&["state", "builder#8"]).await;
    assert!(!back.stdout.contains("gone"), "{}", back.stdout);
}
