use std::time::Duration;

use emulators::partner::Call;
use store::ChangeKind;
use sync::Outcome;

use crate::world::{FOREIGN, OURS, World};

const DAY: Duration = Duration::from_secs(86_400);

async fn observing() -> World {
    World::start_with(&[("SYNC_MODE", "observe")]).await
}

#[tokio::test]
async fn drift_is_reported_and_not_repaired() {
    let mut world = observing().await;
    world.partner.register(Some(OURS));
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    world.wait(DAY);
    world.partner.register(Some(FOREIGN));
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::WouldUpdate, false));
    assert!(report.not_ours.is_some());
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Drift]);
    assert!(!world.partner.calls().contains(&Call::Set));
}

#[tokio::test]
async fn nothing_is_set_however_old_the_token_becomes() {
    let mut world = observing().await;
    world.partner.register(Some(OURS));
    world.run("sync").await.unwrap();
    world.wait(DAY * 365);
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    assert_eq!(world.partner.calls().into_iter().filter(|call| *call == Call::Set).count(), 0);
    assert_eq!(world.secrets.staged("webhook-token", "AWSPENDING"), None);
}

#[tokio::test]
async fn a_person_can_still_rotate_and_the_stack_register() {
    let world = observing().await;
    let (resolved, _) = world.send_request("Create", "true").await;
    assert_eq!(resolved.unwrap().outcome, "updated");
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    assert_eq!(world.run("rotate").await.unwrap().outcome, Outcome::Updated);
    assert_ne!(world.partner.registered().as_deref(), Some(OURS));
    assert!(world.registered_url_is_let_in().await);
}
