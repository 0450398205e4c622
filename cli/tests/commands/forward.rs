use std::time::Duration;

use emulators::{
    endpoint::{Endpoint, Reply},
    sqs::Name,
};
use fixtures::LINE;
use outbound::{ForwardMessage, SigningSecret};
use serde_json::{Value, json};
use shared::{Entity, EventId, Timestamp};
use store::{ForwardFailure, PublishedCounts};

use crate::{
    key::at_terminal,
    program::Ended,
    world::{SIGNING_SECRET, World, objects},
};

/// Records that the endpoint has refused an event, and puts it into the forward queue; without a next attempt, into the dead-letter queue.
pub async fn refuse(world: &World, minutes: u64, attempts: u32, next_attempt_at: Option<Timestamp>) {
    let message = ForwardMessage::new(world.id(minutes), Entity::named(LINE));
    let failure = ForwardFailure {
        id: *message.id(),
        entity: message.entity().clone(),
        attempts,
        first_attempt_at: world.ago(minutes),
        last_attempt_at: world.ago(10),
        next_attempt_at,
        answer: "503: out of order".to_owned(),
    };
    world.forward_records().record_failure(&failure).await.unwrap();
    put(world, if next_attempt_at.is_some() { Name::Forward } else { Name::ForwardDeadLetters }, &message).await;
}

/// Puts a message into a queue.
pub async fn put(world: &World, queue: Name, message: &ForwardMessage) {
    let send = emulators::sqs::client(&world.sqs.url()).send_message().queue_url(world.sqs.url_of(queue));
    let send = send.message_body(message.to_json()).message_group_id(message.group());
    send.message_deduplication_id(message.id().to_string()).send().await.unwrap();
}

#[tokio::test]
async fn the_status_shows_the_waiting_events_and_the_dead_letters() {
    let world = World::start("forward-status").await;
    world.fill().await;
    refuse(&world, 50, 3, Some(world.ago(0))).await;
    refuse(&world, 40, 5, None).await;
    world.published().add("1", [50, 40, 30].map(|minutes| world.ago(minutes))).await.unwrap();
    let shown = world.hooks(&["forward", "status"]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let lines = world.lines(&shown.stdout);
    let next = world.ago(0).to_string();
    for line in [
        "in the forward queue 1 event".to_owned(),
        "dead letters 1 event".to_owned(),
        format!("│ {LINE} ┆ #50 ┆ -50 ┆ 3 ┆ 503: out of order ┆ {}Z │", &next[..19]),
        format!("│ {LINE} ┆ #40 ┆ -40 ┆ 5 ┆ 503: out of order ┆ none: given up │"),
        "Try them again with: cargo hooks dlq redrive --all --queue forward".to_owned(),
        "Every recorded event was published.".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line}\n{}", shown.stdout);
    }
    let status = objects(&world.hooks(&["forward", "status", "--output", "json"]).await.stdout).remove(0);
    let waiting = json!([{
        "event_id": world.id(50), "entity": LINE, "since": world.ago(50), "attempts": 3, "last_attempt_at": world.ago(10),
        "answer": "503: out of order", "next_attempt_at": world.ago(0),
    }]);
    assert_eq!((&status["forwarding"], &status["waiting"]), (&json!(true), &waiting));
    assert_eq!((&status["waiting_events"], &status["dead_letters"]), (&json!(1), &json!(1)));
    assert_eq!((&status["dead"][0]["event_id"], &status["missing"]), (&json!(world.id(40)), &json!(0)));
}

