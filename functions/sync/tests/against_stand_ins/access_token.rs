use std::time::Duration;

use emulators::partner::{Call, Expiration, Fault};
use serde_json::json;
use store::ChangeKind;

use crate::world::{FIXED_ACCESS_TOKEN, OURS, World};

async fn world_up_to_date() -> World {
    let world = World::start().await;
    world.partner.register(Some(OURS));
    world
}

async fn calls_of_next_sync(world: &World) -> Vec<Call> {
    world.partner.take_calls();
    world.run("sync").await.unwrap();
    world.partner.calls()
}

#[tokio::test]
async fn an_access_token_serves_the_following_runs() {
    let world = world_up_to_date().await;
    world.run("sync").await.unwrap();
    assert_eq!(calls_of_next_sync(&world).await, [Call::Get]);
}

#[tokio::test]
async fn a_new_access_token_is_asked_for_shortly_before_the_old_one_expires() {
    let mut world = world_up_to_date().await;
    world.run("sync").await.unwrap();
    world.now = world.now.plus(Duration::from_secs(57 * 60));
    assert_eq!(calls_of_next_sync(&world).await, [Call::Get]);
    world.now = world.now.plus(Duration::from_secs(2 * 60));
    assert_eq!(calls_of_next_sync(&world).await, [Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn an_expiration_that_makes_no_sense_is_not_trusted() {
    for (expiration, calls) in [
        (Expiration::Missing, vec![Call::Get]),
        (Expiration::Text("soon".to_owned()), vec![Call::Get]),
        (Expiration::Text("99999999999999999".to_owned()), vec![Call::Get]),
        (Expiration::Text("3600".to_owned()), vec![Call::AccessToken, Call::Get]),
        (Expiration::Text("-1".to_owned()), vec![Call::AccessToken, Call::Get]),
    ] {
        let world = world_up_to_date().await;
        world.partner.announce(expiration.clone());
        world.run("sync").await.unwrap();
        assert_eq!(calls_of_next_sync(&world).await, calls, "{expiration:?}");
    }
}

#[tokio::test]
async fn an_access_token_that_the_provider_has_forgotten_is_replaced_once() {
    let world = world_up_to_date().await;
    world.run("sync").await.unwrap();
    world.partner.forget_access_tokens();
    assert_eq!(calls_of_next_sync(&world).await, [Call::Get, Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn an_access_token_that_expires_in_the_middle_of_a_run_is_replaced_and_the_call_repeated() {
    let world = World::start().await;
    world.partner.next(Call::Set, Fault::TokenExpired);
    assert_eq!(
        calls_of_next_sync(&world).await,
        [Call::AccessToken, Call::Get, Call::Set, Call::AccessToken, Call::Set, Call::Get]
    );
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    assert_eq!(world.ledger().await, [ChangeKind::Registered]);
}

#[tokio::test]
async fn an_access_token_is_not_replaced_twice_in_a_run() {
    let world = World::start().await;
    world.partner.always(Call::Get, Fault::Reason(3));
    assert_eq!(world.cause("sync").await, "TokenExpiredTwice");
    assert_eq!(world.partner.take_calls(), [Call::AccessToken, Call::Get, Call::AccessToken, Call::Get]);

    world.partner.behave();
    world.partner.next(Call::Get, Fault::TokenExpired);
    world.partner.next(Call::Set, Fault::TokenExpired);
    assert_eq!(world.cause("sync").await, "TokenExpiredTwice");
    assert_eq!(
        world.partner.take_calls(),
        [Call::AccessToken, Call::Get, Call::AccessToken, Call::Get, Call::Set],
        "an access token that was refused is not kept"
    );
    assert_eq!(calls_of_next_sync(&world).await, [Call::AccessToken, Call::Get, Call::Set, Call::Get]);
}

#[tokio::test]
async fn a_fixed_access_token_is_used_without_asking_for_one() {
    let world = world_up_to_date().await;
    world.secrets.put("partner", &json!({ "access_token": FIXED_ACCESS_TOKEN }).to_string());
    world.partner.take_access_token(FIXED_ACCESS_TOKEN);
    assert_eq!(calls_of_next_sync(&world).await, [Call::Get]);
}

#[tokio::test]
async fn a_fixed_access_token_that_has_expired_is_the_cause() {
    let world = World::start().await;
    world.secrets.put("partner", &json!({ "access_token": FIXED_ACCESS_TOKEN }).to_string());
    assert_eq!(world.cause("sync").await, "FixedTokenExpired");
    assert_eq!(world.partner.calls(), [Call::Get]);
}

#[tokio::test]
async fn an_access_token_does_not_outlive_the_credentials_that_it_was_got_with() {
    let world = world_up_to_date().await;
    world.run("sync").await.unwrap();
    world.partner.take_calls();
    world.secrets.put("partner", r#"{"client_id":"other","client_secret":"other"}"#);
    assert_eq!(world.cause("sync").await, "WrongCredentials");
    assert_eq!(world.partner.calls(), [Call::AccessToken]);
}
