use std::time::Duration;

use emulators::partner::{Call, Fault};
use serde_json::json;
use store::ChangeKind;

use crate::world::{ADDRESS, FIXED_ACCESS_TOKEN, FOREIGN, OURS, OURS_MASKED, World};

#[tokio::test]
async fn a_new_stack_is_registered_and_cloudformation_gets_the_answer() {
    let world = World::start().await;
    let (resolved, told) = world.send_request("Create", "true").await;
    resolved.unwrap();
    assert_eq!(
        told,
        json!({
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "webhook-registration",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Registration",
            "Data": { "Outcome": "updated", "Registered": OURS_MASKED },
        })
    );
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Set, Call::Get]);
    assert_eq!(world.changes().await[0].action, "register");
}

#[tokio::test]
async fn a_stack_that_has_changed_and_is_registered_already_changes_nothing() {
    let world = World::start().await;
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.take_calls();
    let (resolved, told) = world.send_request("Update", "true").await;
    assert_eq!(resolved.unwrap().outcome, "up_to_date");
    assert_eq!(told["Status"], "SUCCESS");
    assert_eq!(world.partner.calls(), [Call::Get]);
}

#[tokio::test]
async fn a_stack_that_does_not_register_calls_nobody() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    for kind in ["Create", "Update", "Delete"] {
        let (resolved, told) = world.send_request(kind, "false").await;
        assert_eq!((resolved.unwrap().outcome, &told["Status"]), ("left_alone", &json!("SUCCESS")));
    }
    assert_eq!(world.partner.calls(), []);
}

#[tokio::test]
async fn a_stack_without_credentials_waits_for_them() {
    let world = World::start().await;
    world.secrets.put("partner", r#"{"client_id":"","client_secret":""}"#);
    let (resolved, told) = world.send_request("Create", "true").await;
    assert_eq!((resolved.unwrap().outcome, &told["Status"]), ("waiting_for_credentials", &json!("SUCCESS")));
    assert_eq!(told["Data"]["Outcome"], "waiting_for_credentials");
    assert_eq!(world.partner.calls(), []);
    assert_eq!(world.cause("sync").await, "SecretUnusable", "the scheduled run reports it, so that the alarm fires");
}

#[tokio::test]
async fn the_stack_is_told_the_cause_in_words_and_wrong_credentials_are_tried_exactly_once() {
    let world = World::start().await;
    world.secrets.put("partner", r#"{"client_id":"wrong","client_secret":"wrong"}"#);
    let (result, told) = world.send_request("Create", "true").await;
    assert_eq!(result.unwrap_err().cause(), "WrongCredentials");
    assert_eq!(told["Status"], "FAILED");
    let reason = told["Reason"].as_str().unwrap();
    assert!(reason.starts_with("WrongCredentials: the provider refuses the client id"), "{reason}");
    assert!(reason.contains("RegisterOnDeploy=false"), "{reason}");
    assert_eq!(world.partner.calls(), [Call::AccessToken]);

    // CloudFormation then deletes the resource that it could not create.
    let (resolved, told) = world.send_request("Delete", "true").await;
    assert_eq!((resolved.unwrap().outcome, &told["Status"]), ("left_alone", &json!("SUCCESS")));
    assert_eq!(
        world.partner.calls(),
        [Call::AccessToken],
        "nothing was registered, so the provider is not asked again"
    );
}

#[tokio::test]
async fn a_stack_that_is_rolled_back_calls_nobody_when_ours_cannot_have_been_registered() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.partner.next(Call::Get, Fault::Status(500));
    world.send_request("Create", "true").await.0.unwrap_err();
    world.partner.take_calls();
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!((resolved.unwrap().outcome, world.partner.calls()), ("left_alone", vec![]));
}

#[tokio::test]
async fn a_stack_that_is_rolled_back_restores_the_earlier_url_even_if_our_set_was_never_confirmed() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    let before = json!({ "status": "OK", "url": FOREIGN, "reason": 1 });
    world.partner.next(Call::Get, Fault::Answer(200, before.to_string()));
    world.partner.next(Call::Get, Fault::Status(500));
    world.send_request("Create", "true").await.0.unwrap_err();
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "updated");
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn every_failure_is_reported_within_cloudformations_maximum_size() {
    for (call, fault, cause) in [
        (Call::AccessToken, Fault::Reason(3), "AddressBlocked"),
        (Call::Get, Fault::Html, "NotTheApi"),
        (Call::Set, Fault::Reason(13), "UrlRefused"),
        (Call::Set, Fault::SetIgnored, "NotVerified"),
        (Call::Set, Fault::Reason(99), "UnknownReason"),
    ] {
        let world = World::start().await;
        world.partner.next(call, fault);
        let (result, told) = world.send_request("Create", "true").await;
        assert_eq!((result.unwrap_err().cause(), &told["Status"]), (cause, &json!("FAILED")));
        assert!(told["Reason"].as_str().unwrap().starts_with(cause), "{told}");
        assert!(told.to_string().len() < 4096);
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_is_sent_again() {
    let world = World::start().await;
    world.cloudformation.refuse(2);
    let (resolved, told) = world.send_request("Create", "true").await;
    assert_eq!((resolved.unwrap().outcome, &told["Status"]), ("updated", &json!("SUCCESS")));
}

#[tokio::test]
async fn deleting_restores_the_url_registered_before() {
    for before in [FOREIGN, "http://old.example/in", "old.example/in", "https://user:pass@old.example/in#part"] {
        let world = World::start().await;
        world.partner.register(Some(before));
        world.send_request("Create", "true").await.0.unwrap();
        world.partner.take_calls();
        let (resolved, told) = world.send_request("Delete", "true").await;
        assert_eq!((resolved.unwrap().outcome, &told["Status"]), ("updated", &json!("SUCCESS")), "{before}");
        let registered = world.partner.registered().unwrap();
        assert!(registered == before || registered == format!("https://{before}"), "{registered}");
        assert_eq!(world.partner.calls(), [Call::Get, Call::Set, Call::Get]);
        assert_eq!(world.ledger().await, [ChangeKind::Registered, ChangeKind::Restored]);
    }
}

#[tokio::test]
async fn the_restored_url_is_the_first_one_and_not_one_that_was_replaced_in_a_repair() {
    let mut world = World::start().await;
    world.partner.register(Some("https://first.example/in"));
    world.send_request("Create", "true").await.0.unwrap();
    world.wait(Duration::from_secs(3600));
    world.partner.register(Some(FOREIGN));
    world.run("sync").await.unwrap();
    world.run("rotate").await.unwrap();
    world.send_request("Delete", "true").await.0.unwrap();
    assert_eq!(world.partner.registered().as_deref(), Some("https://first.example/in"));
}

#[tokio::test]
async fn the_restored_url_is_the_one_that_a_person_replaced_last() {
    let set = |url: &str| json!({ "action": "set", "url": url });
    // With the new token, and with the old one.
    for ours in [ADDRESS, OURS] {
        let world = World::start().await;
        world.partner.register(Some("https://first.example/in"));
        world.send(set(ADDRESS)).await.unwrap();
        world.run("rotate").await.unwrap();
        world.partner.register(Some(FOREIGN));
        world.send(set(ours)).await.unwrap();
        let (resolved, _) = world.send_request("Delete", "true").await;
        assert_eq!(resolved.unwrap().outcome, "updated");
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN), "{ours}");
    }
}

