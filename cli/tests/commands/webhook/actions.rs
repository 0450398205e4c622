use std::fs;

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::partner::{Call, Fault};
use serde_json::{Value, json};

use super::{
    stack::CREDENTIALS,
    world::{ADDRESS, FOREIGN, OURS, World},
};
use crate::program::{hooks, project, run};

const UP_TO_DATE: &str = "\
action      plan
outcome     up_to_date
registered  https://hooks.example.com/v1/webhook/***2b72
desired     https://hooks.example.com/v1/webhook/***2b72
verified    yes
";

const WOULD_UPDATE: &str = "\
action      plan
outcome     would_update
registered  https://other.example/in/***66aa
desired     https://hooks.example.com/v1/webhook/***2b72
verified    no
";

#[tokio::test]
async fn our_url_is_registered_and_the_exit_code_of_plan_shows_it() {
    let world = World::start("plan").await;
    let synced = world.webhook(&["sync"]).await;
    assert_eq!((synced.code, synced.stderr.as_str()), (0, ""));
    assert!(synced.stdout.contains("outcome     updated"), "{}", synced.stdout);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));

    let planned = world.webhook(&["plan"]).await;
    assert_eq!((planned.code, planned.stdout.as_str()), (0, UP_TO_DATE));

    world.partner.register(Some(FOREIGN));
    let planned = world.webhook(&["plan"]).await;
    assert_eq!((planned.code, planned.stdout.as_str()), (3, WOULD_UPDATE));
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN), "a plan changes nothing");

    let sync = hooks(&world.project, &["webhook", "sync", "--local"], &[("TZ", "Asia/Kolkata")]);
    let repaired = run(sync).await;
    assert_eq!(repaired.code, 0);
    let period = repaired.stdout.lines().find(|line| line.starts_with("not ours    20")).unwrap();
    assert_eq!(period.matches("+05:30").count(), 2, "{period}");
}

#[tokio::test]
async fn json_is_the_answer_of_the_function_on_one_line() {
    let world = World::start("json").await;
    let got = world.webhook(&["get", "--output", "json"]).await;
    assert_eq!((got.code, got.stdout.lines().count()), (3, 1));
    let desired = format!("{ADDRESS}/***2b72");
    let report = json!({
        "action": "get", "outcome": "reported", "desired": desired, "registered": null, "verified": false, "ours": false,
        "ours_seen": false,
    });
    assert_eq!(serde_json::from_str::<Value>(&got.stdout).unwrap(), report);
    let got = world.webhook(&["get"]).await;
    assert!(got.stdout.contains("registered  nothing\n"), "{}", got.stdout);
}

#[tokio::test]
async fn another_url_is_set_and_ours_again_when_none_is_given() {
    let world = World::start("set").await;
    let not_asked = world.webhook(&["set", FOREIGN]).await;
    let message = "error: Have the provider send all events to https://other.example/in/***66aa from now on? There is no \
                   terminal to ask on; give --yes to agree\n";
    assert_eq!((not_asked.code, not_asked.stderr.as_str()), (1, message));
    assert_eq!(world.partner.registered(), None);

    let set = world.webhook(&["set", FOREIGN, "--yes"]).await;
    assert_eq!((set.code, set.stderr.as_str()), (0, ""));
    let shown = "registered  https://other.example/in/***66aa\nrequested   https://other.example/in/***66aa\n";
    assert!(set.stdout.contains(shown), "{}", set.stdout);
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));

    let set = world.webhook(&["set", "--yes"]).await;
    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
}

#[tokio::test]
async fn a_url_of_somebody_else_is_named_and_has_its_own_exit_code() {
    let world = World::start("not-ours").await;
    assert_eq!(world.webhook(&["sync"]).await.code, 0);
    for command in ["get", "status"] {
        let ours = world.webhook(&[command]).await;
        assert!(ours.code == 0 && !ours.stdout.contains("NOT OURS"), "{ours:?}");
    }
    world.partner.register(Some(FOREIGN));
    let got = world.webhook(&["get"]).await;
    assert_eq!(got.code, 3, "{got:?}");
    let found = "NOT OURS: the provider sends all events to other.example.\n";
    assert!(got.stdout.starts_with(found), "no check has recorded a time: {}", got.stdout);
    for _ in 0..3 {
        assert_eq!(world.webhook(&["sync"]).await.code, 0);
        world.partner.register(Some(FOREIGN));
    }
    assert_eq!(world.webhook(&["sync"]).await.code, 1, "contested");
    for command in ["get", "status"] {
        let shown = world.webhook(&[command]).await;
        assert_eq!(shown.code, 3, "{shown:?}");
        let first = shown.stdout.lines().next().unwrap();
        assert!(first.starts_with("NOT OURS SINCE 20"), "{first}");
        assert!(first.ends_with("Z: the provider sends all events to other.example."), "{first}");
    }
}

