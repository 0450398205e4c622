//! Tests the records of the lines' own webhooks.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{LINE, World, delivery, everything, noon, secs, update};
use futures_util::TryStreamExt;
use shared::{Entity, EventId, Timestamp};
use store::{LineAction, LineChange, LineRecord, LineStatus, Lines, Listing, Order, SetLease, StoreError};

fn line() -> Entity {
    Entity::named(LINE)
}

async fn start() -> (World, Lines) {
    let world = World::start().await;
    let lines = Lines::new(world.client.clone(), world.dynamodb.events_table());
    (world, lines)
}

fn full() -> LineRecord {
    LineRecord {
        checked_at: Some(noon().minus(secs(1))),
        concluded: Some(LineStatus::Foreign),
        concluded_since: Some(noon().minus(secs(5))),
        url: Some("other.example".to_owned()),
        set_at: Some(noon().minus(secs(2))),
        live_at: Some(noon().minus(secs(3))),
        not_live_since: Some(noon().minus(secs(4))),
        cause: Some("the provider does not answer".to_owned()),
        key: Some("a fingerprint".to_owned()),
        worked_key: Some("another fingerprint".to_owned()),
        our_urls: vec!["one".to_owned(), "another".to_owned()],
        not_taken: Some("other.example".to_owned()),
        lease: Some(SetLease { url: "another".to_owned(), until: noon().plus(secs(9)) }),
        ..LineRecord::new(line(), LineStatus::Unreachable, noon())
    }
}

fn change(at: Timestamp) -> LineChange {
    LineChange {
        id: EventId::new(at, fastrand::u64(..).to_be_bytes()),
        from: None,
        to: LineStatus::Empty,
        action: LineAction::Found,
        url: None,
        cause: None,
        not_live: None,
    }
}

#[test]
fn every_status_is_read_back_by_its_name() {
    for status in LineStatus::ALL {
        assert_eq!(status.to_string().parse::<LineStatus>().unwrap(), status);
    }
    assert!("LIVE".parse::<LineStatus>().is_err());
    assert_eq!(LineStatus::UnknownNumber.in_words(), "unknown number");
    assert!("sets".parse::<LineAction>().is_err());
}

#[tokio::test]
async fn a_record_is_read_as_it_was_written() {
    let (_world, lines) = start().await;
    assert_eq!(lines.get(&line()).await.unwrap(), None);
    let written = lines.write(&full(), None).await.unwrap();
    assert_eq!(written, LineRecord { version: 1, ..full() });
    assert_eq!(lines.get(&line()).await.unwrap(), Some(written));
    let least = LineRecord { version: 1, ..LineRecord::new(line(), LineStatus::Off, noon()) };
    let written = lines.write(&least, None).await.unwrap();
    assert_eq!(lines.get(&line()).await.unwrap(), Some(written), "nothing of the record before is left");
}

#[tokio::test]
async fn a_writer_that_read_an_older_record_changes_nothing() {
    let (_world, lines) = start().await;
    let first = LineRecord::new(line(), LineStatus::Empty, noon());
    let second = lines.write(&first, None).await.unwrap();
    assert_eq!(lines.write(&first, None).await.unwrap(), second, "the SDK repeats a write that was not answered");
    let other = LineRecord { status: LineStatus::Foreign, ..first.clone() };
    for outdated in [&other, &LineRecord { version: 7, ..first }] {
        for change in [Some(&change(noon())), None] {
            let refused = lines.write(outdated, change).await;
            assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        }
    }
    assert_eq!(lines.get(&line()).await.unwrap(), Some(second));
    let changes: Vec<LineChange> = lines.history(&line(), &everything()).try_collect().await.unwrap();
    assert_eq!(changes, [], "the change is part of the refused write");
}

#[tokio::test]
async fn a_write_that_dynamodb_refuses_is_no_conflict() {
    let world = World::start().await;
    let lines = Lines::new(world.client.clone(), "no-such-table");
    for change in [Some(&change(noon())), None] {
        let refused = lines.write(&full(), change).await;
        assert!(matches!(refused, Err(StoreError::DynamoDb(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn records_that_exceed_one_answer_are_read_in_several() {
    let (_world, lines) = start().await;
    let numbered: Vec<Entity> = (0..50).map(|n| Entity::named(format!("whatsapp#{n}"))).collect();
    for entity in &numbered {
        let record = LineRecord::new(entity.clone(), LineStatus::Off, noon());
        lines.write(&LineRecord { cause: Some("x".repeat(390_000)), ..record }, None).await.unwrap();
    }
    assert_eq!(lines.get_many(&numbered).await.unwrap().len(), 50, "DynamoDB answers with at most 16 MB");
}

#[tokio::test]
async fn changes_are_listed_in_both_orders_and_continue_after_one() {
    let (_world, lines) = start().await;
    let full = LineChange {
        from: Some(LineStatus::Foreign),
        to: LineStatus::Live,
        action: LineAction::Set,
        url: Some("https://ours.example/***1234".to_owned()),
        cause: Some("retry is 0".to_owned()),
        not_live: Some(noon()..noon().plus(secs(60))),
        ..change(noon().plus(secs(60)))
    };
    let expected = [change(noon()), full, change(noon().plus(secs(120)))];
    let mut record = LineRecord::new(line(), LineStatus::Empty, noon());
    for change in &expected {
        record = lines.write(&record, Some(change)).await.unwrap();
    }
    let list = async |listing: Listing| lines.history(&line(), &listing).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(list(everything()).await, expected);
    let newest_first = Listing { order: Order::NewestFirst, page_size: 1, ..everything() };
    let reversed: Vec<LineChange> = expected.iter().rev().cloned().collect();
    assert_eq!(list(newest_first.clone()).await, reversed);
    assert_eq!(list(Listing { after: Some(expected[2].id), ..newest_first }).await, reversed[1..]);
    let before = Listing { times: noon().minus(secs(60))..noon(), ..everything() };
    assert_eq!(list(before).await, [], "the end is excluded");
}

#[tokio::test]
async fn the_records_of_many_lines_are_read_100_at_a_time() {
    let (world, lines) = start().await;
    let numbered: Vec<Entity> = (0..250).map(|n| Entity::named(format!("whatsapp#{n}"))).collect();
    for entity in &numbered[..130] {
        lines.write(&LineRecord::new(entity.clone(), LineStatus::Off, noon()), None).await.unwrap();
    }
    world.requests.take();
    let read = lines.get_many(&numbered).await.unwrap();
    assert_eq!((read.len(), world.requests.take()), (130, 3));
    assert!(read.iter().all(|(entity, record)| *entity == record.as_ref().unwrap().entity));
}

#[tokio::test]
async fn events_and_states_are_read_as_if_the_line_had_no_record() {
    let (world, lines) = start().await;
    world.recorder.record(&delivery(noon(), &update(1))).await.unwrap();
    let (state, history) = (world.state(LINE).await, world.history(LINE).await);
    lines.write(&full(), Some(&change(noon()))).await.unwrap();
    assert_eq!(world.state(LINE).await, state);
    assert_eq!(world.history(LINE).await, history);
    world.recorder.record(&delivery(noon().plus(secs(60)), &update(2))).await.unwrap();
    assert_eq!(lines.history(&line(), &everything()).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    let by_time: Vec<_> = world.reader.by_time(&everything()).try_collect().await.unwrap();
    let by_reference: Vec<_> = world.reader.by_reference("client-7", &everything()).try_collect().await.unwrap();
    assert_eq!((by_time.len(), by_reference.len()), (2, 2));
    assert_eq!(lines.get(&Entity::named("inventory")).await.unwrap(), None, "it is no line");
}
