//! Many receivers at once on one line, with duplicates, conflicts and redrives mixed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the counts are the result"
)]

mod common;

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use common::{Answer, World, call, send, update};
use emulators::faults::Fault;
use futures_util::future::join_all;
use shared::Entity;
use store::Reader;

const RECEIVERS: usize = 4;
const REDRIVES: usize = 2;
const CALLS_EACH: usize = 60;

/// So that about a tenth of the calls goes through the queue.
fn chances() -> Vec<(f64, Fault)> {
    vec![
        (0.10, Fault::Conflict),
        (0.20, Fault::InternalError),
        (0.10, Fault::CarryOutAndDrop),
        (0.10, Fault::CarryOutAndFail),
        (0.02, Fault::Hang),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_and_redrives_at_once_on_one_line_record_every_event_once() {
    let world = &World::start().await;
    let receivers = join_all((0..RECEIVERS).map(|_| world.receiver())).await;
    let redrives = join_all((0..REDRIVES).map(|_| world.redrive())).await;
    // All are started and have read the tokens before the trouble begins.
    let first = call(&update(0, 1_000));
    let mut answers = join_all(receivers.iter().map(|receiver| send(receiver, &first))).await;
    world.to_dynamodb.by_chance(chances());

    let done = &AtomicBool::new(false);
    let sending = async {
        let each = receivers.iter().map(async |receiver| {
            let mut answers = Vec::new();
            for n in 0..CALLS_EACH {
                // Runs of the same body, from all receivers at about the same time.
                answers.push(send(receiver, &call(&update(0, n / 3 % 7))).await);
            }
            answers
        });
        let answers: Vec<Answer> = join_all(each).await.into_iter().flatten().collect();
        done.store(true, Ordering::SeqCst);
        answers
    };
    let redriving = join_all(redrives.iter().map(async |redrive| {
        let mut redriven = 0;
        while !done.load(Ordering::SeqCst) {
            world.sqs.show_all();
            redriven += world.redrive_round(redrive).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        redriven
    }));
    let (sent, redriven) = tokio::join!(sending, redriving);
    answers.extend(sent);

    // Some are held up in the queue while newer ones are recorded: they come last and must not turn the state back.
    world.to_dynamodb.recover().unwrap();
    world.to_dynamodb.refuse();
    let held_up: Vec<String> = (0..RECEIVERS).map(|n| call(&update(0, 2_000 + n))).collect();
    answers.extend(join_all(receivers.iter().zip(&held_up).map(|(receiver, call)| send(receiver, call))).await);
    assert!(world.sqs.queued().len() >= RECEIVERS);
    world.to_dynamodb.recover().unwrap();
    answers.push(send(&receivers[0], &call(&update(0, 3_000))).await);
    world.check_kept(&answers).await;

    let last = world.recover_and_drain().await;
    let functions: Vec<_> = receivers.iter().chain(&redrives).chain([&last]).collect();
    world.check_all(answers.len(), &answers, &functions).await;
    let acknowledged: HashSet<String> = answers.iter().filter_map(Answer::id).collect();
    let stored = world.stored_ids().await;
    assert_eq!((acknowledged.len(), stored.len()), (answers.len(), answers.len()));
    let reader = Reader::new(world.dynamodb.client(), world.dynamodb.events_table());
    let state = reader.state(&Entity::named("whatsapp#972500000000")).await.unwrap().unwrap();
    assert_eq!(state.extra_info().unwrap().as_str(), "3000");
    // The number depends on the order, but the same body comes twelve times in a row.
    assert!(state.duplicates >= 10, "{} duplicates", state.duplicates);
    let queued = functions.iter().flat_map(|function| function.log()).filter(|line| line.contains("delivery queued"));
    println!(
        "{} calls, {} of them duplicates, {} queued, {} hand-outs to redrive",
        answers.len(),
        state.duplicates,
        queued.count(),
        redriven.iter().sum::<usize>()
    );
}
