use emulators::partner::{Call, Fault};
use serde_json::json;
use store::ChangeKind;

use crate::world::{FOREIGN, OURS, World, as_lambda_error};

#[tokio::test]
async fn wrong_credentials_are_tried_exactly_once() {
    let world = World::start().await;
    world.secrets.put("partner", r#"{"client_id":"wrong","client_secret":"wrong"}"#);
    assert_eq!(world.cause("sync").await, "WrongCredentials");
    assert_eq!(world.partner.calls(), [Call::AccessToken]);
    assert_eq!(world.ledger().await, [ChangeKind::Failed]);
    assert_eq!(world.registration().await.failure.as_deref(), Some("WrongCredentials"));
}

#[tokio::test]
async fn wrong_credentials_to_another_call_are_tried_exactly_once() {
    let world = World::start().await;
    world.partner.always(Call::Get, Fault::Reason(2));
    assert_eq!(world.cause("sync").await, "WrongCredentials");
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn a_blocked_address_is_the_cause() {
    let world = World::start().await;
    let wrong = || world.secrets.put("partner", r#"{"client_id":"wrong","client_secret":"wrong"}"#);
    for _ in 0..5 {
        wrong();
        assert_eq!(world.cause("get").await, "WrongCredentials");
    }
    wrong();
    assert_eq!(world.cause("sync").await, "AddressBlocked");
    assert_eq!(world.partner.calls(), [Call::AccessToken; 6]);
    assert_eq!(world.ledger().await, [ChangeKind::Failed]);
}

#[tokio::test]
async fn a_url_that_the_provider_refuses_is_the_cause() {
    let world = World::start().await;
    world.partner.next(Call::Set, Fault::Reason(13));
    assert_eq!(world.cause("sync").await, "UrlRefused");
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Set]);
    assert_eq!(world.ledger().await, [ChangeKind::Failed]);
}

#[tokio::test]
async fn every_failure_of_the_partner_api_has_its_cause_in_the_error_and_in_the_ledger_and_a_remedy() {
    let answer = |answer: &str| Fault::Answer(200, answer.to_owned());
    let no_url = answer(r#"{"status":"OK","url":{"url":"https://other.example/in"},"reason":1}"#);
    let outage = Fault::Answer(503, r#"{"status":"FAIL","reason":2}"#.to_owned());
    for (call, fault, cause, remedy) in [
        (Call::AccessToken, Fault::Reason(2), "WrongCredentials", "; store the right ones in the secret that "),
        (Call::AccessToken, Fault::Reason(3), "AddressBlocked", "; check the secret that "),
        (Call::Get, Fault::Reason(3), "TokenExpiredTwice", "; if the next run also fails, "),
        (Call::Set, Fault::Reason(13), "UrlRefused", "; the URL registered before is unchanged; "),
        (Call::Get, Fault::Reason(77), "UnknownReason", "; ask the provider for its meaning"),
        (Call::Set, Fault::Disconnect, "PartnerUnreachable", "; the next run tries again; "),
        (Call::Get, Fault::Html, "NotTheApi", "; nothing was changed, because "),
        (Call::Set, Fault::Html, "NotTheApi", "; check that PARTNER_API_BASE_URL is "),
        (Call::Get, outage, "NotTheApi", "; the next run tries again; "),
        (Call::Get, no_url, "NotTheApi", "; nothing was changed, because "),
    ] {
        let world = World::start().await;
        world.partner.register(Some(FOREIGN));
        world.partner.always(call, fault);
        let error = world.run("sync").await.unwrap_err();
        assert_eq!(error.cause(), cause);
        assert!(error.to_string().contains(remedy), "{error}");
        let [failed] = world.changes().await.try_into().unwrap();
        assert_eq!((failed.kind, failed.cause.as_deref()), (ChangeKind::Failed, Some(cause)));
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN), "{cause}");
    }
}

#[tokio::test]
async fn an_answer_after_a_byte_order_mark_is_read() {
    let world = World::start().await;
    let ours = json!({ "status": "OK", "url": OURS, "reason": 1 });
    world.partner.next(Call::Get, Fault::Answer(200, format!("\u{feff}{ours}")));
    assert_eq!(world.run("sync").await.unwrap().outcome, sync::Outcome::UpToDate);
}

#[tokio::test]
async fn an_unknown_reason_is_reported_with_its_number_and_call() {
    for (call, number, name) in [
        (Call::AccessToken, 13, "access token"),
        (Call::Get, 13, "get webhook"),
        (Call::Get, -7, "get webhook"),
        (Call::Set, 99, "set webhook"),
        (Call::Set, 1, "set webhook"),
    ] {
        let world = World::start().await;
        world.partner.always(call, Fault::Reason(number));
        let error = as_lambda_error(world.run("sync").await.unwrap_err());
        assert_eq!(error["errorType"], "UnknownReason");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains(&format!("the {name} call with reason {number},")), "{message}");
        assert_eq!(world.partner.calls().into_iter().filter(|made| *made == call).count(), 1);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_the_cause_and_nobody_is_asked() {
    for (id, value) in [
        ("partner", None),
        ("partner", Some("")),
        ("partner", Some("stand-in-client-secret")),
        ("partner", Some(r#"{"client_id":"stand-in-client-id"}"#)),
        ("partner", Some(r#"{"access_token":"Fixed-Access-Token-5555\n"}"#)),
        ("webhook-token", None),
        ("webhook-token", Some("short")),
        ("webhook-token", Some("Webhook-Token-0123456789\n")),
        ("webhook-token", Some(&"Webhook-Token-0123456789".repeat(30))),
    ] {
        let world = World::start().await;
        match value {
            Some(value) => world.secrets.put(id, value),
            None => world.secrets.delete(id),
        }
        let error = world.run("sync").await.unwrap_err();
        assert_eq!(error.cause(), "SecretUnusable", "{error}");
        assert!(error.to_string().starts_with(&format!("the secret {id} (")), "{error}");
        assert_eq!(world.partner.calls(), []);
    }
}

#[tokio::test]
async fn secrets_manager_out_of_reach_is_the_cause() {
    let mut world = World::start().await;
    world.restart_without_secrets_manager();
    let error = world.run("sync").await.unwrap_err();
    assert_eq!(error.cause(), "SecretUnusable");
    assert!(error.to_string().contains("Secrets Manager could not be reached"), "{error}");
}

#[tokio::test]
async fn a_failed_run_is_one_line_in_the_log_with_its_cause() {
    let world = World::start().await;
    world.partner.register(Some(OURS));
    world.partner.always(Call::Get, Fault::Reason(77));
    let error = world.run("sync").await.unwrap_err();
    assert_eq!(world.log().len(), 1);
    let line = world.last_line();
    assert_eq!((&line["level"], &line["cause"]), (&json!("ERROR"), &json!("UnknownReason")), "{line}");
    assert_eq!(line["error"], error.to_string());
}
