use std::time::{Duration, Instant};

use emulators::partner::{Call, Fault};
use serde_json::json;
use sync::{Limits, Outcome};

use crate::world::{FOREIGN, LIMITS, OURS, World};

/// A time that no test waits for.
const FOREVER: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn our_token_is_accepted_before_our_url_is_set() {
    let world = World::start().await;
    world.partner.next(Call::Set, Fault::Reason(13));
    assert_eq!(world.cause("sync").await, "UrlRefused");
    assert!(world.token_is_accepted().await);
}

#[tokio::test]
async fn our_token_is_accepted_also_when_our_url_is_registered_already() {
    let mut world = World::start().await;
    world.restart(Limits { settle: FOREVER, ..LIMITS });
    world.partner.register(Some(OURS));
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    assert!(world.token_is_accepted().await);
}

#[tokio::test]
async fn our_token_is_accepted_also_when_the_provider_cannot_be_asked() {
    let mut world = World::start().await;
    world.restart_with_api_at("http://127.0.0.1:1/api");
    assert_eq!(world.cause("sync").await, "PartnerUnreachable");
    assert!(world.token_is_accepted().await);
}

#[tokio::test]
async fn nothing_is_set_when_our_token_cannot_be_accepted() {
    let mut world = World::start().await;
    world.restart_without_dynamodb();
    assert_eq!(world.cause("sync").await, "StoreFailed");
    assert_eq!(world.send(json!({ "action": "set", "url": OURS })).await.unwrap_err().cause(), "StoreFailed");
    assert_eq!(world.partner.calls(), []);
}

#[tokio::test]
async fn receivers_have_time_to_learn_of_a_new_token_before_our_url_is_set() {
    let mut world = World::start().await;
    let settle = Duration::from_millis(300);
    world.restart(Limits { settle, ..LIMITS });
    let started = Instant::now();
    world.run("sync").await.unwrap();
    assert!(started.elapsed() >= settle);
}

#[tokio::test]
async fn a_token_that_was_accepted_long_ago_is_not_waited_for() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.restart(Limits { settle: FOREVER, ..LIMITS });
    world.now = world.now.plus(FOREVER);
    world.partner.register(Some(FOREIGN));
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::Updated);
}

#[tokio::test]
async fn a_run_that_ended_while_it_waited_leaves_the_wait_to_the_next_one() {
    let mut world = World::start().await;
    let settle = Duration::from_millis(300);
    let started = Instant::now();
    world.run("sync").await.unwrap();
    world.partner.register(None);
    world.restart(Limits { settle, ..LIMITS });
    world.run("sync").await.unwrap();
    assert!(started.elapsed() >= settle);
}

#[tokio::test]
async fn our_url_set_by_hand_has_its_token_accepted_and_another_url_has_not() {
    let mut world = World::start().await;
    world.restart(Limits { settle: FOREVER, ..LIMITS });
    world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap();
    assert!(!world.token_is_accepted().await);
    world.restart(LIMITS);
    world.send(json!({ "action": "set", "url": OURS })).await.unwrap();
    assert!(world.token_is_accepted().await);
}
