use std::time::{Duration, Instant};

use emulators::partner::{Call, Fault};
use serde_json::json;
use shared::TokenHash;
use store::{AcceptedTokens, ChangeKind};
use sync::{Limits, Outcome};

use crate::world::{ADDRESS, FOREIGN, LIMITS, OURS, TOKEN, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

async fn registered() -> World {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    world.partner.take_calls();
    world
}

fn current(world: &World) -> String {
    world.secrets.staged("webhook-token", "AWSCURRENT").unwrap()
}

#[tokio::test]
async fn a_rotation_registers_our_url_with_a_new_token_and_makes_it_the_one_in_use() {
    let world = registered().await;
    let report = world.run("rotate").await.unwrap();
    assert_eq!((report.action, report.outcome, report.verified), ("rotate", Outcome::Updated, true));
    assert_eq!(world.partner.calls(), [Call::Get, Call::Set, Call::Get]);
    let new = current(&world);
    assert_ne!(new, TOKEN);
    assert_eq!(new.len(), 48);
    assert_eq!(world.partner.registered(), Some(format!("{ADDRESS}/{new}")));
    assert_eq!(world.secrets.staged("webhook-token", "AWSPREVIOUS").as_deref(), Some(TOKEN));
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Rotated]);
    assert_eq!(world.changes().await[1].not_ours, None);
}

#[tokio::test]
async fn the_new_token_is_accepted_without_an_end_and_the_old_one_for_a_day() {
    let world = registered().await;
    world.run("rotate").await.unwrap();
    let new = current(&world);
    assert!(world.is_accepted(TOKEN, world.now.plus(DAY)).await);
    assert!(!world.is_accepted(TOKEN, world.now.plus(DAY + Duration::from_secs(60))).await);
    assert!(world.is_accepted(&new, world.now.plus(DAY * 3650)).await);
}

#[tokio::test]
async fn the_overlap_is_a_setting() {
    let world = World::start_with(&[("TOKEN_OVERLAP_HOURS", "1")]).await;
    world.run("sync").await.unwrap();
    world.run("rotate").await.unwrap();
    assert!(world.is_accepted(TOKEN, world.now.plus(HOUR)).await);
    assert!(!world.is_accepted(TOKEN, world.now.plus(HOUR + Duration::from_secs(60))).await);
}

#[tokio::test]
async fn after_a_rotation_there_is_nothing_to_do() {
    let mut world = registered().await;
    world.run("rotate").await.unwrap();
    world.wait(HOUR);
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    assert_eq!(world.ledger().await.len(), 2);
}

#[tokio::test]
async fn our_url_is_ours_with_every_accepted_token_also_while_a_rotation_is_unfinished() {
    let mut world = registered().await;
    world.partner.next(Call::Set, Fault::SetIgnored);
    assert!(!world.run("rotate").await.unwrap().verified);
    let assert_seen = async |world: &World, action: &str, ours: bool, verified: bool| {
        let report = serde_json::to_value(world.run(action).await.unwrap()).unwrap();
        let registered = world.partner.registered();
        assert_eq!((&report["ours"], &report["verified"]), (&json!(ours), &json!(verified)), "{action} {registered:?}");
    };
    for action in ["get", "plan"] {
        assert_seen(&world, action, true, false).await;
    }
    world.run("sync").await.unwrap();
    for action in ["get", "plan"] {
        assert_seen(&world, action, true, true).await;
        world.partner.register(Some(OURS));
        assert_seen(&world, action, true, false).await;
        assert!(!world.is_accepted(TOKEN, world.now.plus(DAY * 2)).await, "looking does not extend a token");
        world.partner.register(Some(FOREIGN));
        assert_seen(&world, action, false, false).await;
        world.partner.register(Some(&format!("{ADDRESS}/Unknown-0123456789")));
        assert_seen(&world, action, false, false).await;
        world.run("sync").await.unwrap();
    }
    world.restart_without_dynamodb();
    assert_seen(&world, "get", true, true).await;
    world.partner.register(Some(OURS));
    assert_seen(&world, "get", true, false).await;
}

#[tokio::test]
async fn each_rotation_makes_another_token() {
    let world = registered().await;
    for _ in 0..3 {
        world.run("rotate").await.unwrap();
    }
    let mut tokens = world.secrets.values("webhook-token");
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 4);
    assert!(world.registered_url_is_let_in().await);
}

#[tokio::test]
async fn the_first_rotation_registers_our_url_also_when_it_never_was() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    assert!(world.run("rotate").await.unwrap().verified);
    assert!(world.registered_url_is_let_in().await);
    assert_eq!(world.ledger().await, [ChangeKind::Registered]);
}

#[tokio::test]
async fn receivers_have_time_to_learn_of_the_new_token_before_it_is_registered() {
    let mut world = registered().await;
    world.wait(HOUR);
    let settle = Duration::from_millis(300);
    world.restart(Limits { settle, ..LIMITS });
    let started = Instant::now();
    world.run("rotate").await.unwrap();
    assert!(started.elapsed() >= settle);
}

