//! A new address of the provider: its events are held, and recorded once the address is listed.

use serde_json::{Value, json};

use crate::{
    functions,
    progress::say,
    provider::{self, id},
    stack,
    world::World,
};

/// An address that is not listed at first.
pub const UNLISTED: &str = "198.51.100.7";

fn event(line: &str) -> String {
    json!({"status": "OK", "event": "whatsapp", "whatsapp": line, "whatsapp_extra_info": 5}).to_string()
}

pub async fn a_new_address_of_the_provider_loses_nothing(world: &mut World) {
    for from in [UNLISTED, &format!("{UNLISTED}, {}", provider::ADDRESS)] {
        let body = event(if from == UNLISTED { "972500000021" } else { "972500000022" });
        let answer = provider::post(&world.emulator, &world.registered(), from, body).await.acknowledged();
        assert_eq!(answer["quarantined"], true, "{answer}");
        let held = world.tables().delivery(id(&answer["id"])).await.unwrap();
        assert_eq!((held.kind.as_str(), held.cause.as_deref()), ("quarantine", Some("unlisted_source")));
    }
    say("events from an address that is not listed are held");
    let held = super::commands::objects(world, &["quarantine", "list"]).await;
    let held: Vec<_> = held.iter().filter(|held| held["cause"] == "unlisted_source").cloned().collect();
    assert_eq!(held.len(), 2, "{held:?}");
    let ids: Vec<&str> = held.iter().filter_map(|held| held["id"].as_str()).collect();
    super::commands::hooks(world, &[&["quarantine", "retry"], &ids[..]].concat()).await;
    assert!(is_held(world, ids[0]).await, "a held event is recorded although its address is not listed");

    say("sam deploy with the address listed: the alias leads to a version that knows it");
    let live = format!("{}:{}", world.output("ReceiverFunctionName"), functions::ALIAS);
    let before = functions::configuration(&world.emulator, &live).await;
    let listed = format!("{}/32,{UNLISTED}/32", provider::ADDRESS);
    let outputs = stack::deploy(&world.tools, &world.emulator, &[("AllowedSourceIps", &listed)]).await;
    assert_eq!(outputs, world.outputs, "an update of a parameter has replaced something");
    let after = functions::configuration(&world.emulator, &live).await;
    let ips = |configuration: &Value| configuration["Environment"]["Variables"]["ALLOWED_SOURCE_IPS"].clone();
    assert!(ips(&before) != ips(&after) && ips(&after) == listed.as_str(), "{}", ips(&after));
    assert!(before["Version"] != after["Version"], "there is no new version");
    let answer = provider::post(&world.emulator, &world.registered(), UNLISTED, event("972500000023")).await;
    assert_eq!(answer.acknowledged()["quarantined"], Value::Null, "{}", answer.body);
    super::commands::hooks(world, &[&["quarantine", "retry"], &ids[..]].concat()).await;
    for id in ids {
        assert!(!is_held(world, id).await, "{id} is still held");
    }
    say("what was held is recorded, with its old id");
}

/// Returns whether the delivery with this id is in quarantine and not recorded as an event.
async fn is_held(world: &World, id: &str) -> bool {
    world.tables().delivery(id.parse().unwrap()).await.unwrap().kind == "quarantine"
}

pub async fn a_slash_after_the_token_changes_nothing(world: &World) {
    let webhook = format!("{}/", world.registered());
    let answer = provider::post(&world.emulator, &webhook, provider::ADDRESS, event("972500000024")).await;
    assert!(world.tables().delivery(answer.id()).await.is_some());
    say("a slash after the token changes nothing");
}
