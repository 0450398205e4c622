mod world;

use std::fs;

use emulators::{
    partner::{Call, Fault},
    sqs::Name,
};
use serde_json::{Value, json};
use shared::Entity;

use self::world::World;

/// Returns each check with its verdict.
fn verdicts(lines: &[Value]) -> Vec<(&str, &str)> {
    lines.iter().map(|line| (line["check"].as_str().unwrap(), line["verdict"].as_str().unwrap())).collect()
}

fn line<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    lines.iter().find(|line| line["check"] == check).unwrap()
}

#[tokio::test]
async fn a_local_run_that_works_is_all_ok() {
    let world = World::start("doctor-local").await;
    let (ended, lines) = world.doctor(&[]).await;
    let checks = [
        "checkout",
        "cargo",
        "cargo-lambda",
        "SAM CLI",
        "AWS CLI",
        "local run",
        "tables",
        "functions",
        "fallback queue",
        "dead-letter queue",
        "handing on",
        "registration",
        "arrival",
    ];
    let verdict = |check| if check == "handing on" { "skip" } else { "ok" };
    assert_eq!(verdicts(&lines), checks.map(|check| (check, verdict(check))), "{ended:?}");
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(line(&lines, "cargo")["detail"], "cargo 1.0.0");
    assert_eq!(line(&lines, "functions")["detail"], "receiver, redrive answer");

    let events = world.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind.as_str(), &events[0].entity), ("doctor", &Entity::named("doctor#-")));
    assert!(line(&lines, "arrival")["detail"].as_str().unwrap().contains(&events[0].id.to_string()));
    world.doctor(&[]).await;
    let events = world.events().await;
    assert_eq!((events.len(), events[1].duplicate_of), (2, None), "it is no duplicate of the first");

    let shown = world.hooks(&["doctor"]).await;
    assert_eq!(shown.code, 0);
    assert!(shown.stdout.contains("\nok    cargo              cargo 1.0.0\n"), "{}", shown.stdout);
    assert_eq!(shown.stdout.lines().count(), checks.len(), "{}", shown.stdout);
}

#[tokio::test]
async fn a_missing_part_is_named_with_its_fix() {
    let world = World::start("doctor-missing").await;
    fs::remove_file(world.project().join("target/hooks/run.json")).unwrap();
    for tool in ["cargo-lambda", "sam"] {
        world.remove_tool(tool);
    }
    world.tool("aws", "aws-cli/1.45.11");
    let (ended, lines) = world.doctor(&[]).await;
    assert_eq!(ended.code, 0, "without them most can be done");
    for (check, fix) in
        [("cargo-lambda", "cargo hooks tools"), ("SAM CLI", "cargo hooks tools"), ("local run", "cargo hooks dev")]
    {
        let line = line(&lines, check);
        assert_eq!((&line["verdict"], &line["mend"]), (&json!("warn"), &json!(fix)));
    }
    assert_eq!(line(&lines, "AWS CLI")["detail"], "aws-cli/1.45.11; deploying needs version 2");
    assert!(verdicts(&lines[6..]).iter().all(|(_, verdict)| *verdict == "skip"), "{lines:?}");

    let fetched = world.project().join(".tools/deploy/bin");
    fs::create_dir_all(&fetched).unwrap();
    for tool in ["cargo-lambda", "sam"] {
        world.tool(tool, "1.2.3");
        fs::rename(world.tools().join(tool), fetched.join(tool)).unwrap();
    }
    let (_, lines) = world.doctor(&[]).await;
    assert_eq!(line(&lines, "cargo-lambda")["verdict"], "ok");
    assert_eq!(line(&lines, "SAM CLI")["detail"], "1.2.3, as .tools/deploy/bin/sam");

    world.remove_tool("cargo");
    let shown = world.hooks(&["doctor"]).await;
    assert_eq!(shown.code, 1);
    let said = "\nfail  cargo              not found; it builds the functions\n                         fix: curl ";
    assert!(shown.stdout.contains(said), "{}", shown.stdout);
    assert!(shown.stdout.contains("\nskip  arrival            no local run is up\n"), "{}", shown.stdout);
}

