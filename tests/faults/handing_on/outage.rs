//! An endpoint that is down for a day, and one that never takes one event. The time is the test's.

use std::time::Duration;

use emulators::endpoint::Reply;
use futures_util::future::join_all;

use crate::{in_process::InProcess, world::Peer};

const HOUR: Duration = Duration::from_secs(60 * 60);
const ENTITIES: usize = 10;

#[tokio::test]
async fn an_endpoint_that_is_down_for_a_day_gets_every_event_in_order_within_half_a_day_after() {
    let run = InProcess::start().await;
    run.world.link(Peer::Endpoint).refuse();
    for _ in 0..24 {
        for entity in 0..ENTITIES {
            run.record(entity).await;
        }
        run.publish_all().await;
        run.forward_visible().await;
        run.pass(HOUR);
    }
    assert!(run.world.endpoint.received().is_empty());
    run.world.recover();
    let passed = run.forward_all().await;
    assert!(passed <= 12 * HOUR, "{passed:?}");
    run.world.check_published();
    run.world.check_forwarded(&[]);
    println!("down for 24 h: {:?}, the last event was taken {} min after", run.world.tally(), passed.as_secs() / 60);
}

#[tokio::test]
async fn an_event_that_is_refused_for_ever_becomes_a_dead_letter_and_holds_up_its_own_entity_alone() {
    let replies = [
        ("500", Reply::Status(500)),
        ("400", Reply::Status(400)),
        ("no answer", Reply::After(Duration::from_secs(30))),
        ("redirect", Reply::Redirect("http://127.0.0.1:1/".to_owned())),
        ("429 with a day's Retry-After", Reply::RetryAfter(429, "86400".to_owned())),
    ];
    join_all(replies.map(|(name, reply)| refused_for_ever(name, reply))).await;
}

async fn refused_for_ever(name: &str, reply: Reply) {
    let run = InProcess::start().await;
    let mut others = Vec::new();
    let refused = run.record(0).await;
    for number in 0..ENTITIES * 4 {
        let entity = number % ENTITIES;
        let id = run.record(entity).await;
        if entity > 0 {
            others.push(id);
        }
    }
    run.world.endpoint.always(Some((&refused, reply)));
    run.publish_all().await;
    run.forward_visible().await;
    let mut taken = run.world.endpoint.taken();
    taken.sort_unstable();
    others.sort_unstable();
    assert_eq!(taken, others, "{name}: no time has passed, and only the entity of the refused event waits");
    let passed = run.forward_all().await;
    assert!(passed <= 72 * HOUR, "{name}: {passed:?}");
    run.world.check_forwarded(&[refused]);
    println!("{name}: a dead letter after {} h, {:?}", passed.as_secs() / 3_600, run.world.tally());
}
