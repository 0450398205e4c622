use std::{fs, process::Stdio, time::Duration};

use emulators::faults::{Faults, Point};
use fixtures::{API_KEY, LINE, update};
use serde_json::{Value, json};
use shared::{QueuedDelivery, TokenCheck, TokenHash};
use tokio::{process::Command, time::timeout};

use crate::{
    program::{self, hooks},
    world::{World, objects},
};

/// Returns the message of a delivery received that many minutes ago.
pub fn message(world: &World, minutes: u64, body: &[u8], token: TokenCheck) -> String {
    QueuedDelivery { received: world.received(minutes, body), token }.to_message()
}

/// Puts a message into the dead-letter queue, and returns its id.
pub async fn bury(world: &World, message: &str) -> String {
    let send = emulators::sqs::client(&world.sqs.url()).send_message().queue_url(world.sqs.dead_letter_queue_url());
    send.message_body(message).send().await.unwrap().message_id.unwrap()
}

/// Sends an event, a body that cannot be decoded, and an unreadable message.
async fn with_dead_letters(name: &str) -> (World, [String; 3], [String; 3]) {
    let world = World::start(name).await;
    let pending = TokenCheck::Pending(TokenHash::of("a token"));
    let messages = [
        message(&world, 50, update(1).as_bytes(), TokenCheck::Accepted),
        message(&world, 45, format!("not JSON {API_KEY}").as_bytes(), pending),
        format!("none of ours, with {API_KEY}"),
    ];
    let ids = [bury(&world, &messages[0]).await, bury(&world, &messages[1]).await, bury(&world, &messages[2]).await];
    (world, messages, ids)
}

/// Returns the numbers of visible and of hidden messages in the dead-letter queue.
async fn counts(world: &World) -> [u32; 2] {
    let get =
        emulators::sqs::client(&world.sqs.url()).get_queue_attributes().queue_url(world.sqs.dead_letter_queue_url());
    let attributes = get.send().await.unwrap().attributes.unwrap();
    ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        .map(|name| attributes[&name.into()].parse().unwrap())
}

