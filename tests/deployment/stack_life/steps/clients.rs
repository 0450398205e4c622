//! Clients that only the provider's lists show: those from before the stack, and one whose event never came.

use emulators::partner::{CLIENT_ID, Call, Fault};
use serde_json::{Value, json};

use super::commands::{hooks, object};
use crate::{
    functions,
    progress::{say, wait_for},
    world::World,
};

/// A line whose client was there before the stack, and its API key.
pub const IMPORTED: (&str, &str) = ("972501110001", "key-of-an-imported-line");
/// Another one, whose messages go to somebody else's system.
pub const ELSEWHERE: (&str, &str) = ("972501110002", "key-of-a-line-elsewhere");
/// A line whose event never comes.
pub const MISSED: (&str, &str) = ("972501110003", "key-of-a-missed-line");

/// The reference of a line's client.
pub fn reference(line: &str) -> String {
    format!("client-{line}")
}

/// Puts the clients into the provider's lists, before the deployment.
pub fn are_there(world: &mut World) {
    // A link from 2025 that its client has never finished.
    let link = json!({"create_time": 1_735_811_185, "business_name": "Slow Client", "reference": "slow", "status": 0});
    world.partner.list(Call::OnboardingLinks, [link]);
    world.partner.list(Call::Builders, [json!({"create_time": 1_735_811_185, "builderID": "77"})]);
    for line in [IMPORTED, ELSEWHERE] {
        onboard(world, line);
    }
}

/// Adds a line to the provider's lists.
pub fn onboard(world: &mut World, (line, key): (&str, &str)) {
    world.partner.onboard(line, Some(&reference(line)), key);
    world.secrets.add(key);
}

pub async fn that_were_there_before_are_imported(world: &World) {
    // The schedule may have been first.
    let report = object(world, &["inventory"]).await;
    assert!(report["lists"].as_object().unwrap().values().all(|list| list["complete"] == true), "{report}");
    assert_eq!((&report["missed"], &report["left"]), (&json!([]), &json!(0)), "{report}");
    assert_eq!(report["stuck"][0]["business_name"], "Slow Client", "{report}");
    for (line, key) in [IMPORTED, ELSEWHERE] {
        let entity = format!("whatsapp#{line}");
        let state = object(world, &["state", &entity]).await;
        assert_eq!((&state["origin"], &state["reference"]), (&json!("reconciled"), &json!(reference(line))), "{state}");
        let shown: Value = serde_json::from_str(&hooks(world, &["key", &entity, "--yes"]).await).unwrap();
        assert!(shown["api_key"] == key, "the key of an imported line is not sealed");
    }
    assert_eq!(object(world, &["state", "builder#77"]).await["origin"], "reconciled");
    say("hooks inventory: the clients that were there before the stack are imported, with their keys sealed");
}

/// Refused credentials are sent to the provider once, however many runs follow. A changed secret is sent again.
pub async fn with_wrong_credentials_the_provider_is_asked_once(world: &World) {
    let secrets = aws_sdk_secretsmanager::Client::new(&world.emulator.sdk_config());
    let (id, sync) = (world.output("PartnerSecretId"), world.output("SyncFunctionName"));
    let good = secrets.get_secret_value().secret_id(id).send().await.unwrap().secret_string.unwrap();
    let wrong = json!({"client_id": CLIENT_ID, "client_secret": "of-last-year"}).to_string();
    secrets.put_secret_value().secret_id(id).secret_string(wrong).send().await.unwrap();
    world.partner.forget_access_tokens();
    world.partner.take_calls();
    for action in ["sync", "inventory", "sync", "inventory"] {
        let error = functions::invoke_in_vain(&world.emulator, sync, &json!({"action": action})).await;
        assert_eq!(error, "WrongCredentials", "{action}");
    }
    let asked = world.partner.take_calls().into_iter().filter(|call| *call == Call::AccessToken).count();
    assert_eq!(asked, 1, "the provider got the wrong credentials more than once");
    secrets.put_secret_value().secret_id(id).secret_string(good).send().await.unwrap();
    let report = functions::invoke(&world.emulator, sync, &json!({"action": "sync"})).await;
    assert_eq!(report["verified"], true, "{report}");
    say("wrong credentials: 4 runs failed, the provider was asked once; with the right ones again sync works");
}

pub async fn a_withheld_event_is_rebuilt(world: &mut World) {
    let undecodable = world.post(format!("{{\"event\":\"whatsapp\",\"whatsapp\":\"{}\"", MISSED.0)).await.id();
    onboard(world, MISSED);
    let report = object(world, &["inventory"]).await;
    let held_back = json!("their events may be in quarantine");
    assert_eq!((&report["missed"], &report["held_back"]), (&json!([]), &held_back), "{report}");
    let undecodable = world.tables().delivery(undecodable).await.unwrap();
    world.tables().delete(&undecodable).await;
    say("a delivery that cannot be decoded and names a new line holds the inventory back until it is deleted");
    let report = object(world, &["inventory"]).await;
    let missed = report["missed"].as_array().unwrap();
    assert_eq!(missed.len(), 1, "{report}");
    let entity = format!("whatsapp#{}", MISSED.0);
    assert_eq!(missed[0]["entity"], entity.as_str(), "{report}");
    let id = missed[0]["event_id"].as_str().unwrap();
    let taken = async || world.endpoint.taken().iter().any(|taken| taken == id).then_some(());
    wait_for("the endpoint has the rebuilt event", super::hand_on::PATIENCE, taken).await;
    let state = object(world, &["state", &entity]).await;
    assert_eq!((&state["origin"], &state["reference"]), (&json!("reconciled"), &json!(reference(MISSED.0))), "{state}");
    say("an event that was withheld is rebuilt from the lists, and the endpoint has it");
}

pub async fn an_incomplete_list_is_reported(world: &World) {
    world.partner.next(Call::Builders, Fault::CutOff);
    let inventory = json!({"action": "inventory"});
    let report = functions::invoke(&world.emulator, world.output("SyncFunctionName"), &inventory).await;
    assert_eq!((&report["outcome"], &report["missed"]), (&json!("incomplete"), &json!([])), "{report}");
    say("a list that is cut off makes a pass incomplete, and changes nothing");
}
