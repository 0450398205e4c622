use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use emulators::{
    endpoint::{Endpoint, Reply},
    faults::{Faults, Point},
    sqs::Name,
};
use fixtures::{API_KEY, LINE, update};
use outbound::ForwardMessage;
use serde_json::{Value, json};
use shared::{Entity, EventId};
use store::ForwardTaken;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    consumer::Consumer,
    program::{self, Ended, hooks},
    world::{SIGNING_SECRET, World, objects},
};

/// A `hooks replay` of the world's events to a consumer.
struct Replay<'a> {
    world: &'a World,
    url: String,
}

impl<'a> Replay<'a> {
    fn new(world: &'a World, consumer: &Consumer) -> Self {
        Self { world, url: consumer.url().to_owned() }
    }

    /// The folder for state, whose checkpoints are the test's own.
    fn state(&self) -> PathBuf {
        self.world.project().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let arguments = [&["replay", "--rate", "1000", "--to", &self.url], arguments].concat();
        let mut hooks = hooks(self.world.project(), &arguments, &[("XDG_STATE_HOME", self.state().to_str().unwrap())]);
        hooks.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        hooks
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs it to its end with a consumer that accepts everything, and returns the accepted ids.
    async fn all_taken(&self, consumer: &mut Consumer, arguments: &[&str]) -> (Ended, Vec<String>) {
        let mut taken = Vec::new();
        let mut ended = Box::pin(self.ended(arguments));
        loop {
            tokio::select! {
                ended = &mut ended => return (ended, taken),
                arrival = consumer.next() => {
                    taken.push(arrival.id());
                    arrival.answer(204, "");
                }
            }
        }
    }

    /// Runs it to its end, and checks that the URL's secret parts are neither shown nor stored.
    async fn ended(&self, arguments: &[&str]) -> Ended {
        let ended = program::run(self.command(arguments)).await;
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
        for file in self.files() {
            assert!(!fs::read_to_string(&file).unwrap().contains("s3cret"), "{}", file.display());
        }
        ended
    }

    /// Returns the checkpoints of unfinished replays.
    fn files(&self) -> Vec<PathBuf> {
        self.all_files().into_iter().filter(|file| !is_lock(file)).collect()
    }

    /// The same with the empty files of the locks.
    fn all_files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.state().join("hooks")).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }
}

fn is_lock(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "lock")
}

fn ids(world: &World, minutes: &[u64]) -> Vec<String> {
    minutes.iter().map(|minutes| world.id(*minutes).to_string()).collect()
}

/// Events of a line a second apart, and their ids.
async fn record_some(world: &World, number: u8) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..number {
        let at = world.ago(60).plus(Duration::from_secs(n.into()));
        let id = EventId::new(at, [n; 8]);
        world.record_at(at, id, &update(n)).await;
        ids.push(id.to_string());
    }
    ids
}

#[tokio::test]
async fn a_consumer_gets_the_bytes_that_are_recorded() {
    let world = World::start("replay-bytes").await;
    let body = "{ \"event\":\"builder\",\r\n\t\"builderID\":523, \"n\":123456789012345678901234567890, \"e\":1e+2,\"a\":\"\\ud83d\\u009b\u{202e}\",\"a\":[ ] }";
    world.record(30, body).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let (arrival, ended) = tokio::join!(
        async {
            let arrival = consumer.next().await;
            let body = arrival.body.clone();
            arrival.answer(204, "");
            body
        },
        replay.ended(&["--since", "2h"])
    );
    assert_eq!((arrival.as_str(), ended.code), (body, 0));
}

