//! SIGKILL of the receiver and of redrive at every point at which they wait: before a request is carried out, before its answer
//! is read, and while its own answer is being sent. Then the caller retries, or the queue delivers the messages again.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the counts are the result"
)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Answer, World, call, send, update};
use emulators::{
    faults::{Fault, Point},
    runtime_api::Function,
    sqs,
};
use fixtures::{noon, received};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use shared::{QueuedDelivery, TokenCheck, TokenHash};

/// The number of crashes at a time.
const AT_ONCE: usize = 8;

/// The point at which a process is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    /// Nowhere: this run counts the requests.
    None,
    AtDynamoDb(usize, Point),
    AtSqs(usize, Point),
    /// While its answer is being sent.
    AtAnswer,
}

/// Returns every point at which a run with these numbers of requests can be killed.
fn crashes(at_dynamodb: usize, at_sqs: usize) -> Vec<Crash> {
    let points = [Point::Before, Point::After];
    let at_dynamodb = (0..at_dynamodb).flat_map(|n| points.map(|point| Crash::AtDynamoDb(n, point)));
    let at_sqs = (0..at_sqs).flat_map(|n| points.map(|point| Crash::AtSqs(n, point)));
    at_dynamodb.chain(at_sqs).chain([Crash::AtAnswer]).collect()
}

/// Runs `work` with a function that is killed meanwhile. Returns the result of `work` if nothing was killed.
async fn with_crash<T>(
    world: &World,
    crash: Crash,
    function: impl AsyncFnOnce() -> Arc<Function>,
    work: impl AsyncFnOnce(Arc<Function>) -> T,
) -> (Arc<Function>, Option<T>) {
    let held = match crash {
        Crash::AtDynamoDb(n, point) => Some(world.to_dynamodb.hold(n, point)),
        Crash::AtSqs(n, point) => Some(world.to_sqs.hold(n, point)),
        Crash::None | Crash::AtAnswer => None,
    };
    let function = function().await;
    let held_answer = (crash == Crash::AtAnswer).then(|| function.hold_answer());
    let killer = async {
        let holding = if let Some(held) = held {
            held.reached().await
        } else if let Some(held_answer) = held_answer {
            held_answer.await.unwrap();
            None
        } else {
            std::future::pending().await
        };
        function.kill().await;
        drop(holding);
    };
    let result = {
        let work = work(Arc::clone(&function));
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => Some(result),
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{crash:?}: nothing is killed"),
            () = killer => {
                work.await;
                None
            }
        }
    };
    (function, result)
}

#[derive(Clone, Copy, Debug)]
enum Scenario {
    Event,
    Duplicate,
    Conflict,
    CommitAndFail,
    DynamoDbOut,
    TokensUnreadable,
    Undecodable,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario::Event,
    Scenario::Duplicate,
    Scenario::Conflict,
    Scenario::CommitAndFail,
    Scenario::DynamoDbOut,
    Scenario::TokensUnreadable,
    Scenario::Undecodable,
];

/// Runs a scenario with a cold receiver that is killed meanwhile, then sends the call again. Returns the numbers of requests.
async fn crash_receiver(scenario: Scenario, crash: Crash) -> (usize, usize) {
    let world = World::start().await;
    let mut answers = Vec::new();
    let mut calls = 0;
    let body = if matches!(scenario, Scenario::Undecodable) { json!(["no object"]) } else { update(0, 1) };
    let call = call(&body);
    if matches!(scenario, Scenario::Duplicate) {
        answers.push(send(&world.receiver().await, &call).await);
        calls += 1;
    }
    // The first request is the reading of the tokens.
    match scenario {
        Scenario::Event | Scenario::Duplicate | Scenario::Undecodable => {}
        Scenario::Conflict => {
            world.to_dynamodb.times(1, Fault::None);
            world.to_dynamodb.times(2, Fault::Conflict);
        }
        Scenario::CommitAndFail => {
            world.to_dynamodb.times(1, Fault::None);
            world.to_dynamodb.times(1, Fault::CarryOutAndFail);
        }
        Scenario::DynamoDbOut => {
            world.to_dynamodb.times(1, Fault::None);
            world.to_dynamodb.times(usize::MAX, Fault::InternalError);
        }
        Scenario::TokensUnreadable => world.to_dynamodb.always(Fault::InternalError),
    }
    world.to_dynamodb.take_seen();
    world.to_sqs.take_seen();

    calls += 1;
    let start = async || Arc::new(world.receiver().await);
    let (receiver, answer) =
        with_crash(&world, crash, start, async |receiver: Arc<Function>| send(&receiver, &call).await).await;
    assert_eq!(answer.is_some(), crash == Crash::None, "{scenario:?} {crash:?}: not killed");
    answers.extend(answer);
    let requests = (world.to_dynamodb.take_seen().len(), world.to_sqs.take_seen().len());
    if crash != Crash::None {
        receiver.restart().await.unwrap();
        let again = send(&receiver, &call).await;
        assert_eq!(again.status, Some(200), "{scenario:?} {crash:?}: {again:?}");
        answers.push(again);
        calls += 1;
    }
    world.check_kept(&answers).await;
    let redrive = world.recover_and_drain().await;
    world.check_all(calls, &answers, &[&receiver, &redrive]).await;
    requests
}

