use std::time::Duration;

use serde_json::json;

use crate::{
    functions,
    progress::{say, wait_for},
    world::World,
};

/// Whether `sam deploy` itself registers the webhook. If not, sync is invoked, as README.md says.
const BY_DEPLOY: bool = false;

/// The schedule runs every minute by then; it may just have run.
const SCHEDULE: Duration = Duration::from_secs(150);

pub async fn registers_the_webhook(world: &mut World) {
    if BY_DEPLOY {
        say("the deployment has registered the webhook");
    } else {
        say("sync registers the webhook");
        assert!(world.partner.registered().is_none(), "a webhook is registered already");
        let report =
            functions::invoke(&world.emulator, world.output("SyncFunctionName"), &json!({"action": "sync"})).await;
        assert_eq!((&report["outcome"], &report["verified"]), (&json!("updated"), &json!(true)), "{report}");
    }
    let registered = world.registered();
    let token = registered.strip_prefix(&format!("{}/", world.output("WebhookUrl")));
    let token = token.expect("what is registered is not the webhook's address and a token").to_owned();
    world.secrets.add(&token);
    let client = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let secret = client.get_secret_value().secret_id(world.output("WebhookTokenSecretId")).send().await.unwrap();
    assert!(secret.secret_string() == Some(&token), "what is registered does not end with the token");
}

pub async fn the_schedule_repairs_a_changed_url(world: &World) {
    say("somebody else registers another URL");
    let ours = world.partner.registered();
    world.partner.register(Some("https://elsewhere.example/hook"));
    let repaired = async || (world.partner.registered() == ours).then_some(());
    wait_for("the schedule registers our URL again", SCHEDULE, repaired).await;
    say("the schedule has registered ours again");
}
