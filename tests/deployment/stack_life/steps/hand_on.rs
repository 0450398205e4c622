use std::time::Duration;

use emulators::endpoint::Reply;
use serde_json::{Value, json};

use super::events::Recorded;
use crate::{
    progress::{say, wait_for},
    world::World,
};

/// Maximum time from the answer to an event until it is with a consumer, retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells the endpoint the secret that the deployment has made, and sends everything on the bus to a queue.
pub async fn consumers_are_there(world: &mut World) {
    let secrets = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let secret = secrets.get_secret_value().secret_id(world.output("ForwardSecretId")).send().await.unwrap();
    let secret = secret.secret_string.unwrap();
    assert!(secret.starts_with("whsec_"), "the deployment has made no signing secret");
    world.endpoint.verify_with(&secret);
    world.secrets.add(secret);

    let sqs = aws_sdk_sqs::Client::new(&world.emulator.sdk_config());
    let queue = sqs.create_queue().queue_name("bus-consumer").send().await.unwrap().queue_url.unwrap();
    let arn = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
    let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(arn.clone()).send().await.unwrap();
    let bus = aws_sdk_eventbridge::Client::new(&world.emulator.sdk_config());
    let rule = bus.put_rule().event_bus_name(world.output("EventBusName")).name("everything");
    rule.event_pattern(json!({"source": ["partner-webhook"]}).to_string()).send().await.unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&attributes.attributes.unwrap()[&arn]);
    let targets = bus.put_targets().event_bus_name(world.output("EventBusName")).rule("everything");
    targets.targets(target.build().unwrap()).send().await.unwrap();
    world.bus_consumer = queue;
}

pub async fn a_recorded_event_is_with_every_consumer(world: &World, recorded: &Recorded) {
    let id = recorded.id.to_string();
    let call = wait_for("the endpoint has the event", PATIENCE, async || {
        world.endpoint.received().into_iter().find(|call| call.id == id)
    });
    let call = call.await;
    assert!(call.is_verified, "the signature is not good");
    assert!(!world.secrets.are_in(&call.body) && !call.body.contains("[sealed]"), "a secret was forwarded");
    let entry = wait_for("the bus has the event", PATIENCE, async || world.bus_entry(&id).await).await;
    assert_eq!(
        (&entry["source"], &entry["detail-type"], &entry["detail"]["has_api_key"]),
        (&json!("partner-webhook"), &json!("whatsapp"), &json!(true))
    );
    assert!(!world.secrets.are_in(&entry.to_string()), "a secret is on the bus");
    say("the endpoint and the bus have the event, signed and without its key");
}

pub async fn a_refused_event_is_tried_again_and_those_behind_it_wait(world: &World) {
    let update = |code: u64| json!({"event": "whatsapp", "whatsapp": "972509999999", "whatsapp_extra_info": code});
    world.endpoint.reply([Reply::Status(503)]);
    let first = world.post(update(5).to_string()).await.id().to_string();
    let second = world.post(update(6).to_string()).await.id().to_string();
    wait_for("the endpoint has taken both", PATIENCE, async || {
        let taken = world.endpoint.taken();
        (taken.contains(&first) && taken.contains(&second)).then_some(())
    })
    .await;
    let calls: Vec<_> =
        world.endpoint.received().into_iter().filter(|call| call.id == first || call.id == second).collect();
    let order: Vec<_> = calls.iter().map(|call| (call.id == first, call.status)).collect();
    assert_eq!(order, [(true, 503), (true, 200), (false, 200)]);
    say("a refused event was tried again after 5 s, and the next of its line waited for it");
}

impl World {
    /// The entry of the bus with an event's id; entries that come before it are dropped.
    async fn bus_entry(&self, id: &str) -> Option<Value> {
        let sqs = aws_sdk_sqs::Client::new(&self.emulator.sdk_config());
        let received =
            sqs.receive_message().queue_url(&self.bus_consumer).max_number_of_messages(10).send().await.unwrap();
        let entries = received.messages.unwrap_or_default().into_iter().filter_map(|message| message.body);
        entries.filter_map(|body| serde_json::from_str::<Value>(&body).ok()).find(|entry| entry["detail"]["id"] == id)
    }
}
