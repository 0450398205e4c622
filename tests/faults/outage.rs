//! DynamoDB that accepts every request and answers none, and one execution environment that is handed event after event.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the times are the result"
)]

mod common;

use std::{collections::HashSet, time::Duration};

use common::{Answer, World, call, logged, send, update};
use emulators::faults::Fault;

/// Events that follow the two timeouts. They take much less time than the breaker stays open.
const EVENTS: usize = 100;

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_waits_twice_for_a_dynamodb_that_does_not_answer_and_then_queues_at_once() {
    let world = World::start().await;
    let receiver = world.receiver().await;
    let mut answers = vec![send(&receiver, &call(&update(0, 0))).await];
    world.to_dynamodb.always(Fault::Hang);
    world.to_dynamodb.take_seen();

    let mut send_next = async |line| {
        let answer = send(&receiver, &call(&update(line, 1))).await;
        answers.push(answer.clone());
        (answer.took, world.to_dynamodb.take_seen().len())
    };
    let mut waited = [send_next(1).await, send_next(2).await];
    assert!(waited.iter().all(|(_, requests)| *requests > 0), "{waited:?}");
    let mut queued = Vec::new();
    for line in 3..3 + EVENTS {
        let (took, requests) = send_next(line).await;
        assert_eq!(requests, 0, "DynamoDB is called although it did not answer twice");
        queued.push(took);
    }
    assert!(logged(&receiver, &["deliveries go straight to the fallback queue"]).await, "{:#?}", receiver.log());

    let acknowledged: HashSet<String> = answers.iter().filter_map(Answer::id).collect();
    assert_eq!(acknowledged.len(), answers.len());
    world.check_kept(&answers).await;
    let redrive = world.recover_and_drain().await;
    world.check_all(answers.len(), &answers, &[&receiver, &redrive]).await;
    let before = median(&mut waited.each_mut().map(|(took, _)| *took));
    println!(
        "an event holds its environment for {} ms while it waits for DynamoDB, and for {:.1} ms when it is queued at once",
        before.as_millis(),
        median(&mut queued).as_secs_f64() * 1_000.0,
    );
}
