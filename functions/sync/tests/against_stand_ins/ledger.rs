use std::time::Duration;

use emulators::partner::{Call, Fault};
use serde_json::json;
use store::ChangeKind;
use sync::Outcome;

use crate::world::{FOREIGN, OURS, OURS_MASKED, World};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_first_registration_is_in_the_ledger_and_no_time_before_it_counts() {
    let world = World::start().await;
    let report = world.run("sync").await.unwrap();
    assert_eq!(report.not_ours, None);
    let [change] = world.changes().await.try_into().unwrap();
    assert_eq!((change.kind, change.action.as_str()), (ChangeKind::Registered, "sync"));
    assert_eq!((change.registered.as_deref(), change.not_ours), (Some(OURS_MASKED), None));
    let registration = world.registration().await;
    assert_eq!((registration.registered.as_deref(), registration.elsewhere_since), (Some(OURS_MASKED), None));
    assert!(registration.ours_at >= Some(world.now));
}

#[tokio::test]
async fn a_check_that_finds_ours_moves_the_last_good_check_and_adds_no_entry() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    world.run("sync").await.unwrap();
    assert_eq!(world.ledger().await, [ChangeKind::Registered]);
    assert!(world.registration().await.ours_at >= Some(world.now));
}

#[tokio::test]
async fn drift_and_repair_have_the_window_since_the_last_good_check_in_ledger_and_report() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    let good = world.registration().await.ours_at.unwrap();
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    let report = world.run("sync").await.unwrap();
    let [_, drift, repaired] = world.changes().await.try_into().unwrap();
    assert_eq!((drift.kind, repaired.kind), (ChangeKind::Drift, ChangeKind::Repaired));
    assert_eq!(drift.registered.as_deref(), Some("https://other.example/in/***66aa"));
    assert_eq!(repaired.registered.as_deref(), Some(OURS_MASKED));
    for window in [drift.not_ours.unwrap(), repaired.not_ours.clone().unwrap()] {
        assert!(window.start == good && window.end >= world.now, "{window:?}");
    }
    assert_eq!(report.not_ours, repaired.not_ours);
    let shown = serde_json::to_value(&report).unwrap();
    assert_eq!(shown["not_ours"]["from"], good.to_string());
    assert!(world.last_line()["not_ours_from"] == good.to_string(), "{}", world.last_line());
}

#[tokio::test]
async fn nothing_registered_any_more_is_drift_too() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    world.partner.register(None);
    world.run("sync").await.unwrap();
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Drift, ChangeKind::Repaired]);
    assert_eq!(world.registration().await.competing, None);
}

#[tokio::test]
async fn a_repair_by_somebody_else_is_in_the_ledger_with_its_window() {
    let mut world = World::start_with(&[("SYNC_MODE", "observe")]).await;
    world.partner.register(Some(OURS));
    world.run("sync").await.unwrap();
    let good = world.registration().await.ours_at.unwrap();
    for registered in [FOREIGN, FOREIGN, OURS] {
        world.wait(HOUR);
        world.partner.register(Some(registered));
        world.run("sync").await.unwrap();
    }
    let [_, drift, returned] = world.changes().await.try_into().unwrap();
    assert_eq!((drift.kind, returned.kind), (ChangeKind::Drift, ChangeKind::Returned));
    assert!(drift.not_ours.unwrap().end < world.now);
    let window = returned.not_ours.unwrap();
    assert!(window.start == good && window.end >= world.now);
}

#[tokio::test]
async fn a_set_that_was_not_done_is_in_the_ledger_as_not_verified() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    world.partner.next(Call::Set, Fault::SetIgnored);
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Updated, false));
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Drift, ChangeKind::NotVerified]);
    world.wait(HOUR);
    world.run("sync").await.unwrap();
    assert_eq!(world.ledger().await[3..], [ChangeKind::Repaired]);
}

#[tokio::test]
async fn failed_checks_are_in_the_ledger_with_their_cause_and_in_the_state_until_one_succeeds() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    let first_failure = world.now.plus(HOUR);
    for fault in [Fault::Status(500), Fault::Disconnect] {
        world.wait(HOUR);
        world.partner.next(Call::Get, fault);
        world.run("sync").await.unwrap_err();
    }
    let registration = world.registration().await;
    assert_eq!(registration.failure.as_deref(), Some("PartnerUnreachable"));
    assert!(registration.failing_since >= Some(first_failure) && registration.failing_since < Some(world.now));
    let causes: Vec<_> = world.changes().await.into_iter().filter_map(|change| change.cause).collect();
    assert_eq!(causes, ["NotTheApi", "PartnerUnreachable"]);
    world.run("sync").await.unwrap();
    assert_eq!(world.registration().await.failing_since, None);
}

#[tokio::test]
async fn a_failed_action_of_a_person_is_in_the_ledger_and_no_failed_check() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    world.partner.next(Call::Set, Fault::Reason(13));
    world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap_err();
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Failed]);
    assert_eq!(world.registration().await.failing_since, None);
}

#[tokio::test]
async fn drift_that_could_not_be_repaired_is_in_the_ledger_with_the_failure() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    world.partner.next(Call::Set, Fault::Reason(13));
    assert_eq!(world.cause("sync").await, "UrlRefused");
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Drift, ChangeKind::Failed]);
    assert!(world.registration().await.elsewhere_since.is_some());
}

#[tokio::test]
async fn a_url_set_by_a_person_is_in_the_ledger() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    let report = world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap();
    assert!(report.verified);
    let [_, set] = world.changes().await.try_into().unwrap();
    assert_eq!((set.kind, set.action.as_str()), (ChangeKind::Set, "set"));
    assert!(set.not_ours.is_some());
}

#[tokio::test]
async fn the_url_read_right_before_a_set_counts_as_a_check() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.wait(HOUR);
    let report = world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap();
    let window = report.not_ours.unwrap();
    assert!(window.start >= world.now, "{window:?} starts before {}", world.now);
    let [_, set] = world.changes().await.try_into().unwrap();
    assert_eq!(set.not_ours, Some(window));
}

#[tokio::test]
async fn get_and_plan_write_nothing() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    for action in ["get", "plan"] {
        world.run(action).await.unwrap();
    }
    assert_eq!(world.ledger().await, []);
    assert_eq!(world.registration().await, store::Registration::default());
}