#[tokio::test]
async fn a_scheduled_run_rotates_a_token_that_is_as_old_as_tokens_may_become() {
    for (settings, days) in [(vec![], 90), (vec![("TOKEN_MAX_AGE_DAYS", "7")], 7)] {
        let mut world = World::start_with(&settings).await;
        world.run("sync").await.unwrap();
        world.wait(DAY * days - HOUR);
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
        world.wait(HOUR);
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::Updated);
        assert_ne!(current(&world), TOKEN);
        assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Rotated]);
        world.wait(HOUR);
        assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    }
}

#[tokio::test]
async fn with_an_age_of_0_no_token_is_too_old() {
    let mut world = World::start_with(&[("TOKEN_MAX_AGE_DAYS", "0")]).await;
    world.run("sync").await.unwrap();
    world.wait(DAY * 3650);
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    assert_eq!(current(&world), TOKEN);
}

#[tokio::test]
async fn a_rotation_that_failed_at_the_provider_leaves_the_old_url_and_the_next_run_goes_on_with_the_same_token() {
    for fault in [Fault::Reason(13), Fault::Status(500), Fault::Disconnect] {
        let mut world = registered().await;
        world.partner.next(Call::Set, fault);
        world.run("rotate").await.unwrap_err();
        assert_eq!(world.partner.registered().as_deref(), Some(OURS));
        assert_eq!(current(&world), TOKEN);
        assert!(world.registered_url_is_let_in().await);
        let begun = world.secrets.staged("webhook-token", "AWSPENDING").unwrap();
        world.wait(DAY * 30);
        assert!(world.run("sync").await.unwrap().verified);
        assert_eq!(current(&world), begun);
        assert!(world.registered_url_is_let_in().await);
        assert_eq!(world.secrets.values("webhook-token").len(), 2);
    }
}

#[tokio::test]
async fn a_rotation_whose_url_was_not_taken_is_reported_as_not_verified_and_its_token_not_used() {
    let mut world = registered().await;
    world.partner.next(Call::Set, Fault::SetIgnored);
    let report = world.run("rotate").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Updated, false));
    assert_eq!(current(&world), TOKEN);
    assert!(world.is_accepted(TOKEN, world.now.plus(DAY * 365)).await);
    world.wait(HOUR);
    assert!(world.run("sync").await.unwrap().verified);
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::NotVerified, ChangeKind::Rotated]);
    assert!(world.changes().await.iter().all(|change| change.not_ours.is_none()), "every event reached us");
    assert_eq!(world.sum("MinutesNotOurs"), 0.0);
}

#[tokio::test]
async fn a_rotation_whose_answer_got_lost_is_finished_by_the_next_run_without_another_call() {
    let mut world = registered().await;
    let pending = {
        let ours = json!({ "status": "OK", "url": OURS, "reason": 1 });
        world.partner.next(Call::Get, Fault::Answer(200, ours.to_string()));
        world.partner.next(Call::Get, Fault::Status(500));
        world.run("rotate").await.unwrap_err();
        world.secrets.staged("webhook-token", "AWSPENDING").unwrap()
    };
    assert_eq!(world.partner.registered(), Some(format!("{ADDRESS}/{pending}")));
    assert_eq!(current(&world), TOKEN, "it is not known to be registered");
    assert!(world.registered_url_is_let_in().await);
    world.wait(HOUR);
    world.partner.take_calls();
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Updated, true));
    assert!(!world.partner.calls().contains(&Call::Set));
    assert_eq!(current(&world), pending);
    assert_eq!(world.changes().await.iter().filter(|change| change.not_ours.is_some()).count(), 0, "it was ours");
    assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Failed, ChangeKind::Rotated]);
}

#[tokio::test]
async fn a_token_that_a_person_put_into_the_secret_is_accepted_registered_and_replaces_the_old_one() {
    let mut world = registered().await;
    world.secrets.put("webhook-token", "Chosen-By-Hand-0123456789");
    world.wait(HOUR);
    let report = world.run("sync").await.unwrap();
    assert!(report.verified);
    assert_eq!(report.not_ours, None, "every event reached us");
    assert_eq!(world.partner.registered(), Some(format!("{ADDRESS}/Chosen-By-Hand-0123456789")));
    assert!(world.registered_url_is_let_in().await);
    assert!(!world.is_accepted(TOKEN, world.now.plus(DAY * 2)).await);
}