#[tokio::test]
async fn an_event_shows_whether_the_endpoint_has_accepted_it() {
    let world = World::start("forward-show").await;
    world.fill().await;
    let shown = async |minutes: u64| {
        let id = world.id(minutes).to_string();
        let words = world.lines(&world.hooks(&["show", &id]).await.stdout);
        let words = words.into_iter().find_map(|line| line.strip_prefix("handed on ").map(str::to_owned));
        let object = objects(&world.hooks(&["show", &id, "--output", "json"]).await.stdout).remove(0);
        (words.unwrap_or_default(), object["forwarding"].clone())
    };
    let (words, json) = shown(50).await;
    assert!(words.starts_with("not known: ") && json == json!({"status": "not_known"}), "{words} {json}");
    let taken = store::ForwardTaken { taken_at: world.ago(49), attempts: 1 };
    let line = Entity::named(LINE);
    world.forward_records().record_taken(&line, &world.id(50), taken, None, false).await.unwrap();
    let (words, json) = shown(50).await;
    assert_eq!(words, format!("accepted at {}, 1 attempt", shared::human_time::to_the_second(world.ago(49))));
    assert_eq!(json, json!({"status": "accepted", "at": world.ago(49), "attempts": 1}));

    refuse(&world, 4_320, 3, Some(world.ago(0))).await;
    let (words, json) = shown(4_320).await;
    assert!(
        words.starts_with("waiting: next attempt at ")
            && words.ends_with(" after 3 attempts, last answer 503: out of order"),
        "{words}"
    );
    assert_eq!((&json["status"], &json["next_attempt_at"]), (&json!("waiting"), &json!(world.ago(0))));
    let (words, json) = shown(40).await;
    assert_eq!(words, "waiting behind #4320, an earlier event of its entity that was refused");
    assert_eq!(json, json!({"status": "behind", "event_id": world.id(4_320)}));
    refuse(&world, 40, 5, None).await;
    let (words, json) = shown(40).await;
    assert_eq!(words, "dead letter: given up after 5 attempts, last answer 503: out of order");
    assert_eq!(json["status"], "dead_letter");
    assert_eq!(shown(45).await, (String::new(), Value::Null), "a duplicate is not handed on");
    world.forward_nowhere();
    assert_eq!(shown(40).await.1, json!({"status": "off"}));
}

