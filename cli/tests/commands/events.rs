use std::{
    process::Stdio,
    time::{Duration, SystemTime},
};

use emulators::faults::Faults;
use fixtures::{LINE, update};
use serde_json::{Value, json};
use shared::{EventId, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::Command,
    time::timeout,
};

use crate::{
    program::{hooks, run},
    watched::Watched,
    world::{World, objects},
};

const HEADER: &str = "│ received ┆ kind ┆ entity ┆ id ┆ duplicate of ┆ reference ┆ update │";

#[tokio::test]
async fn events_are_listed_the_last_one_first() {
    let world = World::start("list").await;
    world.fill().await;
    let listed = world.hooks(&["events"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let day = format!("quarantine#{}", world.ago(20).day());
    let expected = [
        HEADER,
        &format!("│ -20 ┆ quarantine ┆ {day} ┆ #20 ┆ ┆ ┆ │"),
        "│ -30 ┆ builder ┆ builder#523 ┆ #30 ┆ ┆ ┆ 3 │",
        "│ -40 ┆ whatsapp ┆ whatsapp#972501234567 ┆ #40 ┆ ┆ client-7 ┆ 2 │",
        "│ -45 ┆ whatsapp ┆ whatsapp#972501234567 ┆ #45 ┆ #50 ┆ client-7 ┆ 1 │",
        "│ -50 ┆ whatsapp ┆ whatsapp#972501234567 ┆ #50 ┆ ┆ client-7 ┆ 1 │",
    ];
    assert_eq!(world.lines(&listed.stdout), expected);
}

#[tokio::test]
async fn events_are_selected_by_entity_and_time() {
    let world = World::start("choose").await;
    world.fill().await;
    let day = format!("quarantine#{}", world.ago(20).day());
    let (since, until) = (world.ago(45).to_string(), world.ago(30).to_string());
    for (arguments, expected) in [
        (&["--entity", LINE][..], &[40, 45, 50][..]),
        (&["--entity", LINE, "--since", "4d"], &[40, 45, 50, 4_320]),
        (&["--entity", &day], &[20]),
        (&["--reference", "client-7"], &[40, 45, 50]),
        (&["--kind", "builder"], &[30]),
        (&["--kind", "quarantine"], &[20]),
        (&["--kind", "package"], &[]),
        (&["--duplicates"], &[45]),
        (&["--duplicates", "--entity", LINE], &[45]),
        (&["--duplicates", "--kind", "builder"], &[]),
        (&["--entity", LINE, "--kind", "whatsapp", "--reference", "client-7"], &[40, 45, 50]),
        (&["--entity", "builder#523", "--reference", "client-7"], &[]),
        (&["--text", "Extra_Info\":2"], &[40]),
        (&["--text", "builder", "--kind", " Builder "], &[30]),
        (&["--text", "whatsapp#9725…4567"], &[40, 45, 50]),
        (&["--since", "42m30s"], &[20, 30, 40]),
        (&["--since", "43m"], &[20, 30, 40]),
        (&["--since", "7d", "--until", "46m"], &[50, 4_320]),
        (&["--since", &since, "--until", &until], &[40, 45]),
        (&["--limit", "2"], &[20, 30]),
        (&["--limit", "2", "--kind", "whatsapp"], &[40, 45]),
        (&["--limit", "0"], &[]),
    ] {
        let listed = world.hooks(&[&["events", "--output", "json"], arguments].concat()).await;
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{arguments:?}");
        let expected: Vec<Value> = expected.iter().map(|minutes| world.id(*minutes).to_string().into()).collect();
        let ids: Vec<Value> = objects(&listed.stdout).iter().map(|event| event["id"].clone()).collect();
        assert_eq!(ids, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_table_says_when_there_is_more_or_nothing() {
    let world = World::start("limit").await;
    world.fill().await;
    let listed = world.hooks(&["events", "--limit", "2"]).await.stdout;
    let last = listed.lines().last().unwrap();
    assert!(last.starts_with("The last 2 since 20") && last.ends_with("; --limit shows more."), "{listed}");
    let none = world.hooks(&["events", "--limit", "0"]).await.stdout;
    assert_eq!(none, "--limit 0 shows none of them.\n");
    let exactly = world.hooks(&["events", "--limit", "5"]).await.stdout;
    assert!(!exactly.contains("--limit"), "{exactly}");
    let (since, until) = (world.ago(43), world.ago(41));
    let nothing = world.hooks(&["events", "--since", &since.to_string(), "--until", &until.to_string()]).await;
    let second = |time: Timestamp| format!("{}Z", &time.to_string()[..19]);
    let message = format!("No such events since {} and before {}.\n", second(since), second(until));
    assert_eq!((nothing.code, nothing.stdout), (0, message));
}

#[tokio::test]
async fn more_than_a_page_is_read_page_by_page() {
    let world = World::start("pages").await;
    let start = world.ago(60);
    let mut ids = Vec::new();
    for n in 0..450_u64 {
        let at = start.plus(Duration::from_millis(n));
        let id = EventId::new(at, n.to_be_bytes());
        let kind = if n.is_multiple_of(2) { "even" } else { "odd" };
        world.record_at(at, id, &json!({ "event": kind, "n": n }).to_string()).await;
        ids.push(id.to_string());
    }
    ids.reverse();
    let listed = async |arguments: &[&str]| {
        let listed = world.hooks(&[&["events", "--output", "json"], arguments].concat()).await;
        objects(&listed.stdout).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--limit", "1000"]).await, ids);
    assert_eq!(listed(&["--limit", "431"]).await, ids[..431]);
    let odd: Vec<String> = ids.iter().step_by(2).cloned().collect();
    assert_eq!(listed(&["--kind", "odd", "--limit", "1000"]).await, odd);
    assert_eq!(listed(&["--entity", "odd#-", "--limit", "220"]).await, odd[..220]);
}

#[tokio::test]
async fn later_pages_are_not_read() {
    let world = World::start("to-come").await;
    world.fill().await;
    let faults = Faults::before(&world.dynamodb_url()).await.unwrap();
    world.reach_dynamodb_by(&faults.url());
    let listed = world.hooks(&["events", "--until", "2099-01-01T00:00:00Z", "--output", "json"]).await;
    assert_eq!((listed.code, objects(&listed.stdout).len()), (0, 5));
    let queries = faults.take_seen().len();
    assert!(queries <= 32, "those of two months at most, a page each and one to see that there are no more: {queries}");
}

#[tokio::test]
async fn a_start_long_ago_costs_no_queries_from_before_the_first_version() {
    let world = World::start("long-ago").await;
    world.fill().await;
    let faults = Faults::before(&world.dynamodb_url()).await.unwrap();
    world.reach_dynamodb_by(&faults.url());
    let listed = world.hooks(&["events", "--since", "1970-01-01", "--output", "json", "--limit", "100"]).await;
    assert_eq!((listed.code, objects(&listed.stdout).len()), (0, 6));
    let today = world.ago(0).to_string();
    let (year, month): (usize, usize) = (today[..4].parse().unwrap(), today[5..7].parse().unwrap());
    let queries = faults.take_seen().len();
    assert!(queries <= 8 * ((year - 2026) * 12 + month + 2), "eight partitions of each month since 2026: {queries}");
}

#[tokio::test]
async fn events_of_doctor_are_listed_and_exported_only_when_they_are_asked_for() {
    let world = World::start("doctors").await;
    world.record(10, &update(1)).await;
    world.record(5, r#"{"event":"doctor","random":"00"}"#).await;
    for (arguments, minutes) in [
        (&["events"][..], &[10][..]),
        (&["events", "--kind", "doctor"], &[5]),
        (&["events", "--entity", "doctor#-"], &[5]),
        (&["export"], &[10]),
        (&["export", "--kind", "doctor"], &[5]),
        (&["export", "--entity", "doctor#-"], &[5]),
    ] {
        let json = ["--output", "json"];
        let listed = world.hooks(&[arguments, if arguments[0] == "export" { &[] } else { &json }].concat()).await;
        let ids: Vec<Value> = objects(&listed.stdout).iter().map(|event| event["id"].clone()).collect();
        let expected: Vec<Value> = minutes.iter().map(|minutes| world.id(*minutes).to_string().into()).collect();
        assert_eq!(ids, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn times_are_shown_and_read_in_the_time_zone_of_this_machine() {
    let world = World::start("local").await;
    let at: Timestamp = "2026-10-20T09:30:00.000000Z".parse().unwrap();
    world.record_at(at, EventId::new(at, [1; 8]), &update(1)).await;
    let listed = async |since: &str| {
        let arguments = ["events", "--local", "--since", since, "--until", "2026-10-20 12:31"];
        run(hooks(&world.project, &arguments, &[("TZ", "Asia/Jerusalem")])).await.stdout
    };
    let shown = listed("2026-10-20 12:30").await;
    assert!(shown.contains("│ 2026-10-20T12:30:00+03:00 ┆"), "{shown}");
    let later = listed("2026-10-20 12:30:01").await;
    assert!(later.starts_with("No such events since 2026-10-20T12:30:01+03:00 and before"), "{later}");
}

#[tokio::test]
async fn json_has_everything_about_an_event() {
    let world = World::start("json").await;
    world.fill().await;
    let listed = world.hooks(&["events", "--output", "json"]).await;
    let events = objects(&listed.stdout);
    assert_eq!(events.len(), 5);
    let mut duplicate = events[3].clone();
    assert_eq!(duplicate["fingerprint"].as_str().map(str::len), Some(64));
    duplicate["fingerprint"] = Value::Null;
    let expected = json!({
        "id": world.id(45).to_string(), "received_at": world.ago(45).to_string(), "kind": "whatsapp", "entity": LINE,
        "reference": "client-7", "extra_info": 1, "duplicate_of": world.id(50).to_string(),
        "source_ip": "34.165.99.212", "request_id": "request-1", "fingerprint": null,
        "body": {
            "status": "OK", "event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": "client-7",
            "whatsapp_extra_info": 1, "whatsapp_apiKey": "[sealed]",
        },
        "cause": null, "body_bytes": null,
    });
    assert_eq!(duplicate, expected);
    assert!(listed.stdout.contains(r#""new":{"a":1e2}}"#), "a body is as it came: {}", listed.stdout);
    assert_eq!((&events[0]["body"], &events[0]["body_bytes"]), (&Value::Null, &json!(20)));

    let shown = world.hooks(&["show", &world.id(45).to_string(), "--output", "json"]).await;
    assert_eq!((shown.code, objects(&shown.stdout)), (0, vec![events[3].clone()]));
}

#[tokio::test]
async fn one_event_is_shown_with_its_body() {
    let world = World::start("show").await;
    world.fill().await;
    let shown = world.hooks(&["show", &world.id(45).to_string()]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let mut lines = world.lines(&shown.stdout);
    let fingerprint = lines.iter().position(|line| line.starts_with("fingerprint ")).unwrap();
    lines.remove(fingerprint);
    let expected = [
        "id #45",
        "received -45 (45 min ago)",
        "kind whatsapp",
        "entity whatsapp#972501234567",
        "reference client-7",
        "update 1",
        "duplicate of #50",
        "source ip 34.165.99.212",
        "request id request-1",
        "",
        "{",
        "\"event\": \"whatsapp\",",
        "\"status\": \"OK\",",
        "\"whatsapp\": \"972501234567\",",
        "\"whatsapp_apiKey\": \"[sealed]\",",
        "\"whatsapp_extra_info\": 1,",
        "\"whatsapp_reference\": \"client-7\"",
        "}",
    ];
    assert_eq!(lines, expected);

    let quarantined = world.hooks(&["show", &world.id(20).to_string()]).await.stdout;
    let lines = world.lines(&quarantined);
    assert_eq!(lines[lines.len() - 2..], ["cause the body is not JSON", "body 20 bytes, in the sealed table"]);
}

#[tokio::test]
async fn an_unknown_id_or_entity_is_an_error() {
    let world = World::start("not-there").await;
    world.fill().await;
    let id = EventId::new(world.ago(10), [7; 8]).to_string();
    let message = format!("error: there is no event {id}; if it came just now, try again\n");
    let nothing = world.hooks(&["show", &id]).await;
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr), (1, "", message));

    let nobody = world.hooks(&["events", "--entity", "whatsapp#1"]).await;
    let message = "error: there is no entity whatsapp#1: no event has named it\n";
    assert_eq!((nobody.code, nobody.stdout.as_str(), nobody.stderr.as_str()), (1, "", message));
    let quiet = world.hooks(&["events", "--entity", LINE, "--since", "10m"]).await;
    assert_eq!(quiet.code, 0, "{quiet:?}");
    assert!(quiet.stdout.starts_with("No such events since 20"), "{quiet:?}");
    let quiet = world.hooks(&["events", "--reference", "client-7", "--since", "10m"]).await;
    assert!(quiet.code == 0 && quiet.stdout.starts_with("No such events since 20"), "{quiet:?}");
    for command in ["events", "stats", "export"] {
        let nobody = world.hooks(&[command, "--reference", "client-8"]).await;
        assert_eq!((nobody.code, nobody.stdout.as_str()), (1, ""), "{command}");
        let message = "error: there is no reference client-8: no event has it; did you mean client-7?\n";
        assert_eq!(nobody.stderr, message, "{command}");
    }
}

#[tokio::test]
async fn a_start_in_the_future_and_a_negative_limit_are_named_as_such() {
    let world = World::start("future").await;
    for (arguments, message) in [
        (
            ["--since", "2099-01-02"],
            "error: --since 2099-01-02T00:00:00Z is in the future; times without a zone are in UTC, or ",
        ),
        (
            ["--limit", "-1"],
            "error: invalid value '-1' for '--limit <NUMBER>': expected a whole number that is not negative",
        ),
    ] {
        for command in [&["events"][..], &["webhook", "status"], &["forward", "status"], &["quarantine", "list"]] {
            let ended = world.hooks(&[command, &arguments].concat()).await;
            assert!(ended.code == 2 && ended.stderr.starts_with(message), "{command:?}: {ended:?}");
        }
    }
    world.record(10, &update(1)).await;
    let line = world.hooks(&["line", "972501234567", "--since", "2099-01-02"]).await;
    assert!(line.code == 2 && line.stderr.contains(" is in the future; "), "{line:?}");
}

#[tokio::test]
async fn a_command_line_that_cannot_be_read_is_refused() {
    let world = World::start("usage").await;
    for arguments in [
        &["events", "--entity", ""][..],
        &["events", "--since", "tomorrow"],
        &["events", "--since", "1h", "--until", "2h"],
        &["events", "--follow", "--until", "1h"],
        &["events", "--region", "eu-west-1"],
        &["show"],
        &["show", "42"],
        &["state"],
        &["states"],
        &["states", "--kind", "whatsapp", "--status", "soon"],
    ] {
        let ended = world.hooks(arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?} {ended:?}");
    }
}

/// Waits for the next line. Its arrival is tested, not its speed.
async fn next(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    timeout(Duration::from_secs(60), lines.next_line()).await.expect("a line in time").unwrap().expect("a line")
}

#[tokio::test]
async fn new_events_are_shown_until_ctrl_c() {
    let world = World::start("follow").await;
    world.fill().await;
    let mut hooks = world.start_hooks(&["events", "--follow", "--limit", "2", "--kind", "whatsapp"]);
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    let there = [next(&mut lines).await, next(&mut lines).await];
    let expected = [
        format!("-45 {LINE} #45 duplicate of …#50 reference client-7 update 1"),
        format!("-40 {LINE} #40 reference client-7 update 2"),
    ];
    assert_eq!(world.lines(&there.join("\n")), expected);

    let now = Timestamp::from(SystemTime::now());
    let record = async |at: Timestamp, extra_info: u8| {
        let id = EventId::new(at, [extra_info; 8]);
        world.record_at(at, id, &update(extra_info)).await;
        id.to_string()
    };
    world.record_at(now, EventId::new(now, [9; 8]), r#"{"event":"builder","builderID":1}"#).await;
    let first = record(now, 3).await;
    let shown = next(&mut lines).await;
    assert!(shown.contains(&first) && shown.ends_with("  reference client-7  update 3"), "{shown}");
    // Received before the one that is already shown, and written after it.
    let late = record(now.minus(Duration::from_secs(4)), 4).await;
    let shown = next(&mut lines).await;
    assert!(shown.contains(&late), "{shown}");

    let process = hooks.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None, "each was shown once");
    assert_eq!(hooks.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn an_event_that_is_dated_ahead_hides_none_that_comes_after_it() {
    let world = World::start("follow-ahead").await;
    let record = async |at: Timestamp, extra_info: u8| {
        let id = EventId::new(at, [extra_info; 8]);
        world.record_at(at, id, &update(extra_info)).await;
        id.to_string()
    };
    let now = || Timestamp::from(SystemTime::now());
    record(now().minus(Duration::from_secs(20)), 1).await;
    let there = record(now().plus(Duration::from_secs(40)), 2).await;
    let mut hooks = world.start_hooks(&["events", "--follow", "--limit", "1"]);
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    assert!(next(&mut lines).await.contains(&there));
    // It comes after the command began, whose clock is this one's.
    for extra_info in [3, 4] {
        let id = record(now(), extra_info).await;
        let shown = next(&mut lines).await;
        assert!(shown.contains(&id), "{shown}");
    }
}

#[tokio::test]
async fn new_events_are_shown_after_a_time_without_the_table() {
    let world = World::start("follow-outage").await;
    world.record(10, &update(1)).await;
    let table = Faults::before(&world.dynamodb_url()).await.unwrap();
    world.reach_dynamodb_by(&table.url());
    let follow = ["events", "--follow", "--limit", "1"];
    let mut hooks = hooks(&world.project, &follow, &[]);
    let mut hooks = hooks.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(hooks.stderr.take().unwrap()).lines();
    next(&mut lines).await;
    table.refuse();
    let note = next(&mut notes).await;
    let expected = "New events cannot be read, trying again every second: DynamoDB: no connection: ";
    assert!(note.starts_with(expected), "{note}");
    let fix = next(&mut notes).await;
    assert!(fix.starts_with("fix: cargo hooks dev"), "{fix}");
    let now = Timestamp::from(SystemTime::now());
    let id = EventId::new(now, [2; 8]);
    world.record_at(now, id, &update(2)).await;
    table.recover().unwrap();
    assert_eq!(next(&mut notes).await, "New events can be read again.");
    assert!(next(&mut lines).await.contains(&id.to_string()));
}

#[tokio::test]
async fn new_events_of_another_local_run_are_shown_after_the_first_one_has_ended() {
    let (world, next_run) = (World::start("follow-run").await, World::start("follow-next-run").await);
    world.record(10, &update(1)).await;
    let table = Faults::before(&world.dynamodb_url()).await.unwrap();
    world.reach_dynamodb_by(&table.url());
    let mut hooks = hooks(&world.project, &["events", "--follow", "--limit", "1"], &[]);
    let mut hooks = hooks.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(hooks.stderr.take().unwrap()).lines();
    next(&mut lines).await;
    std::fs::remove_file(world.project.join("target/hooks/run.json")).unwrap();
    table.refuse();
    let expected = "New events cannot be read, trying again every second: no local run is up; start one with `cargo hooks dev` in \
                    another terminal, or give --stack";
    assert_eq!(next(&mut notes).await, expected);
    let now = Timestamp::from(SystemTime::now());
    let id = EventId::new(now, [2; 8]);
    next_run.record_at(now, id, &update(2)).await;
    next_run.run_in(&world.project);
    assert_eq!(next(&mut notes).await, "New events can be read again.");
    assert!(next(&mut lines).await.contains(&id.to_string()));
}

#[tokio::test]
async fn an_event_without_a_kind_says_what_is_missing() {
    let world = World::start("unnamed").await;
    world.record(10, r#"{"evnt":"whatsapp"}"#).await;
    let shown = world.hooks(&["show", &world.id(10).to_string()]).await.stdout;
    assert!(shown.contains("It names no kind: the member \"event\" is missing, or is not a usable name.\n"), "{shown}");
}

#[tokio::test]
async fn a_mistyped_sample_is_pointed_out() {
    let world = World::start("mistyped-sample").await;
    let samples = world.project.join("events/bodies");
    std::fs::create_dir_all(&samples).unwrap();
    std::fs::write(samples.join("whatsapp.json"), "{}").unwrap();
    let sent = world.hooks(&["send", "whatsap"]).await;
    let message = "error: whatsap is neither a file nor one of the samples: whatsapp; did you mean whatsapp?\n";
    assert_eq!((sent.code, sent.stderr.as_str()), (1, message));
}

#[tokio::test]
async fn a_mistyped_kind_is_pointed_out() {
    let world = World::start("mistyped").await;
    world.fill().await;
    for command in ["events", "stats"] {
        let mistyped = world.hooks(&[command, "--kind", "whatsap"]).await;
        let note = "whatsap is not a known kind; did you mean whatsapp?\n";
        assert_eq!((mistyped.code, mistyped.stderr.as_str()), (0, note), "{command}");
        let other = world.hooks(&[command, "--kind", "package"]).await;
        assert_eq!((other.code, other.stderr.as_str()), (0, ""), "{command}");
    }
}

#[tokio::test]
async fn a_closed_output_ends_a_command_without_a_panic() {
    let world = World::start("closed-pipe").await;
    world.fill().await;
    std::fs::write(world.project.join("event.json"), "{}").unwrap();
    for arguments in [
        &["events"][..],
        &["export", "--since", "7d"],
        &["show", "42"],
        &["send", "event.json", "--url", "http://127.0.0.1:9/in"],
        &["doctor"],
        &["quarantine", "retry", "--since", "1d"],
    ] {
        let (reading, writing) = std::io::pipe().unwrap();
        drop(reading);
        let mut command = hooks(&world.project, arguments, &[]);
        command.stdout(writing.try_clone().unwrap()).stderr(writing);
        let status = command.status().await.unwrap();
        assert!(status.code().is_some_and(|code| code != 101), "{arguments:?}: {status}");
    }
}

#[tokio::test]
async fn old_events_are_read_once() {
    let world = World::start("follow-quiet").await;
    let past = world.ago(40 * 24 * 60);
    world.record_at(past, EventId::new(past, [1; 8]), &update(1)).await;
    let (url, table) = Watched::start(world.dynamodb_url()).await;
    world.reach_dynamodb_by(&url);
    let mut hooks = world.start_hooks(&["events", "--follow", "--since", "50d"]);
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    next(&mut lines).await;
    let month = past.to_string()[..7].to_owned();
    let about_it = |bodies: Vec<String>| bodies.iter().filter(|body| body.contains(&format!("{month}#"))).count();
    assert!(about_it(table.bodies()) > 0);
    let now = Timestamp::from(SystemTime::now());
    world.record_at(now, EventId::new(now, [2; 8]), &update(2)).await;
    next(&mut lines).await;
    assert_eq!(about_it(table.bodies()), 0);
}

#[tokio::test]
async fn only_new_events_are_shown_as_json() {
    let world = World::start("follow-json").await;
    world.fill().await;
    let mut hooks = world.start_hooks(&["events", "--follow", "--limit", "0", "--output", "json"]);
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    // Deliveries received after the command's start are shown, however long it takes to start.
    let later = Timestamp::from(SystemTime::now()).plus(Duration::from_secs(30));
    let id = EventId::new(later, [1; 8]);
    world.record_at(later, id, &update(5)).await;
    let shown: Value = serde_json::from_str(&next(&mut lines).await).unwrap();
    assert_eq!((&shown["id"], &shown["extra_info"]), (&json!(id.to_string()), &json!(5)));
}

#[tokio::test]
async fn following_ends_when_its_reader_does_although_no_event_comes() {
    let world = World::start("follow-closed").await;
    world.record(10, &update(1)).await;
    let mut hooks = world.start_hooks(&["events", "--follow"]);
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    next(&mut lines).await;
    drop(lines);
    let ended = timeout(Duration::from_secs(60), hooks.wait()).await.expect("it ends");
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_time_zone_that_this_machine_does_not_have_is_an_error() {
    let world = World::start("no-zone").await;
    let listed = run(hooks(&world.project, &["events", "--local"], &[("TZ", "Nowhere/Bad")])).await;
    let message =
        "error: TZ=Nowhere/Bad is not a time zone of this machine, and --local needs one\nfix: export TZ=<zone>, ";
    assert!(listed.code == 1 && listed.stdout.is_empty() && listed.stderr.starts_with(message), "{listed:?}");
    assert_eq!(run(hooks(&world.project, &["events"], &[("TZ", "Nowhere/Bad")])).await.code, 0);
}
