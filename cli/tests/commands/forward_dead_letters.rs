use std::{process::Stdio, time::Duration};

use emulators::{faults::Point, sqs::Name};
use fixtures::{LINE, update};
use outbound::ForwardMessage;
use serde_json::json;
use shared::{Entity, EventId};
use tokio::{process::Command, time::timeout};

use crate::{
    dead_letters::with_faults,
    forward::{put, refuse},
    program::hooks,
    world::{World, objects},
};

/// The ids in the forward queue.
fn queued(world: &World) -> Vec<EventId> {
    let messages = world.sqs.bodies(Name::Forward).into_iter().map(|body| ForwardMessage::parse(&body).unwrap());
    messages.map(|message| *message.id()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown_with_the_last_answer_and_stay_where_they_are() {
    let world = World::start("dlq-forward-list").await;
    world.fill().await;
    refuse(&world, 50, 5, None).await;
    refuse(&world, 40, 5, None).await;
    refuse(&world, 30, 2, Some(world.ago(0))).await;
    let listed = world.hooks(&["dlq", "list", "--queue", "forward"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let row = |minutes: u64| format!("│ {LINE} ┆ #{minutes} ┆ -{minutes} ┆ 5 ┆ 503: out of order ┆ none: given up │");
    assert_eq!(world.lines(&listed.stdout)[1..], [row(40), row(50)]);
    let listed = world.hooks(&["dlq", "list", "--queue", "forward", "--limit", "1"]).await;
    assert!(listed.stdout.ends_with("1 of 2 dead letters; --limit shows more.\n"), "{}", listed.stdout);
    let id = world.id(50).to_string();
    let listed = objects(&world.hooks(&["dlq", "list", "--queue", "forward", "--output", "json"]).await.stdout);
    let expected = json!({
        "event_id": id, "entity": LINE, "attempts": 5, "first_attempt_at": world.ago(50),
        "last_attempt_at": world.ago(10), "answer": "503: out of order",
    });
    assert_eq!(listed[1], expected);
    let shown = world.hooks(&["dlq", "show", &id, "--queue", "forward"]).await;
    let lines = world.lines(&shown.stdout);
    for line in ["event #50", "attempts 5", "answer 503: out of order", r#""whatsapp_apiKey": "[sealed]","#] {
        assert!(lines.contains(&line.to_owned()), "{line}: {}", shown.stdout);
    }
    let shown = objects(&world.hooks(&["dlq", "show", &id, "--queue", "forward", "--output", "json"]).await.stdout);
    assert_eq!(shown[0]["body"]["whatsapp_extra_info"], 1);
    let end = format!("…{}", &id[24..]);
    let by_its_end = world.hooks(&["dlq", "show", &end, "--queue", "forward"]).await;
    assert_eq!(world.lines(&by_its_end.stdout), lines, "lists show ids in this form");
    for id in [world.id(30).to_string(), "42".to_owned(), "ffffffff".to_owned()] {
        let none = world.hooks(&["dlq", "show", &id, "--queue", "forward"]).await;
        assert_eq!((none.code, none.stderr), (1, format!("error: there is no dead letter of an event {id}\n")));
    }
    assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters).len(), 2);
}

#[tokio::test]
async fn a_named_event_goes_back_to_the_forward_queue_and_starts_anew() {
    let world = World::start("dlq-forward-redrive").await;
    world.fill().await;
    refuse(&world, 50, 5, None).await;
    refuse(&world, 40, 5, None).await;
    let [first, second, other] = [50, 40, 30].map(|minutes| world.id(minutes).to_string());
    let redriven = world.hooks(&["dlq", "redrive", &first, &other, "--queue", "forward"]).await;
    let expected = [format!("#50 put into the forward queue: {LINE}"), "1 put into the forward queue.".to_owned()];
    assert_eq!((redriven.code, world.lines(&redriven.stdout)), (1, expected.to_vec()));
    assert_eq!(redriven.stderr, format!("error: there is no dead letter of an event {other}\n"));
    assert_eq!(queued(&world), [world.id(50)]);
    assert_eq!(world.forward_records().failure(&world.id(50)).await.unwrap(), None, "its attempts are forgotten");
    assert!(world.sqs.bodies(Name::ForwardDeadLetters)[0].contains(&second));
    // SQS would take it for a repetition if it had the same deduplication id.
    refuse_again(&world).await;
    let again = world.hooks(&["dlq", "redrive", &first[28..], "--queue", "forward", "--output", "json"]).await;
    assert_eq!(objects(&again.stdout), [json!({ "event_id": first, "entity": LINE, "redriven": true })]);
    assert_eq!(queued(&world), [world.id(50), world.id(50)]);
}

/// Has the event of 50 minutes ago become a dead letter once more. SQS has a deduplication id for each message of the forwarder's.
async fn refuse_again(world: &World) {
    let failure = world.forward_records().failure(&world.id(40)).await.unwrap().unwrap();
    let failure = store::ForwardFailure { id: world.id(50), ..failure };
    world.forward_records().record_failure(&failure).await.unwrap();
    let message = ForwardMessage::new(world.id(50), Entity::named(LINE));
    let send = emulators::sqs::client(&world.sqs.url()).send_message();
    let send = send.queue_url(world.sqs.url_of(Name::ForwardDeadLetters)).message_body(message.to_json());
    send.message_group_id(message.group()).message_deduplication_id("message-1").send().await.unwrap();
}

#[tokio::test]
async fn all_go_back_in_order_but_unreadable_messages() {
    let world = World::start("dlq-forward-all").await;
    // More of one entity than SQS gives at once, and one without a record.
    for minutes in (1..=25).rev() {
        world.record(minutes, &update(u8::try_from(minutes).unwrap())).await;
        refuse(&world, minutes, 5, None).await;
    }
    let unrecorded = ForwardMessage::new(world.id(60), Entity::named("builder#523"));
    put(&world, Name::ForwardDeadLetters, &unrecorded).await;
    let send = emulators::sqs::client(&world.sqs.url()).send_message();
    let send = send.queue_url(world.sqs.url_of(Name::ForwardDeadLetters)).message_body("none of ours");
    send.message_group_id("none").message_deduplication_id("none").send().await.unwrap();
    let listed = world.hooks(&["dlq", "list", "--queue", "forward", "--limit", "0"]).await;
    let note = "The dead-letter queue has 27 messages, and 25 are recorded. `redrive --all` moves both kinds.\n";
    assert_eq!(listed.stderr, note);
    let redriven = world.hooks(&["dlq", "redrive", "--all", "--queue", "forward"]).await;
    assert_eq!((redriven.code, redriven.stderr.as_str()), (0, ""));
    assert_eq!(redriven.stdout.lines().last(), Some("26 put into the forward queue, 1 left."));
    let of_line: Vec<EventId> = queued(&world).into_iter().filter(|id| *id != world.id(60)).collect();
    assert_eq!(of_line, (1..=25).rev().map(|minutes| world.id(minutes)).collect::<Vec<_>>());
    assert_eq!(world.sqs.bodies(Name::ForwardDeadLetters), ["none of ours"]);
    assert_eq!(world.forward_records().failures(100).await.unwrap(), []);
}

#[tokio::test]
async fn ctrl_c_ends_a_redrive_of_records_whose_messages_sqs_has_deleted() {
    let world = World::start("dlq-forward-interrupted").await;
    world.fill().await;
    refuse(&world, 50, 5, None).await;
    let expired = world.sqs.take_from(Name::ForwardDeadLetters, 10);
    world.sqs.settle(&expired, Some(&json!({ "batchItemFailures": [] })));
    let faults = with_faults(&world).await;
    // The first receive finds nothing. Then the message is sent.
    let held = faults.hold(1, Point::Before);
    let mut hooks = hooks(&world.project, &["dlq", "redrive", "--all", "--queue", "forward"], &[]);
    let redrive = hooks.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let holding = timeout(Duration::from_secs(60), held.reached()).await.unwrap().unwrap();
    let process = redrive.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.unwrap().success());
    let ended = timeout(Duration::from_secs(60), redrive.wait_with_output()).await.unwrap().unwrap();
    drop(holding);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.as_str()), (Some(1), "error: interrupted\n"));
}

#[tokio::test]
async fn a_dead_letter_that_sqs_has_deleted_is_redriven_by_its_record() {
    let world = World::start("dlq-forward-expired").await;
    world.fill().await;
    refuse(&world, 50, 5, None).await;
    let expired = world.sqs.take_from(Name::ForwardDeadLetters, 10);
    world.sqs.settle(&expired, Some(&json!({ "batchItemFailures": [] })));
    let redriven = world.hooks(&["dlq", "redrive", "--all", "--queue", "forward"]).await;
    assert_eq!((redriven.code, queued(&world)), (0, vec![world.id(50)]));
}