#[tokio::test]
async fn a_consumer_gets_the_body_without_its_secrets_with_id_and_time_of_receipt() {
    let world = World::start("replay-body").await;
    world.fill().await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let id = world.id(50).to_string();
    let child = replay.start(&[&id]);
    let arrival = consumer.next().await;
    assert_eq!(arrival.path, "/in/s3cret?key=s3cret");
    assert_eq!(arrival.id(), id);
    assert_eq!(arrival.header("webhook-received-at"), world.ago(50).to_string());
    assert_eq!(arrival.header("content-type"), "application/json");
    let mut shown = objects(&world.hooks(&["show", &id, "--output", "json"]).await.stdout).remove(0)["body"].take();
    assert_eq!(shown.as_object_mut().unwrap().remove("whatsapp_apiKey"), Some(json!("[sealed]")));
    assert_eq!(serde_json::from_str::<Value>(&arrival.body).unwrap(), shown);
    assert!(!arrival.body.contains("sealed") && !arrival.body.contains(API_KEY), "{}", arrival.body);
    arrival.answer(202, "taken");
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(0), &b"1 event handed over\n"[..]));
    let [lock] = replay.all_files().try_into().unwrap();
    assert!(is_lock(&lock), "nothing else is left of it, and this may be another's already");
}

#[tokio::test]
async fn the_selected_events_are_posted_as_received() {
    let world = World::start("replay-choose").await;
    world.fill().await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let [newer, older, repeated, odd] = [40, 50, 45, 20].map(|minutes| world.id(minutes).to_string());
    for (arguments, expected, summary) in [
        (&["--since", "24h"][..], &[50, 40, 30][..], "3 events handed over, 2 skipped (1 duplicate, 1 undecodable)\n"),
        (
            &["--since", "24h", "--with-duplicates"],
            &[50, 45, 40, 30],
            "4 events handed over, 1 skipped (1 undecodable)\n",
        ),
        (
            &["--since", "4d", "--until", "42m", "--entity", LINE],
            &[4_320, 50],
            "2 events handed over, 1 skipped (1 duplicate)\n",
        ),
        (&["--since", "1h", "--kind", "builder"], &[30], "1 event handed over\n"),
        (&["--since", "5m"], &[], "0 events handed over\n"),
        (&[&newer, &older, &newer], &[50, 40], "2 events handed over\n"),
        (
            &[&odd, &repeated, &newer, "--skip", &odd, "--skip", &repeated],
            &[40],
            "1 event handed over, 2 skipped (2 named by --skip)\n",
        ),
        (&[&repeated, "--with-duplicates"], &[45], "1 event handed over\n"),
    ] {
        let (ended, taken) = replay.all_taken(&mut consumer, arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, summary, ""), "{arguments:?}");
        assert_eq!(taken, ids(&world, expected), "{arguments:?}");
    }
    for (named, cause) in [
        (
            &odd,
            format!("in quarantine, and has no body to send; `cargo hooks quarantine retry {odd}` tries to record it"),
        ),
        (&repeated, format!("a duplicate of {older}; --with-duplicates sends it too")),
    ] {
        let (ended, taken) = replay.all_taken(&mut consumer, &[&older, named]).await;
        let message = format!("error: {named} is {cause}\n");
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr, taken.len()),
            (1, "", message, 0),
            "not the other one either"
        );
    }
    let (ended, _) = replay.all_taken(&mut consumer, &["--since", "24h", "--output", "json"]).await;
    let last = world.id(30).to_string();
    let skipped = json!({ "duplicates": 1, "undecodable": 1, "doctor": 0, "named": 0, "taken_before": 0 });
    let summary = json!({ "handed_over": 3, "skipped": skipped, "refused": [], "last": last, "complete": true });
    assert_eq!(objects(&ended.stdout), [summary]);
    let (ended, _) = replay.all_taken(&mut consumer, &["--since", "24h", "--reference", "nobody"]).await;
    assert!(ended.code == 1 && ended.stderr.starts_with("error: there is no reference nobody"), "{ended:?}");

    world.record(10, r#"{"event":"doctor","random":"1"}"#).await;
    let (ended, taken) = replay.all_taken(&mut consumer, &["--since", "15m"]).await;
    assert_eq!((ended.stdout.as_str(), taken.len()), ("0 events handed over, 1 skipped (1 of kind doctor)\n", 0));
    let (_, taken) = replay.all_taken(&mut consumer, &["--since", "15m", "--kind", "doctor"]).await;
    assert_eq!(taken, ids(&world, &[10]));
}

