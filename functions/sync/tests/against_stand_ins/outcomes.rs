use emulators::partner::{Call, Fault, Writing};
use serde_json::json;
use store::ChangeKind;
use sync::Outcome;

use crate::world::{FOREIGN, OURS, OURS_MASKED, World};

#[tokio::test]
async fn the_first_sync_registers_our_url_and_reads_it_back() {
    let world = World::start().await;
    let report = world.run("sync").await.unwrap();
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!({
            "action": "sync",
            "outcome": "updated",
            "desired": OURS_MASKED,
            "registered": OURS_MASKED,
            "verified": true,
        })
    );
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Set, Call::Get]);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
}

#[tokio::test]
async fn our_url_that_is_registered_already_is_left_alone() {
    let world = World::start().await;
    world.partner.register(Some(OURS));
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::UpToDate, true));
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn drift_is_repaired() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Updated, true));
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    let found = world.log().iter().any(|line| line.contains("registered elsewhere: https://other.example/in/***"));
    assert!(found, "{:?}", world.log());
}

#[tokio::test]
async fn a_second_sync_has_nothing_to_do() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
}

#[tokio::test]
async fn no_spelling_of_our_url_is_drift() {
    for writing in [Writing::Exact, Writing::WithoutScheme, Writing::HostInCapitals, Writing::TrailingSlash] {
        let world = World::start().await;
        world.partner.write(writing);
        let first = world.run("sync").await.unwrap();
        assert_eq!((first.outcome, first.verified), (Outcome::Updated, true), "{writing:?}");
        let second = world.run("sync").await.unwrap();
        assert_eq!((second.outcome, second.verified), (Outcome::UpToDate, true), "{writing:?}");
        assert_eq!(world.partner.registered().as_deref(), Some(OURS));
        assert_eq!(world.ledger().await, [ChangeKind::Registered], "{writing:?}");
    }
}

#[tokio::test]
async fn a_text_that_only_looks_like_our_url_is_drift_and_repaired() {
    let (host, path) = OURS["https://".len()..].split_once('/').unwrap();
    for registered in [
        format!("https:///{host}/{path}"),
        format!("https:{host}/{path}"),
        format!("https://{host}\\{}", path.replace('/', "\\")),
        format!("https://{}\t{}/{path}", &host[..2], &host[2..]),
        format!("https://{host}/x/../{path}"),
        format!("https://{host}//{path}"),
        format!("https://{host}/{path}//"),
        format!("https://user@{host}/{path}"),
        format!("https://{}/{path}", host.replace('h', "\u{ff48}")),
        format!("{OURS} "),
    ] {
        let world = World::start().await;
        world.partner.register(Some(&registered));
        let report = world.run("sync").await.unwrap();
        assert_eq!((report.outcome, report.verified), (Outcome::Updated, true), "{registered}");
        assert_eq!(world.partner.registered().as_deref(), Some(OURS), "{registered}");
    }
}

#[tokio::test]
async fn plan_says_what_sync_would_do_and_changes_nothing() {
    let world = World::start().await;
    for (registered, outcome) in
        [(None, Outcome::WouldUpdate), (Some(FOREIGN), Outcome::WouldUpdate), (Some(OURS), Outcome::UpToDate)]
    {
        world.partner.register(registered);
        let report = world.run("plan").await.unwrap();
        assert_eq!((report.outcome, report.verified), (outcome, registered == Some(OURS)));
        assert_eq!(world.partner.registered().as_deref(), registered);
    }
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Get, Call::Get]);
    assert!(!world.token_is_accepted().await);
}

#[tokio::test]
async fn get_reports_the_registered_url() {
    let world = World::start().await;
    let report = serde_json::to_value(world.run("get").await.unwrap()).unwrap();
    assert_eq!(
        report,
        json!({
            "action": "get",
            "outcome": "reported",
            "desired": OURS_MASKED,
            "registered": null,
            "verified": false,
            "ours": false,
            "ours_seen": false,
        })
    );
    world.partner.register(Some(OURS));
    let report = world.run("get").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Reported, true));
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Get]);
    assert!(!world.token_is_accepted().await);
}

#[tokio::test]
async fn set_registers_the_given_url() {
    let world = World::start().await;
    world.partner.register(Some(OURS));
    let report = world.send(json!({ "action": "set", "url": FOREIGN })).await.unwrap();
    assert_eq!((report.action, report.outcome, report.verified), ("set", Outcome::Updated, true));
    assert_eq!(report.desired.expose(), FOREIGN);
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::Set, Call::Get]);
}

#[tokio::test]
async fn another_url_can_be_set_while_the_provider_does_not_tell_which_one_is_registered() {
    let set = |url: &str| json!({ "action": "set", "url": url });
    let world = World::start().await;
    world.partner.register(Some(OURS));
    world.partner.next(Call::Get, Fault::Html);
    assert!(world.send(set(FOREIGN)).await.unwrap().verified);
    world.partner.always(Call::Get, Fault::Html);
    let error = world.send(set("https://third.example/in")).await.unwrap_err();
    assert_eq!(error.cause(), "NotTheApi");
    assert!(error.to_string().contains("the provider accepted the URL, but it is unknown"), "{error}");
    assert_eq!(world.partner.registered().as_deref(), Some("https://third.example/in"));
    world.send(set(OURS)).await.unwrap_err();
    world.partner.always(Call::Get, Fault::Reason(2));
    assert_eq!(world.send(set(FOREIGN)).await.unwrap_err().cause(), "WrongCredentials");
    assert_eq!(world.partner.registered().as_deref(), Some("https://third.example/in"));
}

#[tokio::test]
async fn a_set_that_was_answered_with_ok_but_not_done_is_an_error_in_the_log() {
    let world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.partner.next(Call::Set, Fault::SetIgnored);
    let report = world.run("sync").await.unwrap();
    assert_eq!((report.outcome, report.verified), (Outcome::Updated, false));
    let line = world.last_line();
    assert_eq!((&line["level"], &line["verified"]), (&json!("ERROR"), &json!(false)), "{line}");
}

#[tokio::test]
async fn the_log_has_the_report_as_one_line() {
    let world = World::start().await;
    world.partner.register(Some(OURS));
    world.run("sync").await.unwrap();
    let [line] = world.log().try_into().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (field, value) in [
        ("level", json!("INFO")),
        ("action", json!("sync")),
        ("outcome", json!("up_to_date")),
        ("desired", json!(OURS_MASKED)),
        ("registered", json!(OURS_MASKED)),
        ("verified", json!(true)),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
}
