use std::time::Duration;

use serde_json::json;
use shared::EventId;

use crate::{
    functions,
    progress::{say, wait_for},
    provider::{self, id},
    world::World,
};

/// Redrive pauses 15 s after its first attempt and 30 s after its second, and the queue's own timings come on top.
const REDRIVE: Duration = Duration::from_secs(240);
/// A message that cannot be read is hidden for 5 s each time.
pub const DEAD: Duration = Duration::from_secs(120);

pub async fn events_received_while_the_table_is_missing_are_recorded_later(world: &World) {
    say("the events table is taken away");
    let table = world.tables().take_events_away().await;
    without_the_queue_too_it_is_refused(world).await;
    let mut queued = Vec::new();
    for line in 1..=3 {
        queued.push(acknowledged(world, &world.registered(), line).await);
    }
    // It cannot read the accepted tokens, so it cannot tell who is right: redrive does, later.
    functions::restart(&world.emulator, world.output("ReceiverFunctionName")).await;
    queued.push(acknowledged(world, &world.registered(), 4).await);
    let (forged, _) = acknowledged(world, &world.with_another_token(), 5).await;
    // A message may be sent twice, when the queue's answer comes too late.
    let waiting = world.queues().waiting().await;
    assert!(waiting > queued.len(), "only {waiting} of {} events wait", queued.len() + 1);
    say(
        "events are acknowledged and wait in the fallback queue, one of a receiver without tokens and a forged one too",
    );

    world.tables().put_events_back(table).await;
    functions::invoke(&world.emulator, world.output("SyncFunctionName"), &json!({"action": "sync"})).await;
    say("the events table is back, with the accepted token");
    for (id, body) in &queued {
        let found = async || world.tables().delivery(*id).await;
        let delivery = wait_for("a queued event is recorded", REDRIVE, found).await;
        assert_eq!((delivery.id, delivery.body.as_ref(), delivery.duplicate_of), (*id, Some(body), None));
    }
    let empty = async || (world.queues().waiting().await == 0).then_some(());
    wait_for("the fallback queue is empty", REDRIVE, empty).await;
    assert!(world.tables().delivery(forged).await.is_none(), "a forged event is recorded");
    say("they are recorded with the ids that they were acknowledged with, and the forged one is not");

    let (first, body) = &queued[0];
    let again = world.post(body.clone()).await.acknowledged();
    assert_eq!(id(&again["duplicate_of"]), *first);
    say("the same again is a duplicate of the redriven one");
}

/// The one case in which an event is lost: neither the table nor the queue takes it.
async fn without_the_queue_too_it_is_refused(world: &World) {
    let receiver = world.output("ReceiverFunctionName");
    let nowhere = format!("{}-that-is-not-there", world.output("FallbackQueueUrl"));
    let queue = functions::set_variable(&world.emulator, receiver, "FALLBACK_QUEUE_URL", &nowhere).await;
    let answer = world.post(json!({"event": "whatsapp", "whatsapp": "972500000009"}).to_string()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    functions::set_variable(&world.emulator, receiver, "FALLBACK_QUEUE_URL", &queue).await;
    say("while the fallback queue is away as well, an event is refused");
}

/// Posts the event of a line; answers with its id and its body.
async fn acknowledged(world: &World, webhook: &str, line: u8) -> (EventId, String) {
    let body = json!({"status": "OK", "event": "whatsapp", "whatsapp": format!("97250000000{line}")}).to_string();
    let answer = provider::post(&world.emulator, webhook, provider::ADDRESS, body.clone()).await;
    (answer.id(), body)
}

pub async fn an_unreadable_message_becomes_a_dead_letter(world: &World) {
    const POISON: &str = "this is no delivery";
    say("a message that is no delivery is in the fallback queue, which gives up after 2 receipts from now on");
    world.queues().give_up_after(2).await;
    world.queues().send(POISON).await;
    let letter = wait_for("it becomes a dead letter", DEAD, async || world.queues().dead_letter().await).await;
    assert_eq!(letter, POISON);
    say("it has become a dead letter");
}
