use fixtures::{API_KEY, LINE, update};
use serde_json::{Value, json};

use crate::{
    key::at_terminal,
    program::{Ended, hooks},
    world::{World, objects},
};

/// Two that still cannot be decoded, one of them days ago, and two events of a line with the same body.
async fn with_quarantined(name: &str) -> World {
    let world = World::start(name).await;
    world.record(4_320, &format!("not JSON {API_KEY}")).await;
    world.quarantine(50, update(1).as_bytes()).await;
    world.quarantine(45, update(1).as_bytes()).await;
    world.record(60, r#"{"event":"whatsapp","whatsapp":"972501234567","daily_limit":250}"#).await;
    world.record(30, r#"{"event":"quarantine"}"#).await;
    world.record(20, "[1]").await;
    world
}

fn ids(world: &World, minutes: &[u64]) -> Vec<Value> {
    minutes.iter().map(|minutes| world.id(*minutes).to_string().into()).collect()
}

#[tokio::test]
async fn quarantined_deliveries_are_listed_latest_first() {
    let world = with_quarantined("quarantine-list").await;
    let listed = world.hooks(&["quarantine", "list"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let bytes = update(1).len();
    let expected = [
        "│ received ┆ id ┆ source ┆ bytes ┆ cause │".to_owned(),
        "│ -20 ┆ #20 ┆ 34.165.99.212 ┆ 3 ┆ the body is JSON, but not an object │".to_owned(),
        format!("│ -45 ┆ #45 ┆ 34.165.99.212 ┆ {bytes} ┆ the body is not JSON │"),
        format!("│ -50 ┆ #50 ┆ 34.165.99.212 ┆ {bytes} ┆ the body is not JSON │"),
        "│ -4320 ┆ #4320 ┆ 34.165.99.212 ┆ 20 ┆ the body is not JSON │".to_owned(),
    ];
    assert_eq!(world.lines(&listed.stdout), expected);
    for (arguments, expected) in [
        (&[][..], &[20, 45, 50, 4_320][..]),
        (&["--since", "1d"], &[20, 45, 50]),
        (&["--since", "1d", "--until", "30m"], &[45, 50]),
        (&["--limit", "3"], &[20, 45, 50]),
    ] {
        let listed = world.hooks(&[&["quarantine", "list", "--output", "json"], arguments].concat()).await;
        let listed: Vec<Value> = objects(&listed.stdout).iter().map(|delivery| delivery["id"].clone()).collect();
        assert_eq!(listed, ids(&world, expected), "{arguments:?}");
    }
    let more = world.hooks(&["quarantine", "list", "--limit", "3"]).await.stdout;
    assert!(more.lines().last().unwrap().ends_with("; --limit shows more."), "{more}");
    let nothing = world.hooks(&["quarantine", "list", "--since", "10m"]).await;
    assert!(nothing.code == 0 && nothing.stdout.starts_with("Nothing was quarantined since 20"), "{nothing:?}");
}

#[tokio::test]
async fn one_is_shown_without_its_bytes() {
    let world = with_quarantined("quarantine-show").await;
    let shown = world.hooks(&["quarantine", "show", &world.id(4_320).to_string()]).await;
    let lines = world.lines(&shown.stdout);
    assert_eq!((shown.code, lines[0].as_str()), (0, "id #4320"));
    assert_eq!(lines[lines.len() - 2..], ["cause the body is not JSON", "body 20 bytes, in the sealed table"]);
    for id in [world.id(60), world.id(10)] {
        let none = world.hooks(&["quarantine", "show", &id.to_string()]).await;
        let message = format!("error: there is nothing in quarantine with the id {id}\n");
        assert_eq!(none, Ended { code: 1, stdout: String::new(), stderr: message });
    }
}

#[tokio::test]
async fn its_bytes_are_shown_as_received_after_a_confirmation() {
    let world = World::start("quarantine-raw").await;
    let body = b"\xff\0 123-456-789 \r\n\x1b[2J";
    world.quarantine(20, body).await;
    let id = world.id(20).to_string();
    let raw = ["quarantine", "show", &id, "--raw"];
    let shown = hooks(&world.project, &[&raw[..], &["--yes"]].concat(), &[]).output().await.unwrap();
    assert_eq!((shown.status.code(), shown.stdout.as_slice(), shown.stderr.as_slice()), (Some(0), &body[..], &b""[..]));
    let refused = world.hooks(&raw).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("give --yes"), "{refused:?}");
    let refused = at_terminal(&world, &raw, "no\n").await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let question = format!("Show the body of {id}? It may hold secrets. [y/N] ");
    assert!(refused.stderr.starts_with(&question), "{refused:?}");
}

#[tokio::test]
async fn deliveries_that_now_decode_are_recorded_and_the_others_stay() {
    let world = with_quarantined("quarantine-retry").await;
    let retried = world.hooks(&["quarantine", "retry", "--since", "7d"]).await;
    assert_eq!((retried.code, retried.stderr.as_str()), (0, ""));
    let expected = [
        "#4320 still undecodable: the body is not JSON",
        "#50 recorded as whatsapp#972501234567",
        "#45 recorded as whatsapp#972501234567, a duplicate of #50",
        "#20 still undecodable: the body is JSON, but not an object",
        "2 recorded, 2 still undecodable.",
    ];
    assert_eq!(world.lines(&retried.stdout), expected);

    let listed = async |arguments: &[&str]| {
        let listed = world.hooks(&[arguments, &["--since", "7d", "--output", "json"]].concat()).await;
        objects(&listed.stdout).iter().map(|delivery| delivery["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["quarantine", "list"]).await, ids(&world, &[20, 4_320]));
    assert_eq!(listed(&["events"]).await, ids(&world, &[20, 30, 45, 50, 60, 4_320]));
    let state = world.hooks(&["state", LINE, "--output", "json"]).await;
    let state: Value = serde_json::from_str(&state.stdout).unwrap();
    assert_eq!((&state["version"], &state["duplicates"]), (&json!(2), &json!(1)));
    assert_eq!((&state["fields"]["daily_limit"], &state["fields"]["whatsapp_extra_info"]), (&json!(250), &json!(1)));

    let again = world.hooks(&["quarantine", "retry", "--since", "7d"]).await;
    assert_eq!(world.lines(&again.stdout).last().unwrap(), "0 recorded, 2 still undecodable.");
}

#[tokio::test]
async fn each_is_tried_by_its_id_and_an_unknown_id_or_entity_is_an_error() {
    let world = with_quarantined("quarantine-retry-ids").await;
    let [event, broken, unknown] = [50, 20, 10].map(|minutes| world.id(minutes).to_string());
    let retry = async |ids: &[&str]| {
        let ended = world.hooks(&[&["quarantine", "retry", "--output", "json"], ids].concat()).await;
        (ended.code, objects(&ended.stdout))
    };
    let recorded = |outcome: &str| json!({"id": event, "outcome": outcome, "entity": LINE, "duplicate_of": null});
    let undecodable = json!({"id": broken, "outcome": "undecodable", "cause": "the body is JSON, but not an object"});
    assert_eq!(retry(&[&event, &broken]).await, (0, vec![recorded("recorded"), undecodable.clone()]));
    assert_eq!(retry(&[&broken, &event, &broken]).await, (0, vec![undecodable.clone(), recorded("recorded_before")]));
    let missing = json!({"id": unknown, "outcome": "not_quarantined", "cause": null});
    assert_eq!(retry(&[&unknown, &event, &broken]).await, (1, vec![missing, recorded("recorded_before"), undecodable]));
}

#[tokio::test]
async fn a_list_that_ends_in_the_past_speaks_of_that_time_alone() {
    let world = with_held("quarantine-until", &["203.0.113.9", "203.0.113.9"]).await;
    let none = world.hooks(&["quarantine", "list", "--since", "2d", "--until", "1d"]).await.stdout;
    assert!(none.starts_with("Nothing was quarantined since 20") && none.contains("Z and before 20"), "{none}");
    let some = world.hooks(&["quarantine", "list", "--until", "1m", "--limit", "1"]).await.stdout;
    assert!(some.contains("The last 1 since 20") && some.contains("Z and before 20"), "{some}");
}

#[tokio::test]
async fn a_retry_of_nothing_in_particular_is_refused() {
    let world = World::start("quarantine-usage").await;
    let id = world.id(10).to_string();
    for arguments in [
        &["quarantine"][..],
        &["quarantine", "show"],
        &["quarantine", "show", &id, "--yes"],
        &["quarantine", "retry"],
        &["quarantine", "retry", "42"],
        &["quarantine", "retry", &id, "--since", "1d"],
        &["quarantine", "retry", &id, "--until", "1d"],
        &["quarantine", "list", "--since", "1h", "--until", "2h"],
    ] {
        let ended = world.hooks(arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?} {ended:?}");
    }
}

/// A held delivery from each of these addresses, 50 minutes ago and 5 less for each one after it.
async fn with_held(name: &str, source_ips: &[&str]) -> World {
    let world = World::start(name).await;
    for (minutes, source_ip) in (0..).step_by(5).map(|later| 50 - later).zip(source_ips) {
        world.hold(minutes, source_ip.parse().ok(), &update(1)).await;
    }
    world
}

#[tokio::test]
async fn a_held_delivery_shows_its_source_and_its_cause_in_plain_words() {
    let world = with_held("quarantine-held", &["203.0.113.9", "unknown"]).await;
    let listed = world.hooks(&["quarantine", "list"]).await;
    let bytes = update(1).len();
    let cause = "held: its source address is not in AllowedSourceIps";
    let expected = [
        "│ received ┆ id ┆ source ┆ bytes ┆ cause │".to_owned(),
        format!("│ -45 ┆ #45 ┆ unknown ┆ {bytes} ┆ {cause} │"),
        format!("│ -50 ┆ #50 ┆ 203.0.113.9 ┆ {bytes} ┆ {cause} │"),
    ];
    assert_eq!(world.lines(&listed.stdout), expected);
    let shown = world.hooks(&["quarantine", "show", &world.id(50).to_string()]).await;
    let lines = world.lines(&shown.stdout);
    for line in [
        "source ip 203.0.113.9",
        &format!("cause {cause}"),
        "content type application/json",
        "content encoding br",
        &format!("body {bytes} bytes, in the sealed table"),
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
    }
    let shown = world.hooks(&["quarantine", "show", &world.id(50).to_string(), "--output", "json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["cause"], &shown["source_ip"]), (&json!("unlisted_source"), &json!("203.0.113.9")));
    assert_eq!((&shown["content_type"], &shown["content_encoding"]), (&json!("application/json"), &json!("br")));
}

#[tokio::test]
async fn a_held_delivery_is_recorded_when_its_address_is_listed_or_its_source_is_accepted() {
    let world = with_held("quarantine-release", &["203.0.113.9", "10.1.2.3", "unknown"]).await;
    let retried = world.hooks(&["quarantine", "retry", "--since", "1d"]).await;
    let expected = [
        "#50 still held: its source address 203.0.113.9 is not in AllowedSourceIps; add the address, or give --accept-source",
        "#45 recorded as whatsapp#972501234567",
        "#40 still held: the gateway gave no source address; add the address, or give --accept-source",
        "1 recorded, 2 still held, 0 still undecodable.",
    ];
    assert_eq!((retried.code, world.lines(&retried.stdout)), (0, expected.map(str::to_owned).to_vec()));

    let retry = ["quarantine", "retry", "--since", "1d", "--output", "json"];
    let held = objects(&world.hooks(&retry).await.stdout);
    let outcome = |of: &Value| (of["id"].clone(), of["outcome"].clone(), of["cause"].clone());
    let cause = "its source address 203.0.113.9 is not in AllowedSourceIps";
    assert_eq!(outcome(&held[0]), (json!(world.id(50).to_string()), json!("unlisted_source"), json!(cause)));
    let accepted = world.hooks(&[&retry[..], &["--accept-source"]].concat()).await;
    let accepted: Vec<Value> = objects(&accepted.stdout).iter().map(|of| of["outcome"].clone()).collect();
    assert_eq!(accepted, ["recorded", "recorded"]);
    let shown = world.hooks(&["show", &world.id(50).to_string(), "--output", "json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let received = (&shown["received_at"], &shown["source_ip"], &shown["entity"]);
    assert_eq!(received, (&json!(world.ago(50).to_string()), &json!("203.0.113.9"), &json!(LINE)));
}