#[tokio::test]
async fn a_refused_event_ends_the_replay_and_resume_continues_with_it() {
    let world = World::start("replay-refused").await;
    let recorded = record_some(&world, 5).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let (first, second, third) = (&recorded[0], &recorded[1], &recorded[2]);
    let to = replay.url.replace("/in/s3cret?key=s3cret", "/in/***");
    for (status, body, arguments, said) in [
        (500, "out of \u{1b}[2Jorder\nmore", &["--since", "2h"][..], "500: out of \u{fffd}[2Jorder. "),
        (307, "", &["--since", "2h", "--resume"], "307; redirects are not followed. "),
        (302, "", &["--since", "2h", "--resume"], "302; redirects are not followed. "),
        (404, "Cannot POST /in/s3cret?key=s3cret", &["--since", "2h", "--resume"], "404: Cannot POST ***?***. "),
    ] {
        let running = replay.ended(arguments);
        let answering = async {
            if !arguments.contains(&"--resume") {
                for id in [first, second] {
                    let arrival = consumer.next().await;
                    assert_eq!(&arrival.id(), id);
                    arrival.answer(200, "");
                }
            }
            // A fault of the consumer's may pass, so it is asked once more.
            for _ in 0..if status == 500 { 2 } else { 1 } {
                let arrival = consumer.next().await;
                assert_eq!(&arrival.id(), third);
                arrival.answer(status, body);
            }
        };
        let (ended, ()) = tokio::join!(running, answering);
        let skip = match status {
            400 | 404 | 422 => format!("Leave it out with --skip {third}. "),
            _ => format!("Check {to}1ec1?*** first. "),
        };
        let start = format!("error: event {third} was not accepted: {said}{skip}2 events handed over to {to}");
        let end = " before; continue with: cargo hooks replay --rate 1000 --to URL --since 2h --resume\n";
        assert!(ended.stderr.starts_with(&start) && ended.stderr.ends_with(end), "{start}…{end}\n{}", ended.stderr);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    }
    let anew = replay.ended(&["--since", "2h"]).await;
    let start =
        format!("error: this replay was started before and has not come to its end: 2 events handed over to {to}");
    let end = format!(", the last one {second}; --resume continues after that, --restart starts from the beginning\n");
    assert!(anew.code == 1 && anew.stderr.starts_with(&start) && anew.stderr.ends_with(&end), "{}", anew.stderr);
    assert_eq!(consumer.waiting(), 0);

    let (resumed, taken) = replay.all_taken(&mut consumer, &["--since", "2h", "--resume"]).await;
    assert_eq!((resumed.code, resumed.stdout.as_str()), (0, "5 events handed over\n"));
    assert_eq!(taken, recorded[2..]);
    let nothing_left = replay.ended(&["--since", "2h", "--resume"]).await;
    assert!(nothing_left.stderr.starts_with("error: there is nothing to resume: "), "{}", nothing_left.stderr);
    assert_eq!((nothing_left.code, replay.files()), (1, Vec::new()));
}

#[tokio::test]
async fn nobody_there_and_no_answer_end_it() {
    let world = World::start("replay-nobody").await;
    let recorded = record_some(&world, 1).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let child = replay.start(&["--since", "2h"]);
    let held = consumer.next().await;
    let ended = child.wait_with_output().await.unwrap();
    drop(held);
    let said = String::from_utf8(ended.stderr).unwrap();
    let message = format!("error: event {} was not accepted: no answer: none within 10 s. Check http", recorded[0]);
    assert!(ended.status.code() == Some(1) && said.starts_with(&message), "{said}");

    let nobody = Replay { world: &world, url: "http://127.0.0.1:1/in/s3cret".to_owned() };
    let ended = nobody.ended(&["--since", "2h", "--output", "json"]).await;
    assert!(ended.code == 1 && ended.stderr.contains(" was not accepted: no answer: "), "{}", ended.stderr);
    assert_eq!(objects(&ended.stdout)[0]["complete"], false);
}

