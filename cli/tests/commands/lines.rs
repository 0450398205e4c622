use fixtures::{API_KEY, LINE};
use serde_json::{Value, json};
use shared::{Entity, EventId};
use store::{Inventory, LineAction, LineChange, LineRecord, LineStatus, Lines, Tracked};

use crate::{
    webhook::{stack::CREDENTIALS, world::World as WithSync},
    world::{World, objects},
};

/// The URL of the lines, masked.
const URL: &str = "https://ours.example/***1111";

/// A world with a live line whose event was received, and four others.
async fn with_lines(name: &str) -> World {
    let world = World::start(name).await;
    world.fill().await;
    let (inventory, lines) = (inventory(&world), lines(&world));
    let tracked = |number: &str, listed: u64, not_listed: Option<u64>, rebuilt: bool| Tracked {
        listed_at: Some(world.ago(listed)),
        not_listed_at: not_listed.map(|minutes| world.ago(minutes)),
        rebuilt_at: rebuilt.then(|| world.ago(listed)),
        ..Tracked::new(Entity::named(format!("whatsapp#{number}")))
    };
    let gone = Tracked { gone_at: Some(world.ago(5)), ..tracked("972500000004", 90, None, true) };
    inventory
        .write(&[
            tracked("972501234567", 30, Some(60), false),
            tracked("972500000002", 90, None, true),
            tracked("972500000003", 30, Some(60), true),
            gone,
            tracked("972500000005", 1, None, false),
            Tracked { listed_at: Some(world.ago(30)), ..Tracked::new(Entity::named("builder#523")) },
        ])
        .await
        .unwrap();
    world.record(41, r#"{"event":"builder","builderID":8,"builder_reference":"a name"}"#).await;
    for (number, minutes, reference) in
        [("972500000002", 90, "client-7"), ("972500000003", 30, "a name"), ("972500000004", 90, "")]
    {
        let body = json!({
            "event": "whatsapp", "whatsapp": number, "whatsapp_reference": reference, "display_name": format!("Client {number}"),
        });
        let id = EventId::new(world.ago(minutes), [number.as_bytes()[11]; 8]);
        world.record_at(world.ago(minutes), id, &body.to_string()).await;
    }
    let checked = |entity: &str, status, url: &str| LineRecord {
        checked_at: Some(world.ago(10)),
        since: world.ago(20),
        concluded: Some(status),
        url: Some(url.to_owned()),
        live_at: (status == LineStatus::Live).then(|| world.ago(10)),
        ..LineRecord::new(Entity::named(entity), status, world.ago(10))
    };
    lines
        .write(&LineRecord { set_at: Some(world.ago(20)), ..checked(LINE, LineStatus::Live, URL) }, None)
        .await
        .unwrap();
    lines.write(&checked("whatsapp#972500000003", LineStatus::Foreign, "other.example"), None).await.unwrap();
    world
}

fn inventory(world: &World) -> Inventory {
    Inventory::new(world.dynamodb.client(), world.dynamodb.events_table())
}

fn lines(world: &World) -> Lines {
    Lines::new(world.dynamodb.client(), world.dynamodb.events_table())
}

/// The numbers of the lines that are listed with these arguments, and the exit code.
async fn listed(world: &World, arguments: &[&str]) -> (i32, Vec<String>) {
    let listed = world.hooks(&[&["lines", "--output", "json"], arguments].concat()).await;
    let number = |line: Value| line["number"].as_str().unwrap().trim_start_matches("97250").to_owned();
    (listed.code, objects(&listed.stdout).into_iter().map(number).collect())
}

#[tokio::test]
async fn lines_are_listed_with_problems_first_and_the_exit_code_shows_that_one_is_not_live() {
    let world = with_lines("lines").await;
    let shown = world.hooks(&["lines"]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (3, ""));
    let expected = [
        "│ line ┆ line webhook ┆ name ┆ reference ┆ onboarding ┆ key ┆ last event │",
        "│ 972500000003 ┆ foreign ┆ Client 972500000003 ┆ a name ┆ missed, rebuilt ┆ none ┆ -30 │",
        "│ 972500000002 ┆ not checked ┆ Client 972500000002 ┆ client-7 ┆ imported ┆ none ┆",
        "│ 972500000005 ┆ not checked ┆ ┆ ┆ no event yet ┆ none ┆ │",
        "│ 972501234567 ┆ live ┆ ┆ client-7 ┆ event received ┆ sealed ┆ -40 │",
        "│ 972500000004 ┆ gone ┆ Client 972500000004 ┆ ┆ imported ┆ none ┆",
        "3 of 5 lines are not live; `cargo hooks line <number>` says why.",
        "1 of 5 lines is gone at the provider. Gone lines do not affect the exit code; --not-live leaves them out.",
    ];
    let shown = world.lines(&shown.stdout);
    assert!(shown.iter().zip(expected).all(|(shown, expected)| shown.starts_with(expected)), "{shown:#?}");
    assert_eq!(shown.len(), expected.len());
}

#[tokio::test]
async fn a_line_with_an_item_that_cannot_be_read_is_named_and_the_others_are_listed() {
    let world = with_lines("lines-unreadable").await;
    let garble =
        async |key, attribute| world.dynamodb.garble(world.dynamodb.events_table(), key, attribute).await.unwrap();
    garble(["whatsapp#972500000003", "line"], "webhook").await;
    assert_eq!(listed(&world, &["--not-live"]).await, (1, ["0000002", "0000005"].map(str::to_owned).to_vec()));
    let shown = world.hooks(&["lines", "--reference", "a name"]).await;
    assert_eq!((shown.code, shown.stdout.as_str()), (1, "None of the lines that can be read.\n"));
    let fault = "the item whatsapp#972500000003 / line has no usable attribute webhook\n";
    assert_eq!(shown.stderr, format!("error: 1 line is left out, because an item cannot be read: {fault}"));
    garble(["inventory", "whatsapp#972500000002"], "listed_at").await;
    garble(["whatsapp#972500000004", "state"], "first_seen").await;
    assert_eq!(listed(&world, &[]).await, (1, ["0000005", "1234567"].map(str::to_owned).to_vec()));
    let shown = world.hooks(&["lines"]).await;
    assert!(
        shown.stderr.starts_with("error: 3 lines are left out, because an item cannot be read: "),
        "{}",
        shown.stderr
    );
    for item in ["inventory / whatsapp#972500000002", "whatsapp#972500000003 / line", "whatsapp#972500000004 / state"] {
        assert!(shown.stderr.contains(&format!("the item {item} ")), "{}", shown.stderr);
    }
}

#[tokio::test]
async fn lines_are_filtered_and_sorted() {
    let world = with_lines("lines-filters").await;
    let all = ["0000003", "0000002", "0000005", "1234567", "0000004"].map(str::to_owned).to_vec();
    assert_eq!(listed(&world, &[]).await, (3, all.clone()));
    assert_eq!(listed(&world, &["--not-live"]).await, (3, all[..3].to_vec()));
    assert_eq!(listed(&world, &["--limit", "1"]).await, (3, all[..1].to_vec()));
    assert_eq!(listed(&world, &["--reference", "client-7"]).await.1, ["0000002", "1234567"]);
    assert_eq!(listed(&world, &["--reference", "a name"]).await.1, ["0000003"]);
    assert_eq!(listed(&world, &["--sort", "number"]).await.1[0], "0000002");
    assert_eq!(listed(&world, &["--sort", "last-event", "--limit", "1"]).await.1, ["0000005"], "it had no event");
    assert_eq!(listed(&world, &["--sort", "name"]).await.1[..2], ["0000002", "0000003"]);
    assert_eq!(listed(&world, &["--sort", "reference"]).await.1[0], "0000003");
    let cut = world.hooks(&["lines", "--limit", "2"]).await;
    assert!(cut.stdout.ends_with("2 of 5 lines; --limit shows more.\n"), "{}", cut.stdout);
    let nobody = world.hooks(&["lines", "--reference", "nobody"]).await;
    let message = "error: there is no reference nobody: no event has it\n";
    assert_eq!((nobody.code, nobody.stdout.as_str(), nobody.stderr.as_str()), (1, "", message));
    world.record(20, r#"{"event":"builder","builderID":9,"builder_reference":"bots only"}"#).await;
    let bots = world.hooks(&["lines", "--reference", "bots only"]).await;
    assert_eq!((bots.code, bots.stdout.as_str()), (0, "No such lines.\n"));
}

#[tokio::test]
async fn the_exit_code_is_zero_when_every_line_is_live_or_gone() {
    let world = World::start("lines-live").await;
    assert_eq!(listed(&world, &[]).await, (0, Vec::new()));
    world.fill().await;
    assert_eq!(listed(&world, &[]).await.0, 3, "it was never checked");
    let live = LineRecord::new(Entity::named(LINE), LineStatus::Live, world.ago(1));
    lines(&world).write(&live, None).await.unwrap();
    assert_eq!(listed(&world, &[]).await.0, 0);
    let none = world.hooks(&["lines", "--not-live"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (0, "None: every line is live, or gone at the provider.\n"));
    let entity = Entity::named(LINE);
    let gone = Tracked { listed_at: Some(world.ago(9)), gone_at: Some(world.ago(1)), ..Tracked::new(entity.clone()) };
    inventory(&world).write(&[gone]).await.unwrap();
    let read = lines(&world).get(&entity).await.unwrap().unwrap();
    lines(&world).write(&LineRecord { status: LineStatus::UnknownNumber, ..read }, None).await.unwrap();
    assert_eq!(listed(&world, &[]).await.0, 0, "a line that is gone need not be live");
}

#[tokio::test]
async fn a_line_is_shown_with_its_proof_its_history_and_everything_with_its_reference() {
    let world = with_lines("line").await;
    let change = |minutes: u64, from: Option<LineStatus>, to, action, not_live: Option<(u64, u64)>| LineChange {
        id: EventId::new(world.ago(minutes), minutes.to_be_bytes()),
        from,
        to,
        action,
        url: (to == LineStatus::Live).then(|| URL.to_owned()),
        cause: None,
        not_live: not_live.map(|(from, until)| world.ago(from)..world.ago(until)),
    };
    let (empty, live) = (LineStatus::Empty, LineStatus::Live);
    for change in [
        change(50, None, empty, LineAction::Found, None),
        change(20, Some(empty), live, LineAction::Set, Some((50, 20))),
    ] {
        let record = lines(&world).get(&Entity::named(LINE)).await.unwrap().unwrap();
        lines(&world).write(&record, Some(&change)).await.unwrap();
    }
    world.record(45, r#"{"event":"builder","builderID":7,"builder_reference":"client-7"}"#).await;
    for written in ["972501234567", "+972 50-123-4567", "050-123-4567", "whatsapp#972501234567"] {
        let shown = world.hooks(&["line", written]).await;
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{written}");
        let shown = world.lines(&shown.stdout);
        for expected in [
            "line 972501234567",
            "reference client-7",
            "line webhook live",
            "Onboarded, in the provider's list since -30 (30 min ago).",
            "First event received at -4320 (3 d ago).",
            "Key sealed, last received at -40 (40 min ago).",
            "Set by this stack at -20 (20 min ago).",
            "Last event at -40 (40 min ago).",
            "│ -20 ┆ live ┆ set ┆ https://ours.example/***1111 ┆ -50 ┆ 30 min │",
            "│ -50 ┆ empty ┆ found ┆ ┆ ┆ │",
            "Everything with this reference",
        ] {
            assert!(shown.iter().any(|line| line == expected), "{expected} is not in {shown:#?}");
        }
        for start in
            ["The line webhook is set to your URL: https://ours.example/***1111. Since ", "Webhook read back at "]
        {
            assert!(shown.iter().any(|line| line.starts_with(start)), "{start} is not in {shown:#?}");
        }
        assert!(shown.iter().any(|line| line.starts_with("│ builder#7 ┆ 1 ┆")), "{shown:#?}");
    }
    // A shell splits a number that is not quoted.
    let shown = world.hooks(&["line", "+972", "50-123-4567", "--output", "json"]).await;
    let object = &objects(&shown.stdout)[0];
    assert_eq!((shown.code, &object["live"], &object["webhook"]["status"]), (0, &json!(true), &json!("live")));
    assert_eq!(object["key"], json!({"sealed": true, "received_at": world.ago(40)}));
    let period = json!({"from": world.ago(50), "until": world.ago(20)});
    assert_eq!((&object["changes"][0]["not_live"], object["changes"].as_array().unwrap().len()), (&period, 2));
    assert_eq!(object["same_reference"].as_array().unwrap().len(), 3);
    assert!(object["proof"].as_array().unwrap().len() >= 5 && !shown.stdout.contains(API_KEY));
    assert!(!shown.stdout.contains(" ago"), "the same state is the same JSON: {}", shown.stdout);
}

#[tokio::test]
async fn a_line_that_is_not_live_is_shown_with_the_reason() {
    let world = with_lines("line-why").await;
    for (number, code, sentences) in [
        ("972500000003", 3, ["Event missed, and rebuilt from the list at ", "Webhook read back as other.example at "]),
        ("972500000002", 3, ["Older than this stack, imported from the list at ", "Webhook not checked yet."]),
        ("972500000005", 3, ["No event yet.", "No key yet."]),
        ("972500000004", 0, ["line webhook  gone\n", "Gone from the provider's list since "]),
    ] {
        let shown = world.hooks(&["line", number]).await;
        assert_eq!(shown.code, code, "{shown:?}");
        for sentence in sentences {
            assert!(shown.stdout.contains(&format!("\n{sentence}")), "{sentence}\n{}", shown.stdout);
        }
    }
}

#[tokio::test]
async fn a_line_that_the_provider_was_never_asked_about_is_not_said_to_be_unknown_to_it() {
    let world = with_lines("line-not-asked").await;
    for (checked_at, verdict) in [
        (None, "The provider cannot be asked about this line."),
        (Some(world.ago(10)), "The provider does not know this number."),
    ] {
        let entity = Entity::named("whatsapp#972500000002");
        let read = lines(&world).get(&entity).await.unwrap();
        let record = read.unwrap_or_else(|| LineRecord::new(entity, LineStatus::UnknownNumber, world.ago(10)));
        lines(&world).write(&LineRecord { checked_at, ..record }, None).await.unwrap();
        let shown = world.hooks(&["line", "972500000002"]).await;
        assert!(shown.code == 3 && shown.stdout.contains(&format!("\n{verdict} ")), "{shown:?}");
    }
}

#[tokio::test]
async fn a_number_without_a_line_is_refused_with_similar_numbers() {
    let world = with_lines("no-line").await;
    world.record(20, r#"{"event":"whatsapp","whatsapp_reference":"client-7"}"#).await;
    for (written, message) in [
        ("972509999999", "there is no line 972509999999: no event has named it"),
        ("972501234568", "there is no line 972501234568: no event has named it; did you mean whatsapp#972501234567?"),
        ("builder#523", "builder#523 is not a line"),
        ("whatsapp#-", "whatsapp#- is not a line"),
    ] {
        let ended = world.hooks(&["line", written]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        assert_eq!(ended.stderr, format!("error: {message}\n"));
    }
}

#[tokio::test]
async fn lines_are_shown_without_keys_if_the_sealed_table_cannot_be_read() {
    let world = with_lines("lines-no-keys").await;
    world.use_sealed_table("another");
    let shown = world.hooks(&["lines", "--output", "json"]).await;
    let keys: Vec<Value> = objects(&shown.stdout).into_iter().map(|line| line["key"]["sealed"].clone()).collect();
    assert_eq!((shown.code, keys), (3, vec![Value::Null; 5]));
    assert!(shown.stderr.starts_with("The sealed table cannot be read, so "), "{}", shown.stderr);
    let shown = world.hooks(&["line", "972501234567"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("Key not shown: the sealed table was not read."), "{shown:?}");
}

#[tokio::test]
async fn sync_itself_checks_and_plans_lines() {
    const KEY: &str = "key-of-the-line";
    let world = WithSync::start("lines-check").await;
    let hooks = async |arguments: &[&str]| {
        let ended = world.hooks(arguments).await;
        assert!(!format!("{ended:?}").contains(KEY), "{ended:?}");
        ended
    };
    world.partner.onboard("972501234567", Some("client-7"), KEY);
    assert_eq!(hooks(&["inventory"]).await.code, 0);
    let url = || world.partner.line("972501234567").unwrap().url;

    let planned = hooks(&["lines", "--plan"]).await;
    assert!(planned.code == 3 && planned.stdout.contains("https://lines.example.com/972501234567"), "{planned:?}");
    assert_eq!(url(), "", "a plan changes nothing");
    let checked = hooks(&["lines", "--check", "--output", "json"]).await;
    assert_eq!((checked.code, &objects(&checked.stdout)[0]["webhook"]["status"]), (0, &json!("live")));
    assert_eq!(url(), "https://lines.example.com/972501234567");
    assert_eq!(hooks(&["lines", "--plan"]).await.code, 0);

    world.partner.register_line("972501234567", Some("https://other.example/in/Foreign-Token-9876543210"));
    let checked = hooks(&["line", "972501234567", "--check"]).await;
    assert!(checked.code == 3 && checked.stdout.contains("Webhook read back as other.example"), "{checked:?}");
    assert!(checked.stdout.contains("The history of the line's webhook"), "{}", checked.stdout);
    assert_eq!(url(), "https://other.example/in/Foreign-Token-9876543210", "it is left as it is");
}

#[tokio::test]
async fn a_check_shows_what_it_changed_and_leaves_lines_with_another_reference() {
    let world = WithSync::start("lines-check-reference").await;
    world.partner.onboard("972501234567", Some("client-7"), "key-of-the-line");
    world.partner.onboard("972502222222", Some("client-8"), "key-of-another");
    assert_eq!(world.hooks(&["inventory"]).await.code, 0);
    let url = |number| world.partner.line(number).unwrap().url;
    let check = async |arguments: &[&str]| world.hooks(&[&["lines", "--check"], arguments].concat()).await;

    let checked = check(&["--reference", "client-7"]).await;
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("│ changed ") && checked.stdout.contains("│ whatsapp#972501234567 "),
        "{}",
        checked.stdout
    );
    assert!(!checked.stdout.contains("972502222222"), "{}", checked.stdout);
    assert_eq!(
        (url("972501234567").as_str(), url("972502222222").as_str()),
        ("https://lines.example.com/972501234567", "")
    );

    let nobody = check(&["--reference", "nobody"]).await;
    let message = "error: there is no reference nobody: no event has it\n";
    assert_eq!((nobody.code, nobody.stdout.as_str(), nobody.stderr.as_str()), (1, "", message));
    let checked = check(&[]).await;
    assert!(checked.code == 0 && checked.stdout.contains("│ whatsapp#972502222222 "), "{checked:?}");
    assert!(!checked.stdout.contains("│ whatsapp#972501234567 "), "it has not changed again: {}", checked.stdout);
    assert!(!check(&[]).await.stdout.contains("changed"));
}

#[tokio::test]
async fn the_lines_of_a_stack_without_a_url_for_them_are_off_and_no_problem() {
    let world = WithSync::start("lines-off").await;
    world.partner.onboard("972501234567", Some("client-7"), "key-of-the-line");
    assert_eq!(world.hooks(&["inventory"]).await.code, 0);
    world.partner.register_line("972501234567", Some("https://other.example/in/Foreign-Token-9876543210"));
    assert_eq!(world.hooks(&["lines", "--check"]).await.code, 3);
    for (stack, code, status) in [("hooks-lines", 3, "foreign"), ("hooks", 0, "off")] {
        let of = async |arguments: &[&str]| {
            let ended = world.hooks_of_stack(&[arguments, &["--stack", stack]].concat(), &CREDENTIALS).await;
            assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{stack} {arguments:?}: {}", ended.stdout);
            ended.stdout
        };
        assert!(of(&["lines"]).await.contains(status), "{stack}");
        let line = of(&["line", "972501234567"]).await;
        assert_eq!(line.contains("The lines' own webhooks are not checked"), status == "off", "{line}");
        let shown = objects(&of(&["lines", "--output", "json"]).await);
        assert_eq!(shown[0]["webhook"]["status"], status);
        assert_eq!(shown[0]["webhook"]["since"].is_null(), status == "off");
    }
    let none = ["lines", "--not-live", "--stack", "hooks"];
    let none = world.hooks_of_stack(&none, &CREDENTIALS).await;
    assert_eq!(none.stdout, "None: LineWebhookUrl is empty, so the lines' own webhooks are not checked.\n");
}

#[tokio::test]
async fn every_member_of_the_json_output_is_documented() {
    let world = with_lines("documented-json").await;
    let documented = include_str!("../../../docs/events.md").split_once("## JSON output").unwrap().1;
    for (command, code) in [
        (&["events", "--limit", "1"][..], 0),
        (&["events", "--limit", "1", "--kind", "quarantine"], 0),
        (&["show", &world.id(40).to_string()], 0),
        (&["states", "--kind", "whatsapp"], 0),
        (&["lines"], 3),
        (&["line", "972501234567"], 0),
        (&["webhook", "status"], 0),
        (&["forward", "status"], 0),
    ] {
        let printed = world.hooks(&[command, &["--output", "json"]].concat()).await;
        assert_eq!(printed.code, code, "{command:?}: {printed:?}");
        for name in objects(&printed.stdout)[0].as_object().unwrap().keys() {
            assert!(documented.contains(&format!("`{name}`")), "{command:?}: {name}");
        }
    }
}
