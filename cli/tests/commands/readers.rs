//! The output of the commands, as other programs and a terminal read it.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;
use shared::{Entity, QueuedDelivery, TokenCheck, json::needs_escape};
use store::ForwardFailure;
use tokio::net::TcpListener;

use crate::world::World;

/// Programs that read one JSON value per line of standard input, and fail at an unreadable one.
const READERS: [(&str, &[&str]); 3] = [
    ("jq", &["-e", "-c", "type"]),
    (
        "python3",
        &["-c", "import json, sys\nfor line in sys.stdin.buffer: json.dumps(json.loads(line.decode())).encode()"],
    ),
    (
        "node",
        &["-e", "require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean).forEach(line => JSON.parse(line))"],
    ),
];

/// A terminal's commands, text that changes its direction, line separators, half a surrogate pair.
const ODD: &str =
    r"a\u009b31mRED\u009b0m\u007f\u202etxt.exe\u2028\u200f\u061c\u2066\u001b[2J\ud83d \u05e9\u05dc\u05d5\u05dd";

/// Records deliveries with everything that a reader may fail on.
async fn odd_world(name: &str) -> World {
    let world = World::start(name).await;
    let deep = format!("{}1{}", r#"{"a":["#.repeat(300), "]}".repeat(300));
    let bodies = [
        format!(
            r#"{{"event":"whatsapp","whatsapp":"972501234567","whatsapp_reference":"{ODD}","display_name":"{ODD}"}}"#
        ),
        format!(
            r#"{{"event":"whatsapp","whatsapp":"972501234567","{ODD}":"{ODD}","n":123456789012345678901234567890}}"#
        ),
        format!(r#"{{"event":"{ODD}","deep":{deep}}}"#),
        format!(r#"{{"event":"online","accountID":5,"server":"{ODD}","long":{}}}"#, "9".repeat(5_000)),
        "{\"event\":\"builder\",\"builderID\":523,\"raw\":\"\u{9b}\u{7f}\u{202e}\u{2029}\"}".to_owned(),
    ];
    for (minutes, body) in (10..).zip(&bodies) {
        world.record(minutes, body).await;
    }
    world.record(30, "not JSON \u{9b}31m").await;
    world.hold(31, None, &bodies[0]).await;
    for (minutes, body) in (40..).zip([bodies[0].as_bytes(), bodies[2].as_bytes(), b"\xff\x9b".as_slice()]) {
        let message =
            QueuedDelivery { received: world.received(minutes, body), token: TokenCheck::Accepted }.to_message();
        let send = emulators::sqs::client(&world.sqs.url()).send_message().queue_url(world.sqs.dead_letter_queue_url());
        send.message_body(message).send().await.unwrap();
    }
    for (minutes, next_attempt_at) in [(10, None), (11, Some(world.ago(0)))] {
        let failure = ForwardFailure {
            id: world.id(minutes),
            entity: Entity::named(format!("online#{ODD}\u{9b}#5")),
            attempts: 1,
            first_attempt_at: world.ago(2),
            last_attempt_at: world.ago(2),
            next_attempt_at,
            answer: "400: a\u{9b}31mb\u{202e}".to_owned(),
        };
        world.forward_records().record_failure(&failure).await.unwrap();
    }
    world
}

/// Every command that prints something from outside, without its format.
fn commands(world: &World) -> Vec<Vec<String>> {
    let id = |minutes| world.id(minutes).to_string();
    let state = |entity: &str| vec!["state".to_owned(), entity.to_owned()];
    let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut commands: Vec<Vec<String>> = [
        "events",
        "events --kind whatsapp",
        "states --kind whatsapp",
        "states --kind online",
        "quarantine list",
        "quarantine retry --since 1d",
        "dlq list",
        "dlq list --queue forward",
        "forward status",
        "webhook status",
        "doctor",
    ]
    .map(words)
    .into();
    commands.push(words(&format!("dlq show {} --queue forward", id(10))));
    commands.extend((10..15).map(|minutes| vec!["show".to_owned(), id(minutes)]));
    commands.extend([30, 31].map(|minutes| words(&format!("quarantine show {}", id(minutes)))));
    commands.extend([state("whatsapp#972501234567"), state("builder#523"), state("none \u{9b}\u{202e}")]);
    commands.push(words(&format!("show {}", id(99))));
    commands
}

/// Returns the fault of a line for a strict reader.
fn fault(line: &str) -> Option<String> {
    if let Some(character) = line.chars().find(|character| needs_escape(*character)) {
        return Some(format!("{character:?} is not escaped"));
    }
    let (mut depth, mut deepest, mut in_text, mut rest) = (0_usize, 0, false, line);
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match character {
            '\\' if in_text => {
                let unit = |at: usize| {
                    let escape = rest.get(at..at + 6)?;
                    u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()
                };
                let first = unit(0);
                length = if first.is_some() { 6 } else { 2 };
                match first {
                    Some(0xd800..=0xdbff) if matches!(unit(6), Some(0xdc00..=0xdfff)) => length = 12,
                    Some(half @ 0xd800..=0xdfff) => return Some(format!("half a surrogate pair, {half:x}")),
                    _ => {}
                }
            }
            '"' => in_text = !in_text,
            '[' | '{' if !in_text => depth += 1,
            ']' | '}' if !in_text => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        rest = &rest[length..];
    }
    (deepest > 256).then(|| format!("{deepest} levels"))
}

/// Returns a reader's error for a text; `None` when it reads all of it, or is not installed.
fn refusal(reader: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut command = Command::new(reader);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn readers() -> Vec<(&'static str, &'static [&'static str])> {
    let is_there =
        |reader: &str| Command::new(reader).arg("--version").output().is_ok_and(|output| output.status.success());
    let there: Vec<_> = READERS.into_iter().filter(|(reader, _)| is_there(reader)).collect();
    let names: Vec<&str> = there.iter().map(|(reader, _)| *reader).collect();
    // Past the test harness, which would capture it.
    eprintln!("readers of JSON on this machine: {}", names.join(", "));
    there
}

#[tokio::test]
async fn every_reader_reads_the_json_of_every_command() {
    let world = odd_world("readers-json").await;
    let mut all = String::new();
    let mut commands = commands(&world);
    commands.push(vec!["export".to_owned()]);
    for mut command in commands {
        if command[0] != "export" {
            command.extend(["--output".to_owned(), "json".to_owned()]);
        }
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let ended = world.hooks(&arguments).await;
        for line in ended.stdout.lines() {
            assert_eq!(fault(line), None, "{arguments:?}: {line}");
        }
        assert!(!ended.stderr.contains(|character| character != '\n' && needs_escape(character)), "{ended:?}");
        all += &ended.stdout;
    }
    assert!(all.lines().count() > 20, "{all}");
    for (reader, arguments) in readers() {
        assert_eq!(refusal(reader, arguments, &all), None, "{reader}");
    }
}

#[tokio::test]
async fn no_command_hands_the_terminal_a_command_of_somebody_else() {
    let world = odd_world("readers-text").await;
    for command in commands(&world) {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let ended = world.hooks(&arguments).await;
        for printed in [&ended.stdout, &ended.stderr] {
            let obeyed: BTreeSet<char> =
                printed.chars().filter(|character| *character != '\n' && needs_escape(*character)).collect();
            assert!(obeyed.is_empty(), "{arguments:?}: {obeyed:?}");
        }
    }
}

/// A webhook that answers every request with this text.
async fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(async move || text)).await });
    url
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_printed_without_commands_for_the_terminal() {
    let world = World::start("readers-answer").await;
    std::fs::write(world.project().join("event.json"), json!({"event": "whatsapp"}).to_string()).unwrap();
    let sent = world.hooks(&["send", "event.json", "--url", &answering("a\u{9b}31mb\u{202e}").await]).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (0, "200 a\\u{9b}31mb\\u{202e}\n"));
}