#[tokio::test]
async fn a_killed_replay_continues_where_it_stopped() {
    let world = World::start("replay-killed").await;
    let recorded = record_some(&world, 12).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    // Before it is answered, and right after that, when it is known or not yet.
    let kills = [(0, false), (2, true), (1, false), (3, true), (0, true)];
    let mut taken = Vec::new();
    for (run, (arrivals, answered)) in kills.into_iter().enumerate() {
        let mut child = replay.start(if run == 0 { &["--since", "2h"] } else { &["--since", "2h", "--resume"] });
        for _ in 0..arrivals {
            let arrival = consumer.next().await;
            taken.push(arrival.id());
            arrival.answer(200, "");
        }
        let last = consumer.next().await;
        taken.push(last.id());
        let last = if answered {
            last.answer(200, "");
            None
        } else {
            Some(last)
        };
        child.kill().await.unwrap();
        drop(last);
        while let Ok(arrival) = tokio::time::timeout(Duration::ZERO, consumer.next()).await {
            taken.push(arrival.id());
        }
    }
    let (ended, rest) = replay.all_taken(&mut consumer, &["--since", "2h", "--resume"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "12 events handed over\n"));
    taken.extend(rest);
    assert!(taken.is_sorted(), "in order: {taken:?}");
    let mut once = taken.clone();
    once.dedup();
    assert_eq!(once, recorded, "each of them");
    assert!(taken.len() - once.len() <= kills.len(), "at most one twice for each kill: {taken:?}");
    assert_eq!(replay.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_resumed_replay_has_the_times_that_were_meant_at_its_start() {
    let world = World::start("replay-times").await;
    let recorded = record_some(&world, 3).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let mut child = replay.start(&["--since", "61m"]);
    let held = consumer.next().await;
    child.kill().await.unwrap();
    drop(held);
    let checkpoint = replay.files().into_iter().find(|file| file.extension().is_some_and(|end| end == "json")).unwrap();
    assert_eq!(fs::metadata(&checkpoint).unwrap().permissions().mode() & 0o777, 0o600);
    // As if two hours had passed.
    let mut kept: Value = serde_json::from_slice(&fs::read(&checkpoint).unwrap()).unwrap();
    kept["since"] = world.ago(180).to_string().into();
    kept["until"] = (world.ago(60).plus(Duration::from_secs(2))).to_string().into();
    fs::write(&checkpoint, kept.to_string()).unwrap();
    let (_, taken) = replay.all_taken(&mut consumer, &["--since", "61m", "--resume"]).await;
    assert_eq!(taken, recorded[..2]);
    // Read again, it means another time.
    let (_, taken) = replay.all_taken(&mut consumer, &["--since", "61m"]).await;
    assert_eq!(taken, recorded);
}

#[tokio::test]
async fn restart_starts_from_the_beginning_and_only_one_runs_at_a_time() {
    let world = World::start("replay-restart").await;
    let recorded = record_some(&world, 3).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let mut child = replay.start(&["--since", "2h"]);
    consumer.next().await.answer(200, "");
    let held = consumer.next().await;
    for arguments in [&["--since", "2h"][..], &["--since", "2h", "--resume"], &["--since", "2h", "--restart"]] {
        let second = replay.ended(arguments).await;
        let message = "error: the same replay is already running; wait for it to end, or end it first\n";
        assert_eq!((second.code, second.stderr.as_str()), (1, message), "{arguments:?}");
    }
    child.kill().await.unwrap();
    drop(held);
    // Other events, or another consumer, are another replay.
    let (other, taken) = replay.all_taken(&mut consumer, &["--since", "2h", "--until", "1m"]).await;
    assert_eq!((other.code, taken), (0, recorded.clone()));
    let mut elsewhere = Consumer::start().await;
    let (other, taken) = Replay::new(&world, &elsewhere).all_taken(&mut elsewhere, &["--since", "2h"]).await;
    assert_eq!((other.code, taken), (0, recorded.clone()));
    let (ended, taken) = replay.all_taken(&mut consumer, &["--since", "2h", "--restart"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "3 events handed over\n"));
    assert_eq!(taken, recorded);
}

#[tokio::test]
async fn ctrl_c_ends_it_between_two_events() {
    let world = World::start("replay-interrupted").await;
    let recorded = record_some(&world, 3).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let child = replay.start(&["--since", "2h"]);
    let held = consumer.next().await;
    let process = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.unwrap().success());
    held.answer(200, "");
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && said.starts_with("error: interrupted. 1 event handed over to "),
        "{said}"
    );
    let (_, taken) = replay.all_taken(&mut consumer, &["--since", "2h", "--resume"]).await;
    assert_eq!(taken, recorded[1..]);
}

