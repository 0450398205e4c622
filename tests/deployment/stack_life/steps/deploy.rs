use emulators::partner::{CLIENT_ID, CLIENT_SECRET};
use serde_json::json;

use super::{events::Recorded, registration::BEFORE};
use crate::{functions, progress::say, stack, world::World};

/// The name of the secret with credentials of one's own.
pub const CREDENTIALS: &str = "credentials-of-ones-own";

/// The outputs that documents and other programs rely on.
const OUTPUTS: [&str; 20] = [
    "WebhookUrl",
    "EventsTableName",
    "SealedTableName",
    "ReceiverFunctionName",
    "RedriveFunctionName",
    "SyncFunctionName",
    "PublisherFunctionName",
    "ForwarderFunctionName",
    "EventBusName",
    "PublishFailuresQueueUrl",
    "ForwardQueueUrl",
    "ForwardDeadLetterQueueUrl",
    "ForwardSecretId",
    "FallbackQueueUrl",
    "DeadLetterQueueUrl",
    "ScheduleDeadLetterQueueUrl",
    "PartnerSecretId",
    "WebhookTokenSecretId",
    "Registration",
    "AlarmTopicArn",
];

pub async fn comes_up_with_its_outputs(world: &mut World) {
    say("sam deploy, while somebody else's URL is registered");
    world.partner.register(Some(BEFORE));
    super::clients::are_there(world);
    let (partner_api, endpoint) = (world.partner.url(), world.endpoint.url());
    let parameters = [
        ("PartnerApiBaseUrl", partner_api.as_str()),
        ("ForwardUrl", endpoint.as_str()),
        ("PartnerClientId", CLIENT_ID),
        ("PartnerClientSecret", CLIENT_SECRET),
        ("MissedAfterMinutes", "0"),
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

/// The credentials in a secret that the stack does not own: it reads them, and neither an update nor its deletion touches them.
pub async fn credentials_of_ones_own_are_read_and_left_alone(world: &mut World) {
    say("sam deploy with the partner credentials in a secret of one's own");
    let client = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let credentials = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}).to_string();
    let created = client.create_secret().name(CREDENTIALS).secret_string(&credentials).send().await;
    let arn = created.unwrap().arn.unwrap();
    let parameters =
        [("PartnerSecretArn", arn.as_str()), ("PartnerClientId", "wrong"), ("PartnerClientSecret", "wrong")];
    world.outputs = stack::deploy(&world.tools, &world.emulator, &parameters).await;
    assert_eq!(world.output("PartnerSecretId"), arn);
    let report = functions::invoke(&world.emulator, world.output("SyncFunctionName"), &json!({"action": "sync"})).await;
    assert_eq!(report["verified"], true, "{report}");
    say("sync registers with them");
}

/// After the stack is gone.
pub async fn credentials_of_ones_own_are_still_there(world: &World) {
    let client = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let found = client.get_secret_value().secret_id(CREDENTIALS).send().await.unwrap();
    assert!(found.secret_string().is_some_and(|text| text.contains(CLIENT_ID)), "the credentials have changed");
    say("the credentials in a secret of one's own are still there");
}