#[tokio::test]
async fn the_restored_url_is_not_the_one_that_kept_replacing_ours() {
    let world = World::start().await;
    world.partner.register(Some("https://first.example/in"));
    world.send_request("Create", "true").await.0.unwrap();
    for _ in 0..3 {
        world.partner.register(Some(FOREIGN));
        world.run("sync").await.unwrap();
    }
    world.partner.register(Some(FOREIGN));
    world.send(json!({ "action": "set", "url": ADDRESS })).await.unwrap();
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "updated");
    assert_eq!(world.partner.registered().as_deref(), Some("https://first.example/in"));
}

#[tokio::test]
async fn deleting_does_not_register_the_url_of_one_partner_account_in_another() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.send_request("Create", "true").await.0.unwrap();
    world.secrets.put("partner", &json!({ "access_token": FIXED_ACCESS_TOKEN }).to_string());
    world.partner.take_access_token(FIXED_ACCESS_TOKEN);
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "left_alone");
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
}

#[tokio::test]
async fn deleting_leaves_a_foreign_url_alone_and_restores_nothing_when_ours_was_the_first() {
    let world = World::start().await;
    world.partner.register(Some("https://first.example/in"));
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.register(Some(FOREIGN));
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "left_alone");
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));

    let world = World::start().await;
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.take_calls();
    let (resolved, _) = world.send_request("Delete", "true").await;
    assert_eq!(resolved.unwrap().outcome, "left_alone");
    assert_eq!((world.partner.registered().as_deref(), world.partner.calls()), (Some(OURS), vec![]));
}

#[tokio::test]
async fn a_failed_restore_says_how_to_delete_the_stack_all_the_same() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.send_request("Create", "true").await.0.unwrap();
    world.partner.next(Call::Get, Fault::Status(500));
    let (result, told) = world.send_request("Delete", "true").await;
    assert_eq!(result.unwrap_err().cause(), "NotTheApi");
    assert!(told["Reason"].as_str().unwrap().contains("--retain-resources"), "{told}");
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_is_a_bad_request() {
    let world = World::start().await;
    for (member, value) in [("ResponseURL", json!("http://example.com/")), ("StackId", json!(null))] {
        let mut request = world.request("Create", "true");
        request[member] = value;
        assert_eq!(world.invoke(request).await.unwrap_err().cause(), "BadRequest");
    }
    assert_eq!((world.partner.calls(), world.cloudformation.take_answers()), (vec![], vec![]));
}