#[tokio::test]
async fn each_part_that_does_not_work_fails() {
    let world = World::start("doctor-faults").await;
    let failed = async |check: &str, fix: &str, detail: &str| {
        let (ended, lines) = world.doctor(&[]).await;
        let line = line(&lines, check).clone();
        assert_eq!((ended.code, &line["verdict"], &line["mend"]), (1, &json!("fail"), &json!(fix)), "{line}");
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
        lines
    };
    world.of_run("webhook", |webhook| webhook.replace("Webhook-Token", "Another-Token"));
    failed("arrival", "tail target/hooks/functions.log, to see the cause", "the receiver answered 403").await;
    world.webhook.partner.register(Some("https://other.example/in/Foreign-Token-9876543210"));
    let detail = "https://other.example/in/***66aa is registered, which is not ours";
    failed("registration", "cargo hooks webhook sync", detail).await;
    world.webhook.secrets.put("partner", "{}");
    failed("registration", "cargo hooks webhook status", "SecretUnusable: the secret partner").await;

    world.of_run("sealed_table", |_| "gone".to_owned());
    let lines = failed("tables", "cargo hooks dev", "the table gone: ResourceNotFoundException").await;
    assert_eq!(verdicts(&lines[11..]), [("registration", "skip"), ("arrival", "skip")]);
    world.of_run("functions", |_| "127.0.0.1:1".to_owned());
    failed("functions", "cargo hooks dev", "the function receiver does not answer").await;
    let sqs = world.webhook.sqs.url();
    world.of_run("functions", |_| sqs.trim_start_matches("http://").to_owned());
    failed("functions", "cargo hooks dev", "the function receiver: not JSON").await;
}

#[tokio::test]
async fn our_url_is_ours_while_a_rotation_is_unfinished_and_after_an_action_of_a_person_has_failed() {
    let world = World::start("doctor-ours").await;
    let ours = "https://hooks.example.com/v1/webhook/***2b72";
    let finding = async |arguments: &[&str]| line(&world.doctor(arguments).await.1, "registration").clone();
    world.webhook.partner.next(Call::Set, Fault::Reason(13));
    assert_eq!(world.webhook.webhook(&["set", "https://typo.example/x", "--yes"]).await.code, 1);
    let found = finding(&[]).await;
    assert_eq!((&found["verdict"], &found["mend"]), (&json!("ok"), &Value::Null), "{found}");
    world.webhook.partner.next(Call::Set, Fault::SetIgnored);
    assert_eq!(world.webhook.webhook(&["rotate"]).await.code, 1);
    let found = finding(&[]).await;
    assert_eq!(found["verdict"], "ok", "{found}");
    let detail = format!("ours ({ours}), a change of its token is due, last checked ");
    assert!(found["detail"].as_str().unwrap().starts_with(&detail), "{found}");

    world.webhook.partner.register(Some("https://other.example/in"));
    for (stack, fix) in [("hooks", "sync"), ("hooks-observing", "set")] {
        let found = finding(&["--stack", stack]).await;
        assert_eq!(found["mend"], format!("cargo hooks webhook {fix} --stack {stack}"), "{found}");
    }
}

#[tokio::test]
async fn messages_in_a_queue_are_a_warning() {
    let world = World::start("doctor-queues").await;
    world.webhook.sqs.send("one");
    let sqs = emulators::sqs::client(&world.webhook.sqs.url());
    for message in ["two", "three"] {
        let dead_letters = world.webhook.sqs.dead_letter_queue_url();
        sqs.send_message().queue_url(dead_letters).message_body(message).send().await.unwrap();
    }
    let (ended, lines) = world.doctor(&["--stack", "hooks"]).await;
    assert_eq!(ended.code, 0);
    let (fallback, dead) = (line(&lines, "fallback queue"), line(&lines, "dead-letter queue"));
    assert_eq!((&fallback["verdict"], &fallback["detail"]), (&json!("warn"), &json!("about 1 message to be recorded")));
    assert_eq!((&dead["verdict"], &dead["mend"]), (&json!("warn"), &json!("cargo hooks dlq list --stack hooks")));
    assert_eq!(dead["detail"], "about 2 messages that could not be recorded");
}

#[tokio::test]
async fn a_stack_that_works_is_all_ok_and_gets_an_event_only_when_asked_to() {
    let world = World::start("doctor-stack").await;
    let (ended, lines) = world.doctor(&["--stack", "hooks"]).await;
    let checks = ["region", "credentials", "stack", "tables", "functions", "fallback queue", "dead-letter queue"];
    let mut expected = checks.map(|check| (check, "ok")).to_vec();
    expected.extend([("handing on", "skip"), ("registration", "ok"), ("arrival", "skip")]);
    assert_eq!((ended.code, verdicts(&lines)), (0, expected), "{lines:?}");
    assert_eq!(line(&lines, "region")["detail"], "eu-west-1");
    assert_eq!(world.events().await, []);

    let (ended, lines) = world.doctor(&["--stack", "hooks", "--send"]).await;
    assert_eq!((ended.code, &line(&lines, "arrival")["verdict"]), (0, &json!("ok")), "{lines:?}");
    let events = world.events().await;
    assert_eq!((events.len(), events[0].kind.as_str(), events[0].source_ip.as_str()), (1, "doctor", "34.165.99.212"));
}

