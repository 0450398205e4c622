//! A long run with everything at once: several receivers, two redrives, random faults, outages and SIGKILLs. Not among the
//! default tests:
//!
//! `EVENTS=100000 cargo test --workspace --test soak -- --nocapture`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the counts are the result"
)]

mod common;

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use common::{Answer, World, call, send, update};
use emulators::{faults::Fault, runtime_api::Function, sqs::Rules};
use futures_util::future::join_all;

const RECEIVERS: usize = 6;
const REDRIVES: usize = 2;
const LINES: usize = 1_000;
/// The receiver is killed during one call of this many.
const CALLS_PER_KILL: usize = 1_000;

fn at_dynamodb() -> Vec<(f64, Fault)> {
    vec![
        (0.010, Fault::Conflict),
        (0.010, Fault::InternalError),
        (0.005, Fault::Throttle),
        (0.005, Fault::CarryOutAndDrop),
        (0.005, Fault::CarryOutAndFail),
        (0.002, Fault::Garbage),
        (0.001, Fault::Hang),
        (0.001, Fault::CarryOutAfter(Duration::from_secs(3))),
    ]
}

fn at_sqs() -> Vec<(f64, Fault)> {
    vec![(0.05, Fault::InternalError), (0.05, Fault::CarryOutAndDrop), (0.01, Fault::Hang)]
}

/// Sends a call; now and then the receiver is killed meanwhile.
async fn send_or_kill(receiver: &Function, call: &str, kills: &AtomicUsize) -> Answer {
    if fastrand::usize(..CALLS_PER_KILL) > 0 {
        return send(receiver, call).await;
    }
    let killing = async {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..15))).await;
        receiver.kill().await;
    };
    let (answer, ()) = tokio::join!(send(receiver, call), killing);
    kills.fetch_add(1, Ordering::SeqCst);
    receiver.restart().await.unwrap();
    answer
}

/// Sends calls until all are sent.
async fn send_all(receiver: &Function, left: &AtomicUsize, kills: &AtomicUsize) -> Vec<Answer> {
    let mut answers = Vec::new();
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let body = update(fastrand::usize(..LINES), fastrand::usize(..3));
        answers.push(send_or_kill(receiver, &call(&body), kills).await);
    }
    answers
}

/// DynamoDB is away for a second out of twenty; every third time SQS is away for a part of it as well.
async fn break_things(world: &World) {
    for outage in 1.. {
        tokio::time::sleep(Duration::from_secs(19)).await;
        world.to_dynamodb.refuse();
        if outage % 3 == 0 {
            world.to_sqs.refuse();
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.to_sqs.recover().unwrap();
            world.to_sqs.by_chance(at_sqs());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.to_dynamodb.recover().unwrap();
        world.to_dynamodb.by_chance(at_dynamodb());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_events_every_acknowledged_one_is_found_and_none_twice() {
    let events = std::env::var("EVENTS").map_or(100_000, |events| events.parse().unwrap());
    let started = Instant::now();
    // Messages come back at once, so that many are handed out twice.
    let world = &World::with_rules(Rules { visibility: Duration::from_secs(1), most_receives: 1_000_000 }).await;
    let receivers = join_all((0..RECEIVERS).map(|_| world.receiver())).await;
    let redrives = join_all((0..REDRIVES).map(|_| world.redrive())).await;
    world.to_dynamodb.by_chance(at_dynamodb());
    world.to_sqs.by_chance(at_sqs());

    let (left, kills, done) = (&AtomicUsize::new(events), &AtomicUsize::new(0), &AtomicBool::new(false));
    let sending = async {
        let answers = join_all(receivers.iter().map(|receiver| send_all(receiver, left, kills))).await;
        done.store(true, Ordering::SeqCst);
        answers.into_iter().flatten().collect::<Vec<_>>()
    };
    let redriving = join_all(redrives.iter().map(async |redrive| {
        let mut handed_out = 0;
        while !done.load(Ordering::SeqCst) {
            match world.redrive_round(redrive).await {
                0 => tokio::time::sleep(Duration::from_millis(200)).await,
                count => handed_out += count,
            }
        }
        handed_out
    }));
    let (answers, handed_out) = tokio::select! {
        both = async { tokio::join!(sending, redriving) } => both,
        () = break_things(world) => unreachable!("it never ends"),
    };
    let sent_in = started.elapsed();
    world.check_kept(&answers).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let last = world.recover_and_drain().await;
    let functions: Vec<_> = receivers.iter().chain(&redrives).chain([&last]).collect();
    world.check_all(answers.len(), &answers, &functions).await;

    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    let acknowledged: HashSet<String> = answers.iter().filter_map(Answer::id).collect();
    assert_eq!(acknowledged.len(), with(Some(200)), "an id was given twice");
    let duplicates = answers.iter().filter(|answer| answer.body.get("duplicate_of").is_some()).count();
    let queued = functions.iter().flat_map(|function| function.log()).filter(|line| line.contains("delivery queued"));
    let slowest = answers.iter().map(|answer| answer.took).max().unwrap();
    println!(
        "{} calls in {} s: {} acknowledged ({duplicates} of them as duplicates at once), {} answered 503, {} without an answer \
         ({} kills)\n{} were queued, {} hand-outs to redrive\n{} stand in the table; the slowest answer took {} ms",
        answers.len(),
        sent_in.as_secs(),
        acknowledged.len(),
        with(Some(503)),
        with(None),
        kills.load(Ordering::SeqCst),
        queued.count(),
        handed_out.iter().sum::<usize>(),
        world.stored_ids().await.len(),
        slowest.as_millis(),
    );
}
