//! Many events of many entities, with random faults of every peer. `EVENTS=10000` sets the number of events, `SEED` repeats the dice of
//! an earlier run.

use std::time::{Duration, Instant};

use emulators::{endpoint::Reply, faults::Fault};

use crate::{in_process::InProcess, world::Peer};

const ENTITIES: usize = 200;

/// Number of events recorded between two rounds of the publisher.
const AT_A_TIME: usize = 50;

fn at_aws() -> Vec<(f64, Fault)> {
    vec![
        (0.020, Fault::InternalError),
        (0.010, Fault::Throttle),
        (0.010, Fault::CarryOutAndDrop),
        (0.010, Fault::CarryOutAndFail),
        (0.010, Fault::HalfAnAnswer),
        (0.002, Fault::Garbage),
        (0.002, Fault::NotHttp),
        (0.0003, Fault::Hang),
    ]
}

fn at_endpoint() -> Vec<(f64, Fault)> {
    vec![
        (0.020, Fault::CarryOutAndDrop),
        (0.010, Fault::CarryOutAndFail),
        (0.010, Fault::HalfAnAnswer),
        (0.005, Fault::NotHttp),
        (0.001, Fault::Hang),
    ]
}

/// Returns an endpoint's reply to one call.
fn reply() -> Reply {
    match fastrand::u32(..100) {
        0..4 => Reply::Status(500),
        4..6 => Reply::Status(404),
        6..8 => Reply::RetryAfter(429, fastrand::u32(..600).to_string()),
        8 => Reply::Redirect("http://127.0.0.1:1/".to_owned()),
        9 => Reply::Status(503),
        _ => Reply::Status(200),
    }
}

/// Returns the refusals of a request's entries, one each.
fn refusals(code: &'static str) -> Vec<Option<&'static str>> {
    (0..AT_A_TIME).map(|_| (fastrand::u32(..100) < 3).then_some(code)).collect()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

// On one thread, whose dice the seed determines.
#[tokio::test]
async fn of_many_events_with_random_faults_every_one_is_taken_and_the_order_of_each_entity_is_kept() {
    let events = usize::try_from(number("EVENTS", 500)).unwrap();
    let seed = number("SEED", fastrand::u64(..));
    println!("SEED={seed} EVENTS={events}");
    fastrand::seed(seed);
    let started = Instant::now();
    let run = InProcess::start().await;
    for peer in [Peer::DynamoDb, Peer::Bus, Peer::Sqs, Peer::SecretsManager] {
        run.world.link(peer).by_chance(at_aws());
    }
    run.world.link(Peer::Endpoint).by_chance(at_endpoint());
    let (mut left, mut batches) = (events, 0);
    while left > 0 {
        for _ in 0..left.min(AT_A_TIME) {
            run.record(fastrand::usize(..ENTITIES)).await;
        }
        left -= left.min(AT_A_TIME);
        run.world.bus.refuse(refusals("InternalFailure"));
        run.world.sqs.refuse(refusals("ServiceUnavailable"));
        run.world.endpoint.reply((0..AT_A_TIME).map(|_| reply()));
        batches += usize::from(run.publish_round().await);
        run.forward_visible().await;
        run.pass(Duration::from_secs(1));
    }
    let passed = run.forward_all().await;
    run.world.check_published();
    run.world.check_forwarded(&[]);
    run.world.check_secrets(&[]).await;
    println!(
        "{:?}, {batches} batches before the last event was recorded; the last one was taken {} min later by the test's clock; {} s",
        run.world.tally(),
        passed.as_secs() / 60,
        started.elapsed().as_secs()
    );
}