#[tokio::test]
async fn the_first_registration_over_a_live_url_names_who_loses_the_events_and_asks() {
    let world = World::start("first").await;
    world.partner.register(Some(FOREIGN));
    for command in ["sync", "set", "rotate"] {
        let asked = world.webhook(&[command]).await;
        let message = "error: other.example currently receives the provider's events, and will stop receiving them. Register our URL in its \
                       place? There is no terminal to ask on; give --yes to agree\n";
        assert_eq!((asked.code, asked.stdout.as_str(), asked.stderr.as_str()), (1, "", message));
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    }
    assert_eq!(world.webhook(&["sync", "--yes"]).await.code, 0);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    world.partner.register(Some(FOREIGN));
    for command in ["set", "rotate"] {
        let asked = world.webhook(&[command]).await;
        assert!(
            asked.code == 1 && asked.stderr.starts_with("error: other.example currently receives "),
            "also later: {asked:?}"
        );
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    }
    assert_eq!(world.webhook(&["sync"]).await.code, 0, "ours was registered before");
    world.partner.register(Some(&format!("{ADDRESS}/Older-Token-0123456789")));
    assert_eq!(world.webhook(&["rotate"]).await.code, 0, "with an older token it is ours too");
    for (text, before, now) in [
        (
            "other.example/in/Foreign-Token",
            "other.example currently receives the provider's events, and ",
            "the provider sends all events to other.example",
        ),
        (
            "no url",
            "a text of 6 characters that is not a URL is currently registered at the provider. Register ",
            "a text of 6 characters that is not a URL is registered",
        ),
    ] {
        world.partner.register(Some(text));
        let asked = world.webhook(&["rotate"]).await;
        assert!(asked.code == 1 && asked.stderr.starts_with(&format!("error: {before}")), "{asked:?}");
        let got = world.webhook(&["get"]).await;
        assert!(got.code == 3 && got.stdout.contains(&format!(": {now}.\n")), "{got:?}");
    }
}

#[tokio::test]
async fn in_another_partner_account_the_first_sync_asks_again() {
    let world = World::start("account").await;
    assert_eq!(world.webhook(&["sync"]).await.code, 0);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let state = world.dynamodb.client().update_item().table_name(world.dynamodb.events_table());
    let state = state.key("pk", text("registration")).key("sk", text("state"));
    let state = state.update_expression("SET account = :other").expression_attribute_values(":other", text("other"));
    state.send().await.unwrap();
    world.partner.register(Some(FOREIGN));
    let asked = world.webhook(&["sync"]).await;
    assert!(asked.code == 1 && asked.stderr.starts_with("error: other.example currently receives "), "{asked:?}");
    assert_eq!(world.webhook(&["sync", "--yes"]).await.code, 0);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    world.partner.register(Some(FOREIGN));
    assert_eq!(world.webhook(&["sync"]).await.code, 0, "only the first time");
}

#[tokio::test]
async fn our_url_with_its_old_token_is_ours_while_a_rotation_is_unfinished() {
    let world = World::start("unfinished").await;
    assert_eq!(world.webhook(&["sync"]).await.code, 0);
    world.partner.next(Call::Set, Fault::SetIgnored);
    assert_eq!(world.webhook(&["rotate"]).await.code, 1);
    let got = world.webhook(&["get"]).await;
    assert!(got.code == 0 && got.stdout.starts_with("action "), "{got:?}");
    assert_eq!(world.webhook(&["plan"]).await.code, 3, "the next run sets our URL with its new token");
}