#[tokio::test]
async fn events_that_were_not_published_are_shown_with_the_commands_that_send_them() {
    let world = World::start("forward-missing").await;
    // Of an hour that is over, and one in which duplicates, undecodable bodies and the doctor's events do not count.
    world.record(130, r#"{"event":"builder","builderID":523,"builder_extra_info":1}"#).await;
    let doctor = EventId::new(world.ago(130), [9; 8]);
    world.record_at(world.ago(130), doctor, r#"{"event":"doctor","random":"1"}"#).await;
    world.fill().await;
    world.published().add("1", [50, 40, 30].map(|minutes| world.ago(minutes))).await.unwrap();
    let hour = PublishedCounts::hour(world.ago(130));
    let status = objects(&world.hooks(&["forward", "status", "--output", "json"]).await.stdout).remove(0);
    let hours = status["hours"].as_array().unwrap();
    assert_eq!(hours[0], json!({ "hour": hour, "recorded": 1, "published": 0, "missing": 1 }));
    let sum = |name: &str| hours.iter().filter_map(|hour| hour[name].as_u64()).sum::<u64>();
    assert_eq!((sum("recorded"), sum("published"), &status["missing"]), (4, 3, &json!(1)));

    let shown = world.hooks(&["forward", "status"]).await.stdout;
    let end =
        format!("{hour}:00:00.000000Z").parse::<Timestamp>().unwrap().plus(Duration::from_secs(3_600)).to_string();
    let replay = format!("  cargo hooks replay --since {hour}:00:00Z --until {}Z --to", &end[..19]);
    assert!(shown.contains(&format!("{replay} bus\n{replay} forward\n")), "{shown}");
    // It does as it says.
    let command: Vec<&str> =
        shown.lines().find(|line| line.ends_with("--to forward")).unwrap().split_whitespace().skip(2).collect();
    let state = world.project().join("state");
    let environment = [("XDG_STATE_HOME", state.to_str().unwrap())];
    let replayed = crate::program::run(crate::program::hooks(world.project(), &command, &environment)).await;
    assert_eq!((replayed.code, replayed.stdout.as_str()), (0, "1 event handed over, 1 skipped (1 of kind doctor)\n"));
    let queued = world.sqs.bodies(Name::Forward);
    assert_eq!(ForwardMessage::parse(&queued[0]).unwrap().id(), &world.id(130));
}

#[tokio::test]
async fn without_an_endpoint_the_status_says_so_and_the_other_commands_say_how_to_get_one() {
    let world = World::start("forward-off").await;
    world.forward_nowhere();
    let shown = world.hooks(&["forward", "status"]).await;
    let expected = "Forwarding is off: there is no ForwardUrl. Events are only on the event bus.\n\nNo events were recorded in this time.\n";
    assert_eq!((shown.code, shown.stdout.as_str()), (0, expected));
    let status = objects(&world.hooks(&["forward", "status", "--output", "json"]).await.stdout).remove(0);
    assert_eq!((&status["forwarding"], &status["waiting_events"]), (&json!(false), &Value::Null));
    let message = "error: forwarding is off: this local run has no forwarder; start one with `cargo hooks dev`\n";
    for arguments in [
        &["forward", "secret", "--yes"][..],
        &["forward", "rotate", "--yes"],
        &["forward", "test"],
        &["dlq", "list", "--queue", "forward"],
        &["dlq", "redrive", "--all", "--queue", "forward"],
    ] {
        let ended = world.hooks(arguments).await;
        assert_eq!(ended, Ended { code: 1, stdout: String::new(), stderr: message.to_owned() }, "{arguments:?}");
    }
}

#[tokio::test]
async fn the_secret_is_shown_to_the_person_who_says_yes_and_to_nobody_else() {
    let world = World::start("forward-secret").await;
    let question = "Show the signing secret? [y/N] ".to_owned();
    let shown = at_terminal(&world, &["forward", "secret"], "y\n").await;
    assert_eq!(shown, Ended { code: 0, stdout: format!("{SIGNING_SECRET}\n"), stderr: question.clone() });
    let refused = at_terminal(&world, &["forward", "secret"], "n\n").await;
    let message = format!("{question}error: nothing was done, as the answer was not yes\n");
    assert_eq!(refused, Ended { code: 1, stdout: String::new(), stderr: message });
    let unasked = world.hooks(&["forward", "secret"]).await;
    assert!(unasked.code == 1 && !format!("{unasked:?}").contains("whsec_"), "{unasked:?}");
    let shown = world.hooks(&["forward", "secret", "--yes", "--output", "json"]).await;
    assert_eq!(objects(&shown.stdout)[0]["secret"], SIGNING_SECRET);
}

#[tokio::test]
async fn a_replaced_secret_signs_beside_the_new_one() {
    let world = World::start("forward-rotate").await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    world.forward_to(&endpoint.url());
    assert_eq!(world.hooks(&["forward", "rotate"]).await.code, 1, "nobody was asked");
    assert_eq!(world.secrets.values("forward").len(), 1);
    let rotated = world.hooks(&["forward", "rotate", "--yes"]).await;
    assert!(rotated.code == 0 && rotated.stdout.starts_with("The secret is replaced. "), "{rotated:?}");
    let new = world.secrets.staged("forward", "AWSCURRENT").unwrap();
    assert!(new != SIGNING_SECRET && SigningSecret::parse(&new).is_ok());
    assert_eq!(world.secrets.staged("forward", "AWSPREVIOUS").as_deref(), Some(SIGNING_SECRET));
    // The endpoint has the old one, and then the new one.
    for secret in [SIGNING_SECRET, &new] {
        endpoint.verify_with(secret);
        let tested = world.hooks(&["forward", "test", "--output", "json"]).await;
        assert_eq!((tested.code, &objects(&tested.stdout)[0]["signatures"]), (0, &json!(2)));
        assert!(endpoint.received().pop().unwrap().is_verified);
    }
    // Replaced again at once, the first one would sign no more.
    let refused = at_terminal(&world, &["forward", "rotate"], "n\n").await;
    let question = "will refuse every event. Replace it anyway? [y/N] error: nothing was done";
    assert!(refused.code == 1 && refused.stderr.contains(question), "{refused:?}");
    assert_eq!(world.secrets.staged("forward", "AWSCURRENT"), Some(new));
}

#[tokio::test]
async fn a_test_event_is_signed_and_its_answer_is_printed() {
    let world = World::start("forward-test").await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    world.forward_to(&endpoint.url());
    let tested = world.hooks(&["forward", "test"]).await;
    assert!(tested.code == 0 && tested.stdout.contains("2xx: the endpoint accepted the event\n"), "{tested:?}");
    let call = endpoint.received().pop().unwrap();
    assert!(call.is_verified && !call.received_at.is_empty());
    assert_eq!(call.body, r#"{"event":"doctor","test":"sent by hooks forward test"}"#);
    endpoint.reply([Reply::Status(401), Reply::Status(401)]);
    let refused = world.hooks(&["forward", "test"]).await;
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (
            1,
            "error: the endpoint did not accept the event; 401 and 403 usually mean that the endpoint verifies with a different secret \
             from the one that `cargo hooks forward secret` prints\n"
        )
    );
    assert!(world.lines(&refused.stdout).contains(&"answer 401".to_owned()), "{}", refused.stdout);
    let refused = world.hooks(&["forward", "test", "--output", "json"]).await;
    let answer = objects(&refused.stdout).remove(0);
    assert_eq!((refused.code, &answer["taken"], &answer["status"]), (1, &json!(false), &json!(401)));
    world.secrets.put("forward", "no secret");
    let ended = world.hooks(&["forward", "test"]).await;
    let message = "error: the secret does not start with ";
    assert!(ended.code == 1 && ended.stdout.is_empty(), "{ended:?}");
    assert!(ended.stderr.starts_with(message), "{ended:?}");
}