#[tokio::test]
async fn ctrl_c_ends_it_while_events_are_read() {
    let world = World::start("replay-interrupted-reading").await;
    record_some(&world, 1).await;
    let faults = Faults::before(&world.dynamodb_url()).await.unwrap();
    world.reach_dynamodb_by(&faults.url());
    let consumer = Consumer::start().await;
    let held = faults.hold(0, Point::Before);
    let child = Replay::new(&world, &consumer).start(&["--since", "2h"]);
    let holding = timeout(Duration::from_secs(60), held.reached()).await.unwrap().unwrap();
    let process = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.unwrap().success());
    let ended = child.wait_with_output().await.unwrap();
    drop(holding);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.starts_with("error: interrupted. 0 events handed over to "), "{said}");
    assert_eq!(ended.status.code(), Some(1));
}

#[tokio::test]
async fn the_url_can_come_from_standard_input() {
    let world = World::start("replay-stdin").await;
    let recorded = record_some(&world, 2).await;
    let mut consumer = Consumer::start().await;
    let from_stdin = Replay { url: "-".to_owned(), ..Replay::new(&world, &consumer) };
    let run = async |arguments: &[&str], lines: &str| {
        let mut child = from_stdin.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap()
    };
    let url = format!("  {}\nhttp://127.0.0.1:1/\n", consumer.url());
    let answering = async {
        consumer.next().await.answer(200, "");
        consumer.next().await.answer(400, "");
    };
    let (ended, ()) = tokio::join!(run(&["--since", "2h"], &url), answering);
    let said = String::from_utf8(ended.stderr).unwrap();
    let end = "; continue with: cargo hooks replay --rate 1000 --to - --since 2h --resume\n";
    assert!(said.ends_with(end) && !said.contains("s3cret"), "{said}");
    // The replay is the same however the URL is passed.
    let (ended, taken) = Replay::new(&world, &consumer).all_taken(&mut consumer, &["--since", "2h", "--resume"]).await;
    assert_eq!((ended.code, &taken[..]), (0, &recorded[1..]));
    let ended = run(&["--since", "2h"], "").await;
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && said.contains("--to is neither bus nor forward, and not an absolute URL"),
        "{said}"
    );
}

#[tokio::test]
async fn no_more_than_the_rate_are_handed_over() {
    let world = World::start("replay-rate").await;
    record_some(&world, 4).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let arguments = ["replay", "--since", "2h", "--rate", "4", "--to", &replay.url];
    let state = replay.state();
    let started = Instant::now();
    let running = program::run(hooks(world.project(), &arguments, &[("XDG_STATE_HOME", state.to_str().unwrap())]));
    let answering = async {
        for _ in 0..4 {
            consumer.next().await.answer(200, "");
        }
    };
    let (ended, ()) = tokio::join!(running, answering);
    assert_eq!(ended.code, 0);
    assert!(started.elapsed() >= Duration::from_millis(750), "a quarter of a second lies between two of them");
}

