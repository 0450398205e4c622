use std::time::Duration;

use emulators::partner::{Call, Fault};
use serde_json::json;
use store::ChangeKind;
use sync::Outcome;

use crate::world::{ADDRESS, FOREIGN, OURS, World};

const HOUR: Duration = Duration::from_secs(3600);

/// Ours was registered, and the same URL has come back after each of three repairs; it is registered now.
async fn fight() -> World {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    for _ in 0..3 {
        world.wait(HOUR);
        world.partner.register(Some(FOREIGN));
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::Updated);
    }
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    world.partner.take_calls();
    world
}

#[tokio::test]
async fn after_three_repairs_undone_by_the_same_url_nothing_is_repaired_and_the_run_fails() {
    let mut world = fight().await;
    for _ in 0..2 {
        let error = world.run("sync").await.unwrap_err();
        assert_eq!(error.cause(), "Contested");
        assert!(error.to_string().contains("https://other.example/in/***66aa"), "{error}");
        assert!(world.registration().await.contested_since.is_some());
        world.wait(HOUR);
    }
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    assert!(!world.partner.take_calls().contains(&Call::Set));
    let ledger = world.ledger().await;
    assert_eq!(ledger.iter().filter(|kind| **kind == ChangeKind::Repaired).count(), 3);
    assert_eq!(ledger.iter().filter(|kind| **kind == ChangeKind::Contested).count(), 1, "said once: {ledger:?}");
    assert!(!ledger.contains(&ChangeKind::Failed), "the provider has answered: {ledger:?}");
}

#[tokio::test]
async fn the_contest_does_not_end_by_itself() {
    let mut world = fight().await;
    for _ in 0..12 {
        assert_eq!(world.cause("sync").await, "Contested");
        world.wait(HOUR * 24);
    }
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn a_url_that_the_provider_does_not_accept_is_no_contest() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.partner.register(Some(FOREIGN));
    for _ in 0..5 {
        world.wait(HOUR);
        world.partner.next(Call::Set, Fault::SetIgnored);
        assert!(!world.run("sync").await.unwrap().verified);
    }
    world.wait(HOUR);
    assert!(world.run("sync").await.unwrap().verified);
}

#[tokio::test]
async fn a_person_ends_the_contest_also_during_a_scheduled_run() {
    let world = fight().await;
    // Two runs at once: the scheduled one has read the state before the person's has finished, and writes after it.
    let (scheduled, set) =
        tokio::join!(world.run("sync"), world.send(json!({ "action": "set", "url": "https://third.example/in" })));
    assert!(set.unwrap().verified);
    assert!(scheduled.is_ok() || scheduled.is_err_and(|error| error.cause() == "Contested"));
    let registration = world.registration().await;
    assert!(registration.competing.is_none_or(|competing| competing.repairs < 3));
    assert_eq!(registration.contested_since, None);
}

#[tokio::test]
async fn a_rotation_does_not_continue_the_contest() {
    let world = fight().await;
    assert_eq!(world.cause("rotate").await, "Contested");
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    assert_eq!(world.secrets.staged("webhook-token", "AWSPENDING"), None);
}

#[tokio::test]
async fn a_url_set_by_a_person_ends_the_contest() {
    for url in [OURS, ADDRESS, FOREIGN] {
        let mut world = fight().await;
        assert_eq!(world.cause("sync").await, "Contested");
        assert!(world.send(json!({ "action": "set", "url": url })).await.unwrap().verified);
        let registration = world.registration().await;
        assert_eq!((registration.competing, registration.contested_since), (None, None));
        world.wait(HOUR);
        world.partner.register(Some(FOREIGN));
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::Updated, "it repairs again");
    }
}

#[tokio::test]
async fn finding_ours_registered_between_repairs_does_not_hide_the_contest() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    for _ in 0..3 {
        world.partner.register(Some(FOREIGN));
        world.run("sync").await.unwrap();
        world.wait(HOUR);
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    }
    world.partner.register(Some(FOREIGN));
    assert_eq!(world.cause("sync").await, "Contested");
    assert!(world.registration().await.contested_since.is_some());
    world.partner.register(Some(OURS));
    world.run("sync").await.unwrap();
    assert_eq!(world.registration().await.contested_since, None, "it is not contested while ours is registered");
}

#[tokio::test]
async fn a_url_registered_before_ours_has_the_same_three_rounds() {
    let mut world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.run("sync").await.unwrap();
    for _ in 0..3 {
        world.wait(HOUR);
        world.partner.register(Some(FOREIGN));
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::Updated);
    }
    world.partner.register(Some(FOREIGN));
    assert_eq!(world.cause("sync").await, "Contested");
}
