use std::time::Duration;

use emulators::{
    faults::{Fault, Faults},
    partner::{self, Call},
};

use serde_json::json;

use crate::world::{FOREIGN, World};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_good_check_counts_nothing_but_its_time() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    for metric in ["Drift", "Repaired", "Rotated", "NotVerified", "Contested", "MinutesNotOurs", "SyncFailed"] {
        assert_eq!(world.sum(metric), 0.0, "{metric}");
    }
    assert!(world.sum("SyncDuration") > 0.0);
}

#[tokio::test]
async fn every_check_is_counted_also_one_that_fails_and_no_other_invocation() {
    let mut world = World::start().await;
    for invocation in [json!({}), json!({ "action": "sync" })] {
        world.send(invocation).await.unwrap();
    }
    for action in ["get", "plan", "rotate", "delete"] {
        let _ = world.run(action).await;
    }
    assert_eq!(world.sum("SyncRuns"), 2.0);
    world.partner.next(Call::Get, partner::Fault::Html);
    world.cause("sync").await;
    world.restart_without_dynamodb();
    world.cause("sync").await;
    world.restart_without_secrets_manager();
    world.cause("sync").await;
    assert_eq!(world.sum("SyncRuns"), 5.0);
}

#[tokio::test]
async fn drift_and_repair_are_counted_with_the_minutes_since_the_last_good_check() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    world.run("sync").await.unwrap();
    assert_eq!((world.sum("Drift"), world.sum("Repaired")), (1.0, 1.0));
    assert_eq!(world.sum("MinutesNotOurs"), 60.0);
}

#[tokio::test]
async fn drift_that_is_only_observed_counts_its_minutes_at_every_check() {
    let mut world = World::start_with(&[("SYNC_MODE", "observe")]).await;
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.register(Some(FOREIGN));
    for _ in 0..3 {
        world.wait(HOUR);
        world.run("sync").await.unwrap();
    }
    assert_eq!((world.sum("Drift"), world.sum("Repaired"), world.sum("MinutesNotOurs")), (1.0, 0.0, 180.0));
}

#[tokio::test]
async fn minutes_that_could_not_be_recorded_are_counted_once_by_the_next_run() {
    let mut world = World::start_with(&[("SYNC_MODE", "observe")]).await;
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.register(Some(FOREIGN));
    world.wait(HOUR);
    let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
    world.restart_with_dynamodb_at(&faults.url());
    // Reading the ledger and accepting the token are carried out, writing the ledger is not.
    faults.times(2, Fault::None);
    faults.times(usize::MAX, Fault::InternalError);
    assert_eq!(world.cause("sync").await, "StoreFailed");
    faults.recover().unwrap();
    world.wait(HOUR);
    world.run("sync").await.unwrap();
    assert_eq!((world.sum("Drift"), world.sum("MinutesNotOurs")), (1.0, 120.0));
}

#[tokio::test]
async fn less_than_a_minute_not_ours_is_one() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    world.partner.register(None);
    world.run("sync").await.unwrap();
    assert_eq!(world.sum("MinutesNotOurs"), 1.0);
}

#[tokio::test]
async fn failures_are_counted_by_their_cause() {
    let world = World::start().await;
    world.partner.next(Call::AccessToken, partner::Fault::Reason(3));
    world.run("sync").await.unwrap_err();
    world.partner.next(Call::Set, partner::Fault::Reason(13));
    world.run("sync").await.unwrap_err();
    world.run("delete").await.unwrap_err();
    assert_eq!(world.sum("SyncFailed"), 3.0);
    for cause in ["AddressBlocked", "UrlRefused", "BadRequest"] {
        assert_eq!(world.sum(&format!("SyncFailed {cause}")), 1.0, "{cause}");
    }
}

#[tokio::test]
async fn rotations_and_urls_that_were_not_taken_are_counted() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    world.partner.next(Call::Set, partner::Fault::SetIgnored);
    world.run("rotate").await.unwrap();
    world.run("rotate").await.unwrap();
    assert_eq!((world.sum("NotVerified"), world.sum("Rotated")), (1.0, 1.0));
}

#[tokio::test]
async fn a_contest_is_counted_in_every_run() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    for round in 0..5 {
        world.wait(HOUR);
        world.partner.register(Some(FOREIGN));
        assert_eq!(world.run("sync").await.is_err(), round >= 3);
    }
    assert_eq!((world.sum("Contested"), world.sum("SyncFailed Contested"), world.sum("Repaired")), (2.0, 2.0, 3.0));
}
