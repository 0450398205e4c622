use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_secretsmanager::Client;
use emulators::partner::{Call, Fault};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    functions, http,
    progress::{say, wait_for},
    provider,
    world::World,
};

/// The URL that is registered before there is a stack.
pub const BEFORE: &str = "https://before.example/hook";

/// The schedule runs every minute by then; it may just have run.
const SCHEDULE: Duration = Duration::from_secs(150);

/// The pause between events while the token is replaced.
const EVERY: Duration = Duration::from_millis(50);
/// For how long they go on afterwards.
const AFTERWARDS: Duration = Duration::from_secs(3);

pub async fn the_deployment_has_registered_the_webhook(world: &mut World) {
    assert_eq!(world.output("Registration"), "updated");
    remember_token(world).await;
    say("the deployment has registered the webhook");
}

pub async fn the_schedule_repairs_a_changed_url(world: &World) {
    say("somebody else registers another URL");
    let ours = world.partner.registered();
    world.partner.register(Some("https://elsewhere.example/hook"));
    let repaired = async || (world.partner.registered() == ours).then_some(());
    wait_for("the schedule registers our URL again", SCHEDULE, repaired).await;
    say("the schedule has registered ours again");
}

/// A client sends an event to whatever URL is registered every 50 ms.
pub async fn a_rotation_refuses_no_event(world: &mut World) {
    say("the token is replaced while events come every 50 ms");
    let before = world.registered();
    let (partner, emulator) = (Arc::clone(&world.partner), Arc::clone(&world.emulator));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let client = tokio::spawn(async move {
        let mut events = JoinSet::new();
        let mut ticks = tokio::time::interval(EVERY);
        while !stopped.load(Ordering::Relaxed) {
            ticks.tick().await;
            let (webhook, emulator) = (partner.registered().unwrap(), Arc::clone(&emulator));
            let body = json!({"event": "builder", "builderID": 700, "builder_extra_info": events.len()}).to_string();
            events.spawn(async move { provider::post(&emulator, &webhook, provider::ADDRESS, body).await });
        }
        events.join_all().await
    });
    let report =
        functions::invoke(&world.emulator, world.output("SyncFunctionName"), &json!({"action": "rotate"})).await;
    assert_eq!((&report["outcome"], &report["verified"]), (&json!("updated"), &json!(true)), "{report}");
    tokio::time::sleep(AFTERWARDS).await;
    stop.store(true, Ordering::Relaxed);
    let answers = client.await.unwrap();
    for answer in &answers {
        answer.acknowledged();
    }
    assert!(world.registered() != before, "the registered URL has no new token");
    remember_token(world).await;
    say(&format!("the registered URL has a new token, and none of {} events was refused", answers.len()));
    let answer = provider::post(&world.emulator, &before, provider::ADDRESS, "{}").await;
    answer.acknowledged();
    say("the old token is still accepted");
}

pub async fn failures_are_reported(world: &World) {
    let (sync, ours) = (world.output("SyncFunctionName"), world.partner.registered());
    let check = json!({"action": "sync"});
    world.partner.always(Call::Get, Fault::Reason(77));
    assert_eq!(functions::invoke_in_vain(&world.emulator, sync, &check).await, "UnknownReason");
    world.partner.behave();
    say("a failed check is a Lambda error of the type UnknownReason");

    // The schedule may repair it in between, so this may take several attempts.
    let not_verified = async || {
        world.partner.register(Some("https://unnoticed.example/hook"));
        world.partner.next(Call::Set, Fault::SetIgnored);
        let report = functions::invoke(&world.emulator, sync, &check).await;
        (report["verified"] == false).then_some(())
    };
    wait_for("a URL that was not taken is reported as not verified", SCHEDULE, not_verified).await;
    world.partner.behave();
    say("a URL that was not taken is reported as not verified");

    let contested = async || {
        world.partner.register(Some("https://competing.example/hook"));
        let url = format!("{}/2015-03-31/functions/{sync}/invocations", world.emulator.url());
        let answer = http::post(&url, &[], check.to_string()).await;
        answer.body.contains("\"Contested\"").then_some(())
    };
    wait_for("a URL that keeps coming back is contested", SCHEDULE, contested).await;
    assert_eq!(world.partner.registered().as_deref(), Some("https://competing.example/hook"));
    say("a URL that keeps coming back stays registered: a Lambda error of the type Contested");
    let set = json!({"action": "set", "url": world.output("WebhookUrl")});
    let report = functions::invoke(&world.emulator, sync, &set).await;
    assert_eq!(report["verified"], true, "{report}");
    assert_eq!(world.partner.registered(), ours);
    say("a person has set ours again");
}

/// The token in the registered URL is the one in the secret.
pub async fn remember_token(world: &mut World) {
    let registered = world.registered();
    let token = registered.strip_prefix(&format!("{}/", world.output("WebhookUrl")));
    let token = token.expect("the registered URL is not the webhook's address with a token").to_owned();
    world.secrets.add(&token);
    let client = Client::new(&world.emulator.sdk_config());
    let secret = client.get_secret_value().secret_id(world.output("WebhookTokenSecretId")).send().await.unwrap();
    assert!(secret.secret_string() == Some(&token), "the registered URL does not end with the token");
}
