use emulators::partner::{CLIENT_ID, CLIENT_SECRET};

use super::{events::Recorded, registration::BEFORE};
use crate::{progress::say, stack, world::World};

/// The outputs that README.md and other programs count on.
const OUTPUTS: [&str; 12] = [
    "WebhookUrl",
    "EventsTableName",
    "SealedTableName",
    "ReceiverFunctionName",
    "RedriveFunctionName",
    "SyncFunctionName",
    "FallbackQueueUrl",
    "DeadLetterQueueUrl",
    "PartnerSecretId",
    "WebhookTokenSecretId",
    "Registration",
    "AlarmTopicArn",
];

pub async fn comes_up_with_its_outputs(world: &mut World) {
    say("sam deploy, while somebody else's URL is registered");
    world.partner.register(Some(BEFORE));
    let partner_api = world.partner.url();
    let parameters = [
        ("PartnerApiBaseUrl", partner_api.as_str()),
        ("PartnerClientId", CLIENT_ID),
        ("PartnerClientSecret", CLIENT_SECRET),
    ];
    world.outputs = stack::deploy(&world.tools, &world.emulator, &parameters).await;
    for name in OUTPUTS {
        assert!(!world.output(name).is_empty(), "{name} is empty");
    }
    say(&format!("the stack is up, with its {} outputs", world.outputs.len()));
}

pub async fn a_parameter_changes_in_place(world: &mut World, recorded: &Recorded) {
    say("sam deploy with another SyncRate: every minute");
    let registered = world.partner.registered();
    let before = world.tables().state(&recorded.entity).await;
    let outputs = stack::deploy(&world.tools, &world.emulator, &[("SyncRate", "rate(1 minute)")]).await;
    assert_eq!(outputs, world.outputs, "an update of a parameter has replaced something");
    assert!(world.partner.registered() == registered, "the registered URL has changed");
    assert_eq!(world.tables().state(&recorded.entity).await, before);
    assert!(world.tables().delivery(recorded.id).await.is_some());
    // With another key for fingerprints it would be a new event.
    let again = world.post(recorded.body.clone()).await.acknowledged();
    assert_eq!(again["duplicate_of"], recorded.id.to_string(), "{again}");
    say("URL, tables, data and the key of the fingerprints have stayed");
}
