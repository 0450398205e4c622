use super::{events::Recorded, registration::BEFORE};
use crate::{functions, progress::say, stack, world::World};

const FUNCTIONS: [&str; 5] = [
    "ReceiverFunctionName",
    "RedriveFunctionName",
    "SyncFunctionName",
    "PublisherFunctionName",
    "ForwarderFunctionName",
];

pub async fn tables_and_queues_outlive_the_stack(world: &World, recorded: &Recorded) {
    say("sam delete");
    for name in FUNCTIONS {
        assert!(functions::exists(&world.emulator, world.output(name)).await, "{name} does not exist");
    }
    stack::delete(stack::NAME, &world.tools, &world.emulator).await;
    assert_eq!(world.partner.registered().as_deref(), Some(BEFORE), "what was registered before is not again");
    say("what was registered before the stack is registered again");
    for name in FUNCTIONS {
        assert!(!functions::exists(&world.emulator, world.output(name)).await, "{name} is still there");
    }
    assert!(world.tables().events_exist().await, "the events table is gone");
    assert!(world.tables().sealed_exist().await, "the sealed table is gone");
    assert!(world.queues().exist().await, "a queue is gone");
    assert!(world.queues().dead_letter().await.is_some(), "the dead letter is gone");
    assert!(!world.tables().all_of_events().await.is_empty(), "the events are gone");
    let sealed = world.tables().sealed(&recorded.entity, recorded.id).await;
    assert!(sealed.is_some(), "what was sealed is gone");
    say("the functions are gone; the tables and the queues are still there, with what is in them");
}
