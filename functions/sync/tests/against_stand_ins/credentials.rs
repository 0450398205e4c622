use emulators::partner::{Call, Fault};
use serde_json::json;
use sync::Outcome;

use crate::world::{FOREIGN, LIMITS, OURS, World};

const WRONG: &str = r#"{"client_id":"wrong","client_secret":"wrong"}"#;

fn times_asked(world: &World) -> usize {
    world.partner.calls().into_iter().filter(|call| *call == Call::AccessToken).count()
}

#[tokio::test]
async fn refused_credentials_are_tried_by_one_run_until_the_secret_changes() {
    for first in ["sync", "get", "plan", "rotate", "set", "Create"] {
        let mut world = World::start().await;
        world.secrets.put("partner", WRONG);
        for action in [first, "sync", "get", "plan", "rotate", "set", "Create", "Update"] {
            let error = match action {
                "Create" | "Update" => world.send_request(action, "true").await.0.unwrap_err(),
                "set" => world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap_err(),
                _ => world.run(action).await.unwrap_err(),
            };
            assert_eq!(error.cause(), "WrongCredentials", "{first} {action}");
            world.restart(LIMITS);
        }
        assert_eq!(world.partner.calls(), [Call::AccessToken], "{first}");
        let error = world.run("sync").await.unwrap_err().to_string();
        assert!(error.contains("have not changed since") && error.contains("PARTNER_SECRET_ID"), "{error}");
    }
}

#[tokio::test]
async fn each_new_version_of_the_secret_is_tried_once() {
    let world = World::start().await;
    for versions in 1..4 {
        world.secrets.put("partner", WRONG);
        for _ in 0..2 {
            assert_eq!(world.cause("sync").await, "WrongCredentials");
        }
        assert_eq!(times_asked(&world), versions);
    }
    world
        .secrets
        .put("partner", &world.secrets.values("partner")[..].iter().find(|text| *text != WRONG).unwrap().clone());
    assert!(world.run("sync").await.unwrap().verified);
    assert_eq!(world.registration().await.refused_credentials, None);
}

#[tokio::test]
async fn credentials_that_are_refused_after_an_access_token_are_not_tried_again_either() {
    let world = World::start().await;
    world.partner.next(Call::Get, Fault::Reason(2));
    for _ in 0..3 {
        assert_eq!(world.cause("sync").await, "WrongCredentials");
    }
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn an_outage_neither_refuses_credentials_nor_shows_what_is_registered() {
    let refusal = json!({ "status": "FAIL", "reason": 2 });
    let another_url = json!({ "status": "OK", "reason": 1, "url": FOREIGN });
    for (call, answer) in [(Call::AccessToken, &refusal), (Call::Get, &refusal), (Call::Get, &another_url)] {
        for status in [429, 500, 503] {
            let world = World::start().await;
            world.partner.register(Some(OURS));
            world.partner.next(call, Fault::Answer(status, answer.to_string()));
            assert_eq!(world.cause("sync").await, "NotTheApi", "{status} {answer}");
            assert_eq!(world.registration().await.refused_credentials, None, "{status} {answer}");
            assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate, "{status} {answer}");
        }
    }
}

#[tokio::test]
async fn a_blocked_address_is_not_taken_for_wrong_credentials() {
    let world = World::start().await;
    world.partner.next(Call::AccessToken, Fault::Reason(3));
    assert_eq!(world.cause("sync").await, "AddressBlocked");
    assert!(world.run("sync").await.unwrap().verified);
}

#[tokio::test]
async fn the_registered_url_can_be_seen_while_the_tables_cannot_be_read() {
    let mut world = World::start().await;
    world.partner.register(Some(OURS));
    world.restart_without_dynamodb();
    assert!(world.run("get").await.unwrap().verified);
    assert_eq!(world.cause("plan").await, "StoreFailed");
}

#[tokio::test]
async fn a_partner_secret_of_somebody_else_is_read_by_its_arn_and_never_written() {
    let arn = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:theirs/partner-AbCdEf";
    let world = World::start_with(&[("PARTNER_SECRET_ID", arn)]).await;
    assert_eq!(world.cause("sync").await, "SecretUnusable");
    let credentials = world.secrets.values("partner").remove(0);
    world.secrets.delete("partner");
    world.secrets.put(arn, &credentials);
    for action in ["sync", "rotate", "get"] {
        assert!(world.run(action).await.unwrap().verified, "{action}");
    }
    assert_eq!(world.secrets.values(arn), [credentials]);
}
