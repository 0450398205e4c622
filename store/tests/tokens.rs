//! Tests the accepted webhook tokens.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{World, noon, secs};
use shared::TokenHash;
use store::{AcceptedToken, AcceptedTokens};

const DAY: u64 = 24 * 60 * 60;

async fn start() -> (World, AcceptedTokens) {
    let world = World::start().await;
    let tokens = AcceptedTokens::new(world.dynamodb.client(), world.dynamodb.events_table());
    (world, tokens)
}

/// Returns the only token in the table.
async fn only(tokens: &AcceptedTokens) -> AcceptedToken {
    let [token] = tokens.read().await.unwrap().try_into().unwrap();
    token
}

#[tokio::test]
async fn a_token_is_accepted_once_and_read_as_its_hash() {
    let (world, tokens) = start().await;
    assert!(tokens.read().await.unwrap().is_empty());
    let (one, two) = (TokenHash::of("token one"), TokenHash::of("token two"));
    assert_eq!(tokens.accept(&one, noon()).await.unwrap(), noon());
    assert_eq!(tokens.accept(&one, noon().plus(secs(9))).await.unwrap(), noon(), "accepted since the first time");
    assert_eq!(tokens.accept(&two, noon().plus(secs(9))).await.unwrap(), noon().plus(secs(9)));
    let read = tokens.read().await.unwrap();
    assert_eq!(read.len(), 2);
    assert!([one, two].iter().all(|token| read.iter().any(|accepted| accepted.lets_in(token, noon()))));
    assert!(!format!("{:?}", world.items("events").await).contains("token one"));
}

#[tokio::test]
async fn a_retired_token_is_accepted_until_its_end_and_not_after() {
    let (_world, tokens) = start().await;
    let hash = TokenHash::of("token");
    tokens.accept(&hash, noon()).await.unwrap();
    tokens.retire(&hash, noon().plus(secs(DAY))).await.unwrap();
    let token = only(&tokens).await;
    assert!(token.lets_in(&hash, noon().plus(secs(DAY - 1))));
    assert!(!token.lets_in(&hash, noon().plus(secs(DAY))));
    assert!(!token.lets_in(&TokenHash::of("another"), noon()));
}

#[tokio::test]
async fn the_item_of_a_retired_token_outlives_the_fallback_queue() {
    let (world, tokens) = start().await;
    let hash = TokenHash::of("token");
    tokens.accept(&hash, noon()).await.unwrap();
    tokens.retire(&hash, noon()).await.unwrap();
    let expires_at = world.items("events").await[0]["expires_at"].as_n().unwrap().parse::<i64>().unwrap();
    assert_eq!(expires_at - noon().as_secs(), 400 * 24 * 60 * 60, "14 days in each of two queues, many times over");
}

#[tokio::test]
async fn retiring_again_does_not_move_the_end() {
    let (_world, tokens) = start().await;
    let hash = TokenHash::of("token");
    tokens.accept(&hash, noon()).await.unwrap();
    for day in [1, 2] {
        tokens.retire(&hash, noon().plus(secs(day * DAY))).await.unwrap();
    }
    assert_eq!(only(&tokens).await.until, Some(noon().plus(secs(DAY))));
}

#[tokio::test]
async fn a_token_that_is_not_there_is_not_retired_into_the_table() {
    let (_world, tokens) = start().await;
    tokens.retire(&TokenHash::of("token"), noon()).await.unwrap();
    assert!(tokens.read().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_change_that_dynamodb_refuses_is_an_error() {
    let (world, _) = start().await;
    let tokens = AcceptedTokens::new(world.dynamodb.client(), "no-such-table");
    let hash = TokenHash::of("token");
    assert!(tokens.accept(&hash, noon()).await.is_err());
    assert!(tokens.retire(&hash, noon()).await.is_err());
}

#[tokio::test]
async fn a_retired_token_that_is_accepted_again_has_no_end_and_is_new_to_the_receivers() {
    let (world, tokens) = start().await;
    let hash = TokenHash::of("token");
    tokens.accept(&hash, noon()).await.unwrap();
    tokens.retire(&hash, noon().plus(secs(60))).await.unwrap();
    assert_eq!(tokens.accept(&hash, noon().plus(secs(99))).await.unwrap(), noon().plus(secs(99)));
    assert_eq!(only(&tokens).await.until, None);
    assert!(!world.items("events").await[0].contains_key("expires_at"));
}

#[tokio::test]
async fn an_item_that_cannot_be_read_keeps_no_other_token_from_being_read() {
    let (world, tokens) = start().await;
    let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let put = world.dynamodb.client().put_item().table_name("events");
    put.item("pk", key("webhook-tokens")).item("sk", key("sha256#zz")).send().await.unwrap();
    tokens.accept(&TokenHash::of("token"), noon()).await.unwrap();
    assert!(only(&tokens).await.lets_in(&TokenHash::of("token"), noon()));
}