#[tokio::test]
async fn the_registered_url_is_shown_also_when_the_table_cannot_be_read() {
    let world = World::start("no-table").await;
    world.partner.register(Some(FOREIGN));
    let file = world.project.join("target/hooks/run.json");
    let mut run: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    run["events_table"] = "gone".into();
    fs::write(file, run.to_string()).unwrap();
    let got = world.webhook(&["get"]).await;
    assert_eq!((got.code, got.stderr.as_str()), (3, ""), "{got:?}");
    assert!(got.stdout.starts_with("NOT OURS: the provider sends all events to other.example.\naction "), "{got:?}");
}

#[tokio::test]
async fn a_stack_that_observes_is_not_synced_and_asks_nothing() {
    let world = World::observing("observing").await;
    world.partner.register(Some(FOREIGN));
    let note = "SyncMode is observe, so no run registers our URL. To register it: cargo hooks webhook set --stack hooks-observing\n";
    for action in ["plan", "sync"] {
        let ended = world.webhook_of_stack(&[action, "--stack", "hooks-observing"], &CREDENTIALS).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (3, note), "{action}: {}", ended.stdout);
        assert!(ended.stdout.contains("outcome     would_update\n"), "{}", ended.stdout);
    }
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn our_url_gets_a_new_token() {
    let world = World::start("rotate").await;
    assert_eq!(world.webhook(&["sync"]).await.code, 0);
    let rotated = world.webhook(&["rotate"]).await;
    let note = "The old token stays accepted for TokenOverlapHours (default: 24).\n";
    assert_eq!((rotated.code, rotated.stderr.as_str()), (0, note));
    let registered = world.partner.registered().unwrap();
    assert!(registered.starts_with(ADDRESS) && registered != OURS);
}

#[tokio::test]
async fn a_failure_is_reported_by_its_type_on_standard_error() {
    let world = World::start("errors").await;
    let bad = world.webhook(&["set", "http://other.example/Foreign-Token-9876543210"]).await;
    assert_eq!((bad.code, bad.stdout.as_str()), (1, ""));
    let message = "error: \"url\" cannot be registered: not https (http is only allowed to a loopback address)\n";
    assert_eq!(bad.stderr, message);

    world.partner.next(Call::Set, Fault::SetIgnored);
    let ignored = world.webhook(&["sync"]).await;
    assert_eq!(ignored.code, 1);
    assert!(ignored.stdout.contains("verified    no\n"), "{}", ignored.stdout);
    let message = "error: the provider accepted the URL but shows another one as registered\n";
    assert_eq!(ignored.stderr, message);

    world.secrets.put("partner", &json!({ "client_id": "wrong", "client_secret": "wrong" }).to_string());
    let asked_and_remembered = [
        (["plan", "--output", "table"], "error: WrongCredentials: the provider refuses"),
        (["sync", "--output", "json"], "error: WrongCredentials: the provider refused the partner's credentials at 20"),
    ];
    for (arguments, message) in asked_and_remembered {
        let failed = world.webhook(&arguments).await;
        assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
        assert!(failed.stderr.starts_with(message), "{}", failed.stderr);
    }
}

#[tokio::test]
async fn without_a_local_run_and_without_a_stack_there_is_nothing_to_do() {
    let project = project("nothing-up");
    for action in ["get", "status"] {
        let ended = run(hooks(&project, &["webhook", action], &[])).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        let message =
            "error: no local run is up; start one with `cargo hooks dev` in another terminal, or give --stack\n";
        assert_eq!(ended.stderr, message);
    }
}

#[tokio::test]
async fn a_local_run_that_was_killed_is_not_up_although_its_process_id_is_in_use_again() {
    let world = World::start("killed").await;
    world.is_killed();
    let pid = std::process::id();
    let ended = world.webhook(&["status"]).await;
    let message = format!(
        "error: the local run that was up (process {pid}) was killed; start one with `cargo hooks dev` in another terminal, or give --stack\n"
    );
    assert_eq!((ended.code, ended.stderr), (1, message));
}

#[tokio::test]
async fn a_command_line_that_cannot_be_read_is_refused() {
    let project = project("usage");
    for arguments in [
        &["delete"][..],
        &["plan", "--region", "eu-west-1"],
        &["plan", "--profile", "other"],
        &["get", "--output", "yaml"],
        &["status", "--since", "tomorrow"],
        &["status", "--limit", "-1"],
        &["get", FOREIGN],
    ] {
        let ended = run(hooks(&project, &[&["webhook"], arguments].concat(), &[])).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}");
    }
}