#[tokio::test]
async fn messages_are_listed_without_their_secrets_and_stay_where_they_are() {
    let (world, messages, ids) = with_dead_letters("dlq-list").await;
    let listed = world.hooks(&["dlq", "list"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let size = |n: usize| messages[n].len();
    let expected = [
        "│ message id ┆ event id ┆ received ┆ kind ┆ entity ┆ receives ┆ bytes │".to_owned(),
        format!("│ {} ┆ #50 ┆ -50 ┆ whatsapp ┆ {LINE} ┆ 1 ┆ {} │", ids[0], size(0)),
        format!("│ {} ┆ #45 ┆ -45 ┆ quarantine ┆ quarantine#{} ┆ 1 ┆ {} │", ids[1], world.ago(45).day(), size(1)),
        format!("│ {} ┆ ┆ ┆ ┆ ┆ 1 ┆ {} │", ids[2], size(2)),
    ];
    assert_eq!(world.lines(&listed.stdout), expected);
    assert_eq!(counts(&world).await, [3, 0]);
    assert_eq!(world.sqs.dead_letters(), messages);

    let listed = world.hooks(&["dlq", "list", "--output", "json"]).await;
    let listed = objects(&listed.stdout);
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["body"]["whatsapp_apiKey"], "[sealed]");
    assert_eq!((&listed[0]["token"], &listed[1]["token"]), (&json!("accepted"), &json!("pending")));
    assert_eq!((&listed[0]["id"], &listed[1]["body_bytes"]), (&json!(world.id(50).to_string()), &json!(20)));
    let none_of_ours = json!({
        "message_id": ids[2], "message_bytes": size(2), "receives": 2, "cause": "the message is not a queued delivery",
        "id": null, "received_at": null, "kind": null, "entity": null, "source_ip": null, "request_id": null,
        "token": null, "body": null, "body_bytes": null,
    });
    assert_eq!(listed[2], none_of_ours);
}

#[tokio::test]
async fn more_messages_than_sqs_gives_at_once_are_listed_and_shown_again() {
    let world = World::start("dlq-pages").await;
    for minutes in 1..=25 {
        bury(&world, &message(&world, minutes, b"{}", TokenCheck::Accepted)).await;
    }
    let count = async |limit: &str| {
        let listed = world.hooks(&["dlq", "list", "--limit", limit, "--output", "json"]).await;
        assert_eq!(counts(&world).await, [25, 0]);
        objects(&listed.stdout).len()
    };
    assert_eq!((count("100").await, count("25").await, count("12").await, count("0").await), (25, 25, 12, 0));
    let last = async |limit: &str| {
        let listed = world.hooks(&["dlq", "list", "--limit", limit]).await.stdout;
        listed.lines().last().unwrap().to_owned()
    };
    assert_eq!(last("24").await, "The first 24 messages; --limit shows more.");
    assert!(last("25").await.starts_with('└'));
}

#[tokio::test]
async fn an_empty_queue_is_said_to_be_empty() {
    let world = World::start("dlq-empty").await;
    let listed = world.hooks(&["dlq", "list"]).await;
    assert_eq!((listed.code, listed.stdout.as_str()), (0, "No messages are in the dead-letter queue.\n"));
    let redriven = world.hooks(&["dlq", "redrive", "--all"]).await;
    assert_eq!((redriven.code, redriven.stdout.as_str()), (0, "0 put into the fallback queue.\n"));
    for queue in ["fallback", "forward"] {
        let missing = world.hooks(&["dlq", "redrive", "abc", "--queue", queue]).await;
        assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
        assert!(
            missing.stderr.starts_with("error: there is no ") && missing.stderr.contains(" abc"),
            "{}",
            missing.stderr
        );
    }
    for arguments in [&["dlq"][..], &["dlq", "show"], &["dlq", "redrive"], &["dlq", "redrive", "--all", "a"]] {
        assert_eq!(world.hooks(arguments).await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn messages_that_somebody_else_looks_at_are_told_of() {
    let (world, messages, ids) = with_dead_letters("dlq-hidden").await;
    let hide = async |number: i32| {
        let receive = emulators::sqs::client(&world.sqs.url()).receive_message();
        let receive = receive.queue_url(world.sqs.dead_letter_queue_url()).max_number_of_messages(number);
        receive.visibility_timeout(600).send().await.unwrap();
    };
    let note = |number: u32| {
        format!(
            "About {number} more are hidden: somebody else is reading them, or has just done so; try again in a minute.\n"
        )
    };
    hide(1).await;
    let listed = world.hooks(&["dlq", "list", "--output", "json"]).await;
    assert_eq!((listed.code, objects(&listed.stdout).len(), listed.stderr), (0, 2, note(1)));
    // A limit below the number of messages is reported.
    assert_eq!(world.hooks(&["dlq", "list", "--limit", "1"]).await.stderr, "");
    let redriven = world.hooks(&["dlq", "redrive", "--all"]).await;
    assert_eq!((redriven.code, redriven.stderr), (0, note(1)));
    assert!(redriven.stdout.ends_with("1 put into the fallback queue, 1 left.\n"), "{}", redriven.stdout);
    assert_eq!(world.sqs.dead_letters(), [messages[0].as_str(), messages[2].as_str()]);
    hide(1).await;
    let listed = world.hooks(&["dlq", "list"]).await;
    assert_eq!((listed.code, listed.stdout.as_str(), listed.stderr), (0, "", note(2)));
    let named = world.hooks(&["dlq", "redrive", &ids[0]]).await;
    assert!(named.code == 1 && !named.stderr.contains("roughly"), "{}", named.stderr);
}

#[tokio::test]
async fn a_message_that_cannot_be_made_visible_again_is_reported() {
    let (world, ..) = with_dead_letters("dlq-refused").await;
    let faults = with_faults(&world).await;
    // The second receive, when the messages are hidden already.
    let held = faults.hold(1, Point::Before);
    let hooks = hooks(&world.project, &["dlq", "list", "--output", "json"], &[]);
    let ended = tokio::spawn(program::run(hooks));
    let holding = timeout(Duration::from_secs(60), held.reached()).await.unwrap().unwrap();
    // The stand-in numbers its ids and handles: three messages, then their receipts.
    let delete = emulators::sqs::client(&world.sqs.url()).delete_message().queue_url(world.sqs.dead_letter_queue_url());
    delete.receipt_handle("receipt-4").send().await.unwrap();
    assert_eq!(counts(&world).await, [0, 2]);
    drop(holding);
    let ended = ended.await.unwrap();
    let said = "The messages that were looked at stay hidden for up to 30 s: 1 of 3 were refused, with ReceiptHandleIsInvalid\n";
    assert_eq!((ended.code, objects(&ended.stdout).len(), ended.stderr.as_str()), (0, 3, said));
    assert_eq!(counts(&world).await, [2, 0]);
}

#[tokio::test]
async fn a_message_is_shown_with_its_redacted_body() {
    let (world, messages, ids) = with_dead_letters("dlq-show").await;
    let shown = world.hooks(&["dlq", "show", &ids[0]]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let lines = world.lines(&shown.stdout);
    let expected = [
        format!("message id {}", ids[0]),
        "receives 1".to_owned(),
        format!("message {} bytes", messages[0].len()),
        "event id #50".to_owned(),
        "received -50 (50 min ago)".to_owned(),
        "kind whatsapp".to_owned(),
        format!("entity {LINE}"),
        "source ip 34.165.99.212".to_owned(),
        "request id request-1".to_owned(),
        "token accepted".to_owned(),
        format!("body {} bytes", update(1).len()),
        String::new(),
        "{".to_owned(),
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert!(lines.contains(&r#""whatsapp_apiKey": "[sealed]","#.to_owned()), "{lines:?}");

    let cause = async |id: &str| world.lines(&world.hooks(&["dlq", "show", id]).await.stdout).pop().unwrap();
    assert_eq!(cause(&ids[1]).await, "cause the body is not JSON");
    assert_eq!(cause(&ids[2]).await, "cause the message is not a queued delivery");
    let none = world.hooks(&["dlq", "show", "message-9"]).await;
    let message = "error: there is no message message-9 in the dead-letter queue; if somebody else is reading it, try again in a minute\n";
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (1, "", message));
    assert_eq!(counts(&world).await, [3, 0]);
}

#[tokio::test]
async fn the_messages_that_are_named_go_to_the_fallback_queue() {
    let (world, messages, ids) = with_dead_letters("dlq-redrive").await;
    let redriven = world.hooks(&["dlq", "redrive", &ids[2], &ids[0], "message-9"]).await;
    let expected = [
        format!("{} put into the fallback queue: #50", ids[0]),
        format!("{} put into the fallback queue: the message is not a queued delivery", ids[2]),
        "2 put into the fallback queue.".to_owned(),
    ];
    assert_eq!((redriven.code, world.lines(&redriven.stdout)), (1, expected.into()));
    assert!(redriven.stderr.starts_with("error: there is no message message-9 in"), "{redriven:?}");
    assert_eq!(world.sqs.queued(), [messages[0].as_str(), messages[2].as_str()]);
    assert_eq!(world.sqs.dead_letters(), [messages[1].as_str()]);
    assert_eq!(counts(&world).await, [1, 0]);
}

#[tokio::test]
async fn all_messages_go_but_those_that_redrive_could_not_read_either() {
    let (world, messages, ids) = with_dead_letters("dlq-redrive-all").await;
    let more: Vec<String> = (1..=15).map(|minutes| message(&world, minutes, b"{}", TokenCheck::Accepted)).collect();
    for message in &more {
        bury(&world, message).await;
    }
    let redriven = world.hooks(&["dlq", "redrive", "--all", "--output", "json"]).await;
    assert_eq!((redriven.code, redriven.stderr.as_str()), (0, ""));
    let lines = objects(&redriven.stdout);
    assert_eq!(lines.len(), 18);
    let left = json!({
        "message_id": ids[2], "redriven": false, "event_id": null, "cause": "the message is not a queued delivery",
    });
    assert_eq!(lines.iter().filter(|line| line["redriven"] == false).collect::<Vec<_>>(), [&left]);
    assert_eq!(world.sqs.queued(), [&messages[..2], &more].concat());
    assert_eq!((world.sqs.dead_letters(), counts(&world).await), (vec![messages[2].clone()], [1, 0]));
    let again = world.hooks(&["dlq", "redrive", "--all"]).await.stdout;
    assert_eq!(again.lines().last(), Some("0 put into the fallback queue, 1 left."));
}

/// Puts a proxy that can hold requests between `hooks` and SQS.
pub async fn with_faults(world: &World) -> Faults {
    let faults = Faults::before(&world.sqs.url()).await.unwrap();
    let file = world.project.join("target/hooks/run.json");
    let mut run: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    run["sqs"] = faults.url().into();
    fs::write(file, run.to_string()).unwrap();
    faults
}

#[tokio::test]
async fn killed_while_it_moves_a_message_it_leaves_it_in_one_queue_at_least() {
    // Receive, send, delete.
    for (request, point, fallback) in [(1, Point::Before, false), (1, Point::After, true), (2, Point::Before, true)] {
        let (world, messages, ids) = with_dead_letters(&format!("dlq-killed-{request}-{fallback}")).await;
        let faults = with_faults(&world).await;
        let held = faults.hold(request, point);
        let mut hooks = hooks(&world.project, &["dlq", "redrive", &ids[0]], &[]).spawn().unwrap();
        let holding = timeout(Duration::from_secs(60), held.reached()).await.unwrap().unwrap();
        hooks.kill().await.unwrap();
        drop(holding);
        assert_eq!(world.sqs.dead_letters(), messages, "{request} {point:?}");
        let queued = if fallback { &messages[..1] } else { &[] };
        assert_eq!(world.sqs.queued(), queued, "{request} {point:?}");
    }
}

#[tokio::test]
async fn after_ctrl_c_the_messages_that_were_looked_at_are_visible_again() {
    let (world, ..) = with_dead_letters("dlq-interrupted").await;
    let faults = with_faults(&world).await;
    // The second receive, when the messages are hidden already.
    let held = faults.hold(1, Point::Before);
    let hooks = hooks(&world.project, &["dlq", "list"], &[]).stderr(Stdio::piped()).spawn().unwrap();
    let holding = timeout(Duration::from_secs(60), held.reached()).await.unwrap().unwrap();
    assert_eq!(counts(&world).await, [0, 3]);
    let process = hooks.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.unwrap().success());
    let ended = hooks.wait_with_output().await.unwrap();
    drop(holding);
    assert_eq!(
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()),
        (Some(1), "error: interrupted\n")
    );
    assert_eq!(counts(&world).await, [3, 0]);
}
