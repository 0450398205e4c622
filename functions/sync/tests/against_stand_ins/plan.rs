use std::time::Duration;

use emulators::partner::{Call, Fault};
use serde_json::json;
use shared::TokenHash;
use store::AcceptedTokens;
use sync::Outcome;

use crate::world::{ADDRESS, FOREIGN, OURS, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Returns the name of a run's outcome or of its cause.
async fn end_of(world: &World, action: &str) -> &'static str {
    match world.run(action).await {
        Ok(report) => report.outcome.name(),
        Err(error) => error.cause(),
    }
}

/// A world in which a plan and then a sync are to be carried out.
async fn situation(name: &str) -> World {
    let observe = name.starts_with("observe");
    let settings: &[_] = if observe { &[("SYNC_MODE", "observe")] } else { &[] };
    let mut world = World::start_with(settings).await;
    match name {
        "nothing" => {}
        "another url" | "observe another url" => world.partner.register(Some(FOREIGN)),
        "ours" => world.partner.register(Some(OURS)),
        "ours in an unusual spelling" => world.partner.register(Some(&OURS.replace("/v1/", "/v1/x/../"))),
        "ours with an unknown token" => world.partner.register(Some(&format!("{ADDRESS}/Unknown-0123456789"))),
        "an old token" | "observe an old token" => {
            world.partner.register(Some(OURS));
            world.run("sync").await.unwrap();
            world.wait(DAY * 90);
        }
        "a token that is not old enough" => {
            world.run("sync").await.unwrap();
            world.wait(DAY * 90 - HOUR);
        }
        "an old token and another url" => {
            world.run("sync").await.unwrap();
            world.wait(DAY * 90);
            world.partner.register(Some(FOREIGN));
        }
        "an unfinished rotation" => {
            world.run("sync").await.unwrap();
            world.partner.next(Call::Set, Fault::Reason(13));
            world.run("rotate").await.unwrap_err();
        }
        "a rotation to finish" => {
            world.run("sync").await.unwrap();
            let ours = json!({ "status": "OK", "url": OURS, "reason": 1 });
            world.partner.next(Call::Get, Fault::Answer(200, ours.to_string()));
            world.partner.next(Call::Get, Fault::Status(500));
            world.run("rotate").await.unwrap_err();
        }
        "contested" | "contested for long" => {
            world.run("sync").await.unwrap();
            for _ in 0..4 {
                world.partner.register(Some(FOREIGN));
                let _ = world.run("sync").await;
                world.wait(HOUR);
            }
            world.partner.register(Some(FOREIGN));
            if name == "contested for long" {
                world.wait(DAY * 100);
            }
        }
        "about to be contested" => {
            world.run("sync").await.unwrap();
            for _ in 0..3 {
                world.partner.register(Some(FOREIGN));
                world.run("sync").await.unwrap();
            }
            world.partner.register(Some(FOREIGN));
        }
        "a deleted stack" => {
            world.partner.register(Some(FOREIGN));
            world.send_request("Create", "true").await.0.unwrap();
            world.send_request("Delete", "true").await.0.unwrap();
        }
        "wrong credentials" => world.secrets.put("partner", r#"{"client_id":"wrong","client_secret":"wrong"}"#),
        "no credentials" => world.secrets.put("partner", "{}"),
        "not the api" => world.partner.always(Call::Get, Fault::Html),
        _ => panic!("{name}"),
    }
    world
}

#[tokio::test]
async fn a_plan_is_the_decision_of_the_next_sync_and_changes_nothing() {
    for (name, planned) in [
        ("nothing", "would_update"),
        ("another url", "would_update"),
        ("observe another url", "would_update"),
        ("ours", "up_to_date"),
        ("ours in an unusual spelling", "would_update"),
        ("ours with an unknown token", "would_update"),
        ("an old token", "would_update"),
        ("observe an old token", "up_to_date"),
        ("a token that is not old enough", "up_to_date"),
        ("an old token and another url", "would_update"),
        ("an unfinished rotation", "would_update"),
        ("a rotation to finish", "would_update"),
        ("contested", "Contested"),
        ("contested for long", "Contested"),
        ("about to be contested", "Contested"),
        ("a deleted stack", "StackDeleted"),
        ("wrong credentials", "WrongCredentials"),
        ("no credentials", "SecretUnusable"),
        ("not the api", "NotTheApi"),
    ] {
        let world = situation(name).await;
        let state = |world: &World| (world.partner.registered(), world.secrets.values("webhook-token").len());
        let before = (state(&world), world.ledger().await, world.token_is_accepted().await);
        world.partner.take_calls();
        assert_eq!(end_of(&world, "plan").await, planned, "{name}");
        assert!(!world.partner.take_calls().contains(&Call::Set), "{name}");
        assert_eq!((state(&world), world.ledger().await, world.token_is_accepted().await), before, "{name}");
        let carried_out = match end_of(&world, "sync").await {
            "updated" => Outcome::WouldUpdate.name(),
            end => end,
        };
        assert_eq!(carried_out, planned, "{name}");
    }
}

#[tokio::test]
async fn tokens_that_were_left_over_do_not_make_the_current_one_too_old() {
    let world = World::start().await;
    world.run("sync").await.unwrap();
    let accepted = AcceptedTokens::new(world.dynamodb.client(), "events");
    for number in 0..8 {
        let token = TokenHash::of(&format!("Left-Over-0123456789-{number}"));
        accepted.accept(&token, world.now.minus(DAY * 100)).await.unwrap();
    }
    for action in ["plan", "sync"] {
        assert_eq!(end_of(&world, action).await, "up_to_date", "{action}");
    }
}
