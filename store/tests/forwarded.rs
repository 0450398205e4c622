//! Tests the records of the forwarder.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, noon, secs};
use shared::{Entity, EventId, Timestamp};
use store::{ForwardFailure, ForwardRecords};

async fn start() -> (World, ForwardRecords) {
    let world = World::start().await;
    let records = ForwardRecords::new(world.dynamodb.client(), world.dynamodb.events_table());
    (world, records)
}

fn failure(second: u64, next_attempt_at: Option<Timestamp>) -> ForwardFailure {
    ForwardFailure {
        id: EventId::new(noon().plus(secs(second)), [7; 8]),
        entity: Entity::named(LINE),
        attempts: 1,
        first_attempt_at: noon(),
        last_attempt_at: noon(),
        next_attempt_at,
        answer: "503".to_owned(),
    }
}

#[tokio::test]
async fn the_record_of_a_dead_letter_expires_with_its_message_and_no_other_does() {
    let (world, records) = start().await;
    records.record_failure(&failure(1, None)).await.unwrap();
    records.record_failure(&failure(2, Some(noon()))).await.unwrap();
    let items = world.items("events").await;
    let expires_at: Vec<_> = items.iter().filter_map(|item| item.get("expires_at")).collect();
    let in_14_days = noon().plus(secs(14 * 24 * 60 * 60)).as_secs().to_string();
    assert_eq!(expires_at.iter().map(|at| at.as_n().unwrap()).collect::<Vec<_>>(), [&in_14_days]);
}

#[tokio::test]
async fn only_the_record_of_a_dead_letter_is_forgotten() {
    let (_world, records) = start().await;
    let (dead, waiting) = (failure(1, None), failure(2, Some(noon())));
    for failure in [&dead, &waiting] {
        records.record_failure(failure).await.unwrap();
        records.forget_dead_letter(&failure.id).await.unwrap();
    }
    records.forget_dead_letter(&failure(3, None).id).await.unwrap();
    assert_eq!(records.failures(10).await.unwrap(), [waiting]);
}

#[tokio::test]
async fn more_failures_than_a_page_has_are_read_up_to_the_limit() {
    let (_world, records) = start().await;
    for second in 0..250 {
        records.record_failure(&failure(second, None)).await.unwrap();
    }
    let newest_first: Vec<_> = (0..250).rev().map(|second| failure(second, None)).collect();
    assert_eq!(records.failures(1_000).await.unwrap(), newest_first);
    assert_eq!(records.failures(220).await.unwrap(), newest_first[..220]);
}