#[tokio::test]
async fn a_token_that_a_person_put_into_the_secret_counts_more_than_any_rotation_before_it() {
    for unfinished in [false, true] {
        let mut world = registered().await;
        if unfinished {
            world.partner.next(Call::Set, Fault::Status(500));
        }
        assert_eq!(world.run("rotate").await.is_err(), unfinished);
        world.secrets.put("webhook-token", "Chosen-By-Hand-0123456789");
        world.wait(HOUR);
        assert!(world.run("sync").await.unwrap().verified);
        assert_eq!(world.partner.registered(), Some(format!("{ADDRESS}/Chosen-By-Hand-0123456789")), "{unfinished}");
        assert_eq!(current(&world), "Chosen-By-Hand-0123456789");
        world.wait(HOUR);
        assert!(world.run("rotate").await.unwrap().verified);
        assert_ne!(current(&world), "Chosen-By-Hand-0123456789");
        assert_eq!(world.secrets.values("webhook-token").len(), 4);
        assert!(world.registered_url_is_let_in().await);
    }
}

#[tokio::test]
async fn a_pending_token_that_is_registered_is_accepted_even_after_the_loss_of_the_table() {
    let mut world = registered().await;
    let ours = json!({ "status": "OK", "url": OURS, "reason": 1 });
    world.partner.next(Call::Get, Fault::Answer(200, ours.to_string()));
    world.partner.next(Call::Get, Fault::Status(500));
    world.run("rotate").await.unwrap_err();
    let pending = world.secrets.staged("webhook-token", "AWSPENDING").unwrap();
    let accepted = AcceptedTokens::new(world.dynamodb.client(), "events");
    accepted.retire(&TokenHash::of(&pending), world.now).await.unwrap();
    assert!(!world.registered_url_is_let_in().await);
    world.wait(HOUR);
    world.run("sync").await.unwrap();
    assert!(world.is_accepted(&pending, world.now.plus(DAY * 3650)).await);
}

#[tokio::test]
async fn an_older_token_that_is_registered_again_while_it_is_accepted_stays_accepted_until_it_is_replaced() {
    let mut world = World::start_with(&[("SYNC_MODE", "observe")]).await;
    world.send_request("Create", "true").await.0.unwrap();
    world.run("rotate").await.unwrap();
    world.partner.register(Some(OURS));
    world.wait(HOUR);
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::WouldUpdate);
    assert!(world.is_accepted(TOKEN, world.now.plus(DAY * 365)).await, "it is registered for an unknown time");
    world.partner.register(Some(&format!("{ADDRESS}/{}", current(&world))));
    world.wait(HOUR);
    world.run("sync").await.unwrap();
    assert!(!world.is_accepted(TOKEN, world.now.plus(DAY * 2)).await);
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_not_accepted_again_because_it_is_registered() {
    let mut world = World::start_with(&[("SYNC_MODE", "observe")]).await;
    world.send_request("Create", "true").await.0.unwrap();
    world.run("rotate").await.unwrap();
    world.wait(DAY * 2);
    world.partner.register(Some(OURS));
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::WouldUpdate);
    assert!(!world.token_is_accepted().await);
    assert_eq!(world.ledger().await.last(), Some(&ChangeKind::Drift), "the events that go there are refused");
}

#[tokio::test]
async fn our_address_without_a_token_is_set_with_the_current_one_and_is_refused_with_an_unknown_one() {
    let world = registered().await;
    world.partner.register(Some(FOREIGN));
    for address in [ADDRESS.to_owned(), format!("{ADDRESS}/")] {
        let report = world.send(json!({ "action": "set", "url": address })).await.unwrap();
        assert!(report.verified);
        assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    }
    let unknown = json!({ "action": "set", "url": format!("{ADDRESS}/Unknown-Token-0123456789") });
    assert_eq!(world.send(unknown).await.unwrap_err().cause(), "BadRequest");
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
}

#[tokio::test]
async fn a_url_of_ours_that_a_person_sets_with_an_older_token_stays_accepted() {
    let mut world = registered().await;
    world.run("rotate").await.unwrap();
    assert!(world.send(json!({ "action": "set", "url": OURS })).await.unwrap().verified);
    world.wait(DAY * 3);
    assert!(world.registered_url_is_let_in().await);
}

#[tokio::test]
async fn older_tokens_without_an_end_are_retired_by_a_run_that_finds_ours() {
    let mut world = registered().await;
    let accepted = AcceptedTokens::new(world.dynamodb.client(), "events");
    accepted.accept(&TokenHash::of("Left-Over-0123456789"), world.now).await.unwrap();
    world.run("sync").await.unwrap();
    assert!(world.is_accepted("Left-Over-0123456789", world.now.plus(DAY * 365)).await, "another run may want it");
    world.wait(Duration::from_secs(180));
    world.run("sync").await.unwrap();
    assert!(world.is_accepted("Left-Over-0123456789", world.now.plus(HOUR * 23)).await);
    assert!(!world.is_accepted("Left-Over-0123456789", world.now.plus(HOUR * 25)).await);
    assert!(world.is_accepted(TOKEN, world.now.plus(DAY * 365)).await);
}