#[tokio::test]
async fn neither_the_provider_nor_the_webhook_gets_them() {
    let world = World::start("replay-refusals").await;
    world.fill().await;
    let consumer = Consumer::start().await;
    for (url, message) in [
        ("http://127.0.0.1:9001/in", "error: 127.0.0.1 is the provider's; --to is the URL of your own endpoint"),
        ("https://api.99digital.co.il/whatsapp", "error: api.99digital.co.il is the provider's; --to is the URL"),
        ("http://localhost:9000/v1/webhook/t", "error: localhost is this webhook's own address: it would record"),
        ("http://example.com/s3cret", "error: the URL of --to does not begin with https://, or for a loopback address"),
        (
            "example.com/s3cret",
            "error: --to is neither bus nor forward, and not an absolute URL such as https://example.com/",
        ),
    ] {
        let replay = Replay { url: url.to_owned(), ..Replay::new(&world, &consumer) };
        let refused = replay.ended(&["--since", "2h"]).await;
        assert!(refused.code == 1 && refused.stderr.starts_with(message), "{url}: {}", refused.stderr);
        assert_eq!(replay.files(), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_missing_event_is_found_before_anything_is_posted() {
    let world = World::start("replay-not-there").await;
    world.fill().await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let (there, nowhere) = (world.id(50).to_string(), EventId::new(world.ago(10), [7; 8]).to_string());
    let refused = replay.ended(&[&there, &nowhere]).await;
    let message = format!("error: there is no event {nowhere}; if it came just now, try again\n");
    assert_eq!((refused.code, refused.stderr), (1, message));
    let nobody = replay.ended(&["--since", "2h", "--entity", "whatsapp#1"]).await;
    assert_eq!((nobody.code, consumer.waiting(), replay.files()), (1, 0, Vec::new()));
    for arguments in [
        &[][..],
        &["--until", "1h"],
        &[&there, "--since", "2h"],
        &[&there, "--until", "1h"],
        &[&there, "--entity", LINE],
        &["--since", "2h", "--resume", "--restart"],
        &["--since", "1h", "--until", "2h"],
        &["--since", "2h", "--again"],
        &["--since", "2h", "--skip", "42"],
        &["42"],
    ] {
        let ended = replay.ended(arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?} {ended:?}");
    }
    for rate in ["0", "1001", "fast"] {
        let ended = world.hooks(&["replay", "--since", "2h", "--rate", rate, "--to", &replay.url]).await;
        assert_eq!(ended.code, 2, "{rate}");
    }
}

/// A `hooks replay` to a place that is no consumer of the test's.
fn to<'a>(world: &'a World, url: &str) -> Replay<'a> {
    Replay { world, url: url.to_owned() }
}

#[tokio::test]
async fn events_are_signed_as_the_forwarder_signs_them() {
    let world = World::start("replay-signed").await;
    let recorded = record_some(&world, 2).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    let ended = to(&world, &endpoint.url()).ended(&["--since", "2h"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(endpoint.received().iter().all(|call| call.is_verified), "{:?}", endpoint.received());
    assert_eq!(endpoint.taken(), recorded);
    // The secret is being replaced, and the endpoint has the old one still.
    world.secrets.put("forward", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    to(&world, &endpoint.url()).ended(&["--since", "2h"]).await;
    let call = endpoint.received().pop().unwrap();
    assert!(call.is_verified && call.signature.split(' ').count() == 2, "{}", call.signature);
}

#[tokio::test]
async fn without_the_secret_events_are_sent_unsigned_and_that_is_said() {
    let world = World::start("replay-unsigned").await;
    record_some(&world, 1).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    let replay = to(&world, &endpoint.url());
    world.secrets.delete("forward");
    let ended = replay.ended(&["--since", "2h"]).await;
    let note = "The events are not signed: the secret has no value; put one there: whsec_ and";
    assert!(ended.code == 0 && ended.stderr.starts_with(note), "{}", ended.stderr);
    world.forward_nowhere();
    let ended = replay.ended(&["--since", "2h"]).await;
    let note = "The events are not signed: forwarding is off: this local run has no forwarder; ";
    assert!(ended.code == 0 && ended.stderr.starts_with(note), "{}", ended.stderr);
    assert!(endpoint.received().iter().all(|call| call.signature.is_empty()));
    assert_eq!(endpoint.received().len(), 2);
}

#[tokio::test]
async fn a_busy_endpoint_is_asked_once_more() {
    let world = World::start("replay-busy").await;
    let recorded = record_some(&world, 3).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    endpoint.reply([Reply::Status(503), Reply::Status(200), Reply::RetryAfter(429, "0".to_owned())]);
    let replay = to(&world, &endpoint.url());
    let ended = replay.ended(&["--since", "2h"]).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "3 events handed over\n", ""));
    let order: Vec<usize> =
        endpoint.received().iter().map(|call| recorded.iter().position(|id| *id == call.id).unwrap()).collect();
    assert_eq!(order, [0, 0, 1, 1, 2]);
    // Not twice, and not for longer than a minute.
    for (replies, calls) in [
        (vec![Reply::RetryAfter(503, "0".to_owned()), Reply::RetryAfter(503, "0".to_owned())], 2),
        (vec![Reply::RetryAfter(429, "3600".to_owned())], 1),
        (vec![Reply::Status(400)], 1),
    ] {
        let before = endpoint.received().len();
        endpoint.reply(replies);
        let ended = replay.ended(&["--since", "2h", "--restart"]).await;
        assert_eq!((ended.code, endpoint.received().len() - before), (1, calls), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_event_that_is_refused_for_ever_can_be_left_out() {
    let world = World::start("replay-skip").await;
    let recorded = record_some(&world, 4).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    endpoint.always(Some((&recorded[1], Reply::Status(400))));
    let replay = to(&world, &endpoint.url());
    let stopped = replay.ended(&["--since", "2h"]).await;
    let message = format!("error: event {} was not accepted: 400. Leave it out with --skip {0}. ", recorded[1]);
    assert!(stopped.code == 1 && stopped.stderr.starts_with(&message), "{}", stopped.stderr);
    let resumed =
        replay.ended(&["--since", "2h", "--resume", "--skip", &recorded[1], "--skip", &recorded[3][28..]]).await;
    let summary = "2 events handed over, 2 skipped (2 named by --skip)\n";
    assert_eq!((resumed.code, resumed.stdout.as_str(), resumed.stderr.as_str()), (0, summary, ""));
    assert_eq!(endpoint.taken(), [recorded[0].clone(), recorded[2].clone()]);
}

#[tokio::test]
async fn a_replay_that_keeps_going_lists_the_refused_events_at_its_end() {
    let world = World::start("replay-keep-going").await;
    let recorded = record_some(&world, 5).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    endpoint.always(Some((&recorded[1], Reply::Status(400))));
    endpoint.reply([Reply::Status(200), Reply::Status(404)]);
    let replay = to(&world, &endpoint.url());
    let ended = replay.ended(&["--since", "2h", "--keep-going"]).await;
    let summary = format!("3 events handed over, 2 refused:\n  {}  400\n  {}  404\n", recorded[1], recorded[2]);
    assert_eq!((ended.code, ended.stdout, ended.stderr.as_str()), (1, summary, ""));
    assert_eq!(endpoint.taken(), [&recorded[..1], &recorded[3..]].concat());
    assert_eq!(replay.files(), Vec::<PathBuf>::new(), "it is complete");
    let ended = replay.ended(&["--since", "2h", "--keep-going", "--output", "json"]).await;
    let summary = objects(&ended.stdout).remove(0);
    assert_eq!(summary["refused"], json!([{ "id": recorded[1], "answer": "400" }]));
    assert_eq!((ended.code, &summary["handed_over"], &summary["complete"]), (1, &json!(4), &json!(true)));
}

#[tokio::test]
async fn a_resumed_replay_still_knows_what_was_refused_before() {
    let world = World::start("replay-refused-before").await;
    let recorded = record_some(&world, 3).await;
    let mut consumer = Consumer::start().await;
    let replay = Replay::new(&world, &consumer);
    let mut child = replay.start(&["--since", "2h", "--keep-going"]);
    consumer.next().await.answer(400, "no");
    let held = consumer.next().await;
    child.kill().await.unwrap();
    drop(held);
    let (ended, taken) = replay.all_taken(&mut consumer, &["--since", "2h", "--keep-going", "--resume"]).await;
    assert_eq!((ended.code, taken), (1, recorded[1..].to_vec()));
    assert_eq!(ended.stdout, format!("2 events handed over, 1 refused:\n  {}  400: no\n", recorded[0]));
}

#[tokio::test]
async fn a_replay_that_keeps_going_ends_after_a_thousand_refusals_of_its_own() {
    let world = World::start("replay-many-refused").await;
    let recorded = record_some(&world, 5).await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    let replay = to(&world, &endpoint.url());
    endpoint.reply([Reply::Status(400)]);
    assert_eq!(replay.ended(&["--since", "2h"]).await.code, 1);
    // An earlier run that kept going had this many refused.
    let refused_before = |number: usize| {
        let [file] = replay.files().try_into().unwrap();
        let mut checkpoint: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        checkpoint["refused"] = vec![json!({ "id": recorded[0], "answer": "400" }); number].into();
        fs::write(file, checkpoint.to_string()).unwrap();
    };
    refused_before(999);
    for id in &recorded {
        endpoint.always(Some((id, Reply::Status(400))));
    }
    let ended = replay.ended(&["--since", "2h", "--keep-going", "--resume"]).await;
    let summary = ended.stdout.lines().next().unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""), "{summary}");
}

#[tokio::test]
async fn stored_events_are_put_on_the_bus_again_and_say_so() {
    let world = World::start("replay-bus").await;
    world.fill().await;
    world.event_bus.refuse([Some("ThrottlingException")]);
    let replay = to(&world, "bus");
    let ended = replay.ended(&["--since", "24h"]).await;
    let summary = "3 events handed over, 2 skipped (1 duplicate, 1 undecodable)\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, summary, ""));
    let entries = world.event_bus.entries();
    let put: Vec<String> = entries.iter().map(|entry| entry.detail["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(put, ids(&world, &[50, 40, 30]));
    for entry in &entries {
        assert_eq!((entry.bus.as_str(), entry.source.as_str()), ("hooks", "partner-webhook"));
        assert_eq!(entry.detail["replayed"], true);
    }
    let body = entries[0].detail["body"].as_str().unwrap();
    assert!(body.contains(r#""whatsapp_apiKey":"[sealed]""#), "{body}");

    world.event_bus.refuse([Some("MalformedDetail")]);
    let refused = replay.ended(&["--since", "24h"]).await;
    let message = format!(
        "error: event {} was not accepted: the event bus: MalformedDetail: refused by the stand-in. Leave it out with",
        world.id(50)
    );
    assert!(refused.code == 1 && refused.stderr.starts_with(&message), "{}", refused.stderr);
    let end = "0 events handed over to the event bus before; continue with: cargo hooks replay --rate 1000 --to bus --since 24h --resume\n";
    assert!(refused.stderr.ends_with(end), "{}", refused.stderr);
}

#[tokio::test]
async fn only_events_that_the_endpoint_has_not_taken_go_into_the_forward_queue() {
    let world = World::start("replay-forward").await;
    world.fill().await;
    let line = Entity::named(LINE);
    let taken = ForwardTaken { taken_at: world.ago(1), attempts: 1 };
    world.forward_records().record_taken(&line, &world.id(50), taken, None, false).await.unwrap();
    let replay = to(&world, "forward");
    let queued = || -> Vec<(String, bool)> {
        let messages = world.sqs.bodies(Name::Forward).into_iter().map(|body| ForwardMessage::parse(&body).unwrap());
        messages.map(|message| (message.id().to_string(), message.is_again())).collect()
    };
    let ended = replay.ended(&["--since", "24h"]).await;
    let summary = "2 events handed over, 3 skipped (1 duplicate, 1 undecodable, 1 accepted before)\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, summary, ""));
    let [older, newer, bot] = [50, 40, 30].map(|minutes| world.id(minutes).to_string());
    assert_eq!(queued(), [(newer.clone(), false), (bot.clone(), false)]);
    let ended = replay.ended(&[&older, "--again"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "1 event handed over\n"));
    assert_eq!(queued(), [(newer, false), (bot, false), (older, true)]);
}

#[tokio::test]
async fn a_destination_that_is_off_says_how_to_turn_it_on() {
    let world = World::start("replay-off").await;
    world.hand_nothing_on();
    for (url, message) in [
        ("bus", "error: this local run has no event bus; start one with `cargo hooks dev`\n"),
        ("forward", "error: forwarding is off: this local run has no forwarder; start one with `cargo hooks dev`\n"),
    ] {
        let ended = to(&world, url).ended(&["--since", "2h"]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (1, message), "{url}");
    }
}