fn deliveries() -> Vec<QueuedDelivery> {
    let queued = |second: u64, body: Value, token| {
        let received = received(noon().plus(Duration::from_secs(second)), body.to_string().as_bytes());
        QueuedDelivery { received, token }
    };
    // An event, a duplicate of it, another that is still to be authenticated, one of another line, one that is no event.
    vec![
        queued(0, update(0, 1), TokenCheck::Accepted),
        queued(1, update(0, 1), TokenCheck::Accepted),
        queued(2, update(0, 2), TokenCheck::Pending(TokenHash::of(common::TOKEN))),
        queued(3, update(1, 1), TokenCheck::Accepted),
        queued(4, json!(null), TokenCheck::Accepted),
    ]
}

/// Runs redrive with a queue and kills it, then runs it again. Returns the numbers of requests, and whether it was killed: its
/// parallel writes may conflict, so the number of requests varies.
async fn crash_redrive(dynamodb_out: bool, crash: Crash) -> ((usize, usize), bool) {
    let world = World::start().await;
    let deliveries = deliveries();
    for delivery in &deliveries {
        world.sqs.send(&delivery.to_message());
    }
    if dynamodb_out {
        world.to_dynamodb.always(Fault::InternalError);
    }
    world.to_dynamodb.take_seen();
    world.to_sqs.take_seen();
    let taken = world.sqs.take();
    let event = sqs::event(&taken).to_string();
    let start = async || Arc::new(world.redrive().await);
    let (first, finished) =
        with_crash(&world, crash, start, async |redrive: Arc<Function>| redrive.invoke(&event).await).await;
    let requests = (world.to_dynamodb.take_seen().len(), world.to_sqs.take_seen().len());
    // The mapping has deleted nothing, regardless of the answer: its own crash is simulated too.
    let redrive = world.recover_and_drain().await;
    let ids: Vec<String> = deliveries.iter().map(|delivery| delivery.received.id.to_string()).collect();
    let answers: Vec<Answer> =
        ids.iter().map(|id| Answer { status: Some(200), body: json!({"id": id}), took: Duration::ZERO }).collect();
    world.check_all(deliveries.len(), &answers, &[&first, &redrive]).await;
    (requests, finished.is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_killed_anywhere_loses_and_doubles_nothing() {
    let mut all = Vec::new();
    for scenario in SCENARIOS {
        let (at_dynamodb, at_sqs) = crash_receiver(scenario, Crash::None).await;
        let crashes = crashes(at_dynamodb, at_sqs);
        println!("{scenario:?}: {at_dynamodb} requests to DynamoDB, {at_sqs} to SQS, {} crashes", crashes.len());
        all.extend(crashes.into_iter().map(|crash| (scenario, crash)));
    }
    let count = all.len();
    let runs = stream::iter(all).map(async |(scenario, crash)| {
        tokio::spawn(crash_receiver(scenario, crash)).await.map_err(|_| (scenario, crash))
    });
    let failed: Vec<_> = runs.buffered(AT_ONCE).filter_map(async |run| run.err()).collect().await;
    println!("the receiver was killed at {count} points");
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_killed_anywhere_loses_and_doubles_nothing() {
    let mut all = Vec::new();
    for dynamodb_out in [false, true] {
        let ((at_dynamodb, at_sqs), _) = crash_redrive(dynamodb_out, Crash::None).await;
        let crashes = crashes(at_dynamodb, at_sqs);
        let state = if dynamodb_out { "DynamoDB out" } else { "healthy" };
        println!("{state}: {at_dynamodb} requests to DynamoDB, {at_sqs} to SQS, {} crashes", crashes.len());
        all.extend(crashes.into_iter().map(|crash| (dynamodb_out, crash)));
    }
    let runs = stream::iter(all).map(async |(dynamodb_out, crash)| {
        tokio::spawn(crash_redrive(dynamodb_out, crash))
            .await
            .map(|(_, killed)| killed)
            .map_err(|_| (dynamodb_out, crash))
    });
    let runs: Vec<_> = runs.buffered(AT_ONCE).collect().await;
    println!("redrive was killed at {} points", runs.iter().filter(|run| matches!(run, Ok(true))).count());
    let failed: Vec<_> = runs.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
