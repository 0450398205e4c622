use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::partner::{CLIENT_ID, CLIENT_SECRET, Partner};
use serde_json::json;
use store::ChangeKind;

use crate::world::{ADDRESS, FIXED_ACCESS_TOKEN, FOREIGN, World};

const FIRST: &str = "https://first.example/in";
const HOUR: Duration = Duration::from_secs(3600);

/// A world with our URL registered in place of [`FIRST`], an hour ago.
async fn registered() -> World {
    let mut world = World::start().await;
    world.partner.register(Some(FIRST));
    world.send_request("Create", "true").await.0.unwrap();
    world.wait(HOUR);
    world
}

#[tokio::test]
async fn in_another_partner_account_our_url_is_registered_for_the_first_time() {
    let mut world = registered().await;
    let other = Partner::start().await.unwrap();
    other.register(Some(FOREIGN));
    world.restart_with_api_at(&other.url());
    for action in ["get", "plan"] {
        let report = serde_json::to_value(world.run(action).await.unwrap()).unwrap();
        assert_eq!((&report["ours"], &report["ours_seen"]), (&json!(false), &json!(false)), "{report}");
    }
    world.run("sync").await.unwrap();
    let [first, second] = world.changes().await.try_into().unwrap();
    assert_eq!((first.kind, second.kind, second.not_ours), (ChangeKind::Registered, ChangeKind::Registered, None));
    assert_eq!((world.sum("Repaired"), world.sum("MinutesNotOurs")), (0.0, 0.0));
    let report = serde_json::to_value(world.run("get").await.unwrap()).unwrap();
    assert_eq!((&report["ours"], &report["ours_seen"]), (&json!(true), &json!(true)), "{report}");
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "updated");
    assert_eq!(other.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn a_competing_url_of_one_partner_account_is_none_in_another() {
    let mut world = registered().await;
    for _ in 0..3 {
        world.partner.register(Some(FOREIGN));
        world.run("sync").await.unwrap();
    }
    world.partner.register(Some(FOREIGN));
    assert_eq!(world.cause("plan").await, "Contested");
    let other = Partner::start().await.unwrap();
    other.register(Some(FOREIGN));
    world.restart_with_api_at(&other.url());
    assert_eq!(world.run("plan").await.unwrap().outcome.name(), "would_update");
    assert!(world.run("sync").await.unwrap().verified);
    assert_eq!(world.registration().await.competing, None);
}

#[tokio::test]
async fn a_url_that_competes_in_one_partner_account_is_kept_when_a_person_replaces_it_in_another() {
    let mut world = registered().await;
    for _ in 0..3 {
        world.partner.register(Some(FOREIGN));
        world.run("sync").await.unwrap();
    }
    let other = Partner::start().await.unwrap();
    other.register(Some(FOREIGN));
    world.restart_with_api_at(&other.url());
    world.send(json!({ "action": "set", "url": ADDRESS })).await.unwrap();
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "updated");
    assert_eq!(other.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn a_fixed_access_token_and_a_state_without_an_account_belong_to_the_same_account() {
    let client = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string();
    let fixed = json!({ "access_token": FIXED_ACCESS_TOKEN }).to_string();
    let mut world = registered().await;
    world.partner.take_access_token(FIXED_ACCESS_TOKEN);
    for credentials in [&fixed, &client] {
        world.secrets.put("partner", credentials);
        world.partner.register(Some(FOREIGN));
        world.run("sync").await.unwrap();
        assert_eq!(world.ledger().await.last(), Some(&ChangeKind::Repaired));
    }
    forget_account(&world).await;
    world.wait(HOUR);
    world.partner.register(Some("https://third.example/in"));
    world.run("sync").await.unwrap();
    assert_eq!(world.ledger().await.last(), Some(&ChangeKind::Repaired));
    world.send_request("Delete", "true").await.0.unwrap();
    assert_eq!(world.partner.registered().as_deref(), Some(FIRST));
}

/// Leaves the state as versions wrote it that knew no account.
async fn forget_account(world: &World) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = world.dynamodb.client().update_item().table_name(world.dynamodb.events_table());
    let update = update.key("pk", text("registration")).key("sk", text("state")).update_expression("REMOVE account");
    update.send().await.unwrap();
}
