//! One entity with a great many waiting events. SQS looks for a free message group among the first 120,000 messages of a queue.

use std::time::Instant;

use emulators::{endpoint::Reply, sqs::Name};
use outbound::ForwardMessage;
use serde_json::json;
use shared::EventId;

use crate::in_process::InProcess;

const BACKLOG: u64 = 100_000;

#[tokio::test]
async fn a_hundred_thousand_events_that_wait_for_one_entity_hold_up_no_other() {
    let started = Instant::now();
    let run = InProcess::start().await;
    let refused = run.record(0).await;
    run.world.endpoint.always(Some((&refused, Reply::Status(503))));
    run.publish_all().await;
    let group = ForwardMessage::parse(&run.world.sqs.bodies(Name::Forward)[0]).unwrap().group();
    for number in 0..BACKLOG {
        let id = EventId::new(run.now(), number.to_be_bytes()).to_string();
        let message = json!({"id": id, "entity": "whatsapp#972500000000"}).to_string();
        run.world.sqs.send_in_group(Name::Forward, &message, &group, &id);
    }
    let mut others = Vec::new();
    for entity in 1..=20 {
        others.push(run.record(entity).await);
    }
    run.publish_all().await;
    run.forward_visible().await;
    let mut taken = run.world.endpoint.taken();
    taken.sort_unstable();
    assert_eq!(taken, others);
    assert_eq!(run.world.endpoint.received().len(), others.len() + 1, "one attempt with the refused event");
    println!("behind {BACKLOG} waiting events {} others were taken; {} s", others.len(), started.elapsed().as_secs());
}