#[tokio::test]
async fn the_faults_of_a_stack_are_told_apart() {
    let world = World::start("doctor-stack-faults").await;
    for (stack, check, verdict, detail) in [
        ("expired", "credentials", "fail", "the credentials have expired (ExpiredToken)"),
        ("forbidden", "stack", "fail", "stack forbidden: AccessDenied: not yours"),
        ("other", "stack", "fail", "there is no stack other in eu-west-1"),
        ("hooks-rolled-back", "stack", "fail", "ROLLBACK_COMPLETE"),
        ("hooks-undone", "stack", "warn", "UPDATE_ROLLBACK_COMPLETE: the last deployment failed and was rolled back"),
        ("hooks-pending", "functions", "fail", "the function redrive-pending: is Pending"),
        ("hooks-stuck", "functions", "fail", "the function receiver-stuck:live: its last update is Failed"),
        ("hooks-failed", "functions", "fail", "the function redrive-failed: its last update is Failed"),
        ("hooks-uncalled", "functions", "fail", "the function redrive-uncalled: it has no event source mapping"),
        (
            "hooks-disabled",
            "functions",
            "fail",
            "the function publisher-disabled: its event source mapping is Disabled",
        ),
        ("hooks-lines", "functions", "fail", "the function sync: it has no event source mapping"),
    ] {
        let (ended, lines) = world.doctor(&["--stack", stack]).await;
        let line = line(&lines, check);
        assert_eq!(
            (ended.code, &line["verdict"]),
            (i32::from(verdict == "fail"), &json!(verdict)),
            "{stack}: {lines:?}"
        );
        assert!(line["detail"].as_str().unwrap().starts_with(detail), "{stack}: {line}");
        assert_ne!(line["mend"], Value::Null);
        if stack == "hooks-disabled" {
            assert_eq!(line["mend"], "aws lambda update-event-source-mapping --enabled --uuid b0b1");
        }
    }
    let (ended, lines) = world.doctor_with(&["--stack", "hooks"], &[]).await;
    assert_eq!((ended.code, verdicts(&lines)[0]), (1, ("region", "fail")));
    assert_eq!(line(&lines, "tables")["detail"], "the stack was not reached");
    let nobody = [("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let (ended, lines) = world.doctor_with(&["--stack", "hooks"], &nobody).await;
    assert_eq!((ended.code, verdicts(&lines)[1]), (1, ("credentials", "fail")));
    assert_eq!(line(&lines, "credentials")["mend"], "aws configure, or aws sso login");
}

#[tokio::test]
async fn an_event_that_waits_long_for_the_endpoint_and_a_dead_letter_are_warnings() {
    let world = World::start("doctor-forward").await;
    let on = ["--stack", "hooks-forward"];
    let finding = async || {
        let (ended, lines) = world.doctor(&on).await;
        let line = line(&lines, "handing on").clone();
        (ended.code, line["verdict"].clone(), line["detail"].as_str().unwrap().to_owned(), line["mend"].clone())
    };
    let (code, verdict, detail, _) = finding().await;
    assert_eq!((code, verdict), (0, json!("ok")), "{detail}");
    assert_eq!(detail, "no event waits for your endpoint, and no dead letter of the last 14 days is left");

    world.refused(30).await;
    assert_eq!(
        finding().await.2,
        "no event has waited for your endpoint for an hour; those that it refused are tried again"
    );
    world.refused(90).await;
    let (code, verdict, detail, fix) = finding().await;
    assert_eq!((code, verdict, fix), (0, json!("warn"), json!("cargo hooks forward status --stack hooks-forward")));
    assert_eq!(detail, "an event still waits for your endpoint; first attempt 1 h ago, last answer: answered 503");

    let list = "cargo hooks dlq list --queue forward --stack hooks-forward";
    world.failed(95, None).await;
    let (_, verdict, detail, fix) = finding().await;
    assert_eq!((verdict, fix), (json!("warn"), json!(list)));
    assert_eq!(detail, "1 dead letter that your endpoint did not accept", "its message is gone");

    world.webhook.sqs.send_in_group(Name::ForwardDeadLetters, "{}", "group", "id");
    let (_, verdict, detail, fix) = finding().await;
    assert_eq!((verdict, fix), (json!("warn"), json!(list)));
    assert_eq!(detail, "about 1 message that your endpoint did not accept");
}

#[tokio::test]
async fn send_is_refused_where_it_would_do_nothing() {
    let world = World::start("doctor-send").await;
    let refused = world.hooks(&["doctor", "--send"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.starts_with("error: --send needs a deployed stack: name it with --stack"), "{refused:?}");
}
