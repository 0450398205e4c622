use std::time::Duration;

use emulators::endpoint::Reply;
use serde_json::{Value, json};

use super::{
    commands::{object, objects},
    events::Recorded,
};
use crate::{
    cloudwatch, functions,
    progress::{say, wait_for},
    world::World,
};

/// Maximum time from the answer to an event until it is with a consumer, retries included.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Events wait 30 s after a first fault, and a minute after a second.
const AFTER_FAULTS: Duration = Duration::from_secs(180);

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
    let entry = wait_for("the bus has the event", PATIENCE, async || world.bus_entry(&id, false).await).await;
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

/// `hooks forward status` and `test`, and `hooks replay` through the rule.
pub async fn handing_on_is_looked_after(world: &World, recorded: &Recorded) {
    let status = object(world, &["forward", "status"]).await;
    let counted = status["hours"].as_array().unwrap().iter().filter_map(|hour| hour["published"].as_u64()).sum::<u64>();
    assert!(status["forwarding"] == true && status["missing"] == 0 && counted > 0, "{status}");
    let tested = object(world, &["forward", "test"]).await;
    assert_eq!((&tested["taken"], &tested["signatures"]), (&json!(true), &json!(1)), "{tested}");
    let call = world.endpoint.received().into_iter().find(|call| call.id == tested["id"]);
    assert!(call.unwrap().is_verified, "the signature of the test event is not good");
    let id = recorded.id.to_string();
    let replayed = object(world, &["replay", &id, "--to", "bus"]).await;
    assert_eq!((&replayed["handed_over"], &replayed["complete"]), (&json!(1), &json!(true)), "{replayed}");
    let entry = wait_for("the rule has passed the event on again", PATIENCE, async || world.bus_entry(&id, true).await);
    let entry = entry.await;
    assert!(!world.secrets.are_in(&entry.to_string()), "a secret is on the bus");
    let replayed = object(world, &["replay", &id, "--to", "forward"]).await;
    assert_eq!((&replayed["handed_over"], &replayed["skipped"]["taken_before"]), (&json!(0), &json!(1)), "{replayed}");
    say(
        "hooks forward: the counts agree, and a test event is taken; hooks replay: an event comes through the rule again",
    );
}

/// `hooks forward secret` and `rotate`: for a day both secrets sign.
pub async fn a_replaced_secret_signs_beside_the_new_one(world: &mut World) {
    let secret = async |world: &World| {
        let secret = object(world, &["forward", "secret", "--yes"]).await["secret"].take();
        secret.as_str().unwrap().to_owned()
    };
    let old = secret(world).await;
    object(world, &["forward", "rotate", "--yes"]).await;
    let new = secret(world).await;
    world.secrets.add(new.clone());
    assert!(old != new, "the secret is the one before");
    for secret in [&old, &new] {
        world.endpoint.verify_with(secret);
        let tested = object(world, &["forward", "test"]).await;
        let call = world.endpoint.received().into_iter().find(|call| call.id == tested["id"]).unwrap();
        assert!(call.is_verified, "the call is not signed with both secrets");
        assert_eq!((&tested["signatures"], call.signature.split(' ').count()), (&json!(2), 2), "{tested}");
    }
    say("hooks forward rotate: calls have two signatures, one good for the old secret and one for the new");
}

/// `hooks dlq --queue forward`: an event that is given up is seen with the answer, and sent anew.
pub async fn an_event_that_is_given_up_is_sent_anew(world: &World) {
    world.endpoint.reply([Reply::Status(410)]);
    let id = world.post(json!({"event": "builder", "builderID": 992}).to_string()).await.id().to_string();
    let listed = wait_for("the event is a dead letter", PATIENCE, async || {
        let listed = objects(world, &["dlq", "list", "--queue", "forward"]).await;
        listed.into_iter().find(|dead| dead["event_id"] == id.as_str())
    });
    let dead = listed.await;
    assert_eq!(
        (&dead["entity"], &dead["attempts"], &dead["answer"]),
        (&json!("builder#992"), &json!(1), &json!("410"))
    );
    let redriven = object(world, &["dlq", "redrive", &id, "--queue", "forward"]).await;
    assert_eq!(redriven["redriven"], true, "{redriven}");
    wait_for("the endpoint has taken the event", PATIENCE, async || world.endpoint.taken().contains(&id).then_some(()))
        .await;
    assert_eq!(objects(world, &["dlq", "list", "--queue", "forward"]).await, [json!(null); 0]);
    say("hooks dlq --queue forward: the event that was given up is seen, and sent anew");
}

/// With a value that is no signing secret events wait, until `hooks forward rotate` stores a good one.
pub async fn a_secret_that_signs_nothing_loses_nothing(world: &mut World) {
    /// Enough within a quarter of an hour for the alarm.
    const EVENTS: u64 = 3;
    let client = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let put = client.put_secret_value().secret_id(world.output("ForwardSecretId"));
    put.secret_string("not a secret to sign with").send().await.unwrap();
    // It would go on with the secret that it knows; with another variable it starts again.
    functions::set_variable(&world.emulator, world.output("ForwarderFunctionName"), "FORWARD_TIMEOUT_SECONDS", "9")
        .await;
    let mut waiting = Vec::new();
    for bot in 0..EVENTS {
        waiting
            .push(world.post(json!({"event": "builder", "builderID": 980 + bot}).to_string()).await.id().to_string());
    }
    wait_for("the faults are counted", PATIENCE, async || {
        let faults =
            cloudwatch::emitted(&world.emulator).await.into_iter().filter(|datum| datum.name == "ForwardFaults");
        (faults.map(|datum| datum.value as u64).sum::<u64>() >= EVENTS).then_some(())
    })
    .await;
    object(world, &["forward", "rotate", "--yes"]).await;
    let secret = object(world, &["forward", "secret", "--yes"]).await["secret"].as_str().unwrap().to_owned();
    world.endpoint.verify_with(&secret);
    world.secrets.add(secret);
    let taken = async || {
        let taken = world.endpoint.taken();
        waiting.iter().all(|id| taken.contains(id)).then_some(())
    };
    wait_for("the endpoint has taken what waited", AFTER_FAULTS, taken).await;
    say("a secret that signs nothing: events waited, and were taken once hooks forward rotate had stored a good one");
}

impl World {
    /// The entry of the bus with an event's id, replayed or not; entries that come before it are dropped.
    async fn bus_entry(&self, id: &str, replayed: bool) -> Option<Value> {
        let sqs = aws_sdk_sqs::Client::new(&self.emulator.sdk_config());
        let received =
            sqs.receive_message().queue_url(&self.bus_consumer).max_number_of_messages(10).send().await.unwrap();
        let entries = received.messages.unwrap_or_default().into_iter().filter_map(|message| message.body);
        let mut entries = entries.filter_map(|body| serde_json::from_str::<Value>(&body).ok());
        entries.find(|entry| entry["detail"]["id"] == id && (entry["detail"]["replayed"] == true) == replayed)
    }
}
