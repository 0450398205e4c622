//! The lines' own webhooks, which the function sync sets at the provider.

use std::time::Duration;

use emulators::partner::{Call, Fault, LineCall};
use serde_json::{Value, json};

use super::{
    clients::{ELSEWHERE, IMPORTED, MISSED, onboard, reference},
    commands::object,
};
use crate::{
    functions,
    progress::{say, wait_for},
    stack,
    world::World,
};

/// `LineWebhookUrl`.
const URL: &str = "https://lines.example/in/{whatsapp}?client={reference}";
/// The webhook of somebody else's line.
const FOREIGN: &str = "https://elsewhere.example/hook/s3cret-of-others";
/// A line that is onboarded while the stack runs.
const NEW: (&str, &str) = ("972501110004", "key-of-a-new-line");
/// A line whose event brings a key that the provider refuses.
const WRONG_KEY: (&str, &str) = ("972501110005", "key-that-is-listed");
const REFUSED: &str = "key-that-is-refused";

/// Maximum time from the answer to an onboarding event until the line's webhook is set.
const MINUTE: Duration = Duration::from_secs(60);

/// The URL of a line.
fn url(line: &str) -> String {
    URL.replace("{whatsapp}", line).replace("{reference}", &reference(line))
}

pub async fn a_parameter_brings_them(world: &mut World) {
    say("sam deploy with LineWebhookUrl");
    world.partner.register_line(ELSEWHERE.0, Some(FOREIGN));
    let api = world.partner.line_api_url();
    let parameters = [("LineWebhookUrl", URL), ("LineApiBaseUrl", &api), ("StuckAlarm", "true")];
    let outputs = stack::deploy(&world.tools, &world.emulator, &parameters).await;
    world.outputs.insert("LineWebhookMode".to_owned(), "fill".to_owned());
    assert_eq!(outputs, world.outputs, "an update of parameters has replaced something");
    say("the change set replaces nothing that holds data");
}

pub async fn imported_lines_are_set_by_a_pass_and_a_foreign_webhook_stays(world: &World) {
    let report = pass(world).await;
    assert_eq!(registered(world, IMPORTED.0), url(IMPORTED.0));
    assert_eq!(registered(world, ELSEWHERE.0), FOREIGN);
    let foreign = status(&report, ELSEWHERE.0).expect("the foreign webhook is listed as not live");
    assert_eq!((&foreign["webhook"], &foreign["url"]), (&json!("foreign"), &json!("elsewhere.example")), "{report}");
    assert!(!report.to_string().contains("s3cret-of-others"), "the report has more than the foreign URL's host");
    say("a pass sets the webhook of an imported line, and leaves a foreign one");
}

pub async fn an_onboarding_event_sets_the_webhook_within_a_minute(world: &mut World) {
    onboard(world, NEW);
    world.post(event(NEW.0, NEW.1)).await.acknowledged();
    let set = async || (registered(world, NEW.0) == url(NEW.0)).then_some(());
    wait_for("the rule has the new line's webhook set", MINUTE, set).await;
    say("an onboarding event sets its line's webhook, by the rule");
}

/// With `fill` another URL stays, so the alarm line-drift is the only one.
pub async fn a_webhook_that_somebody_changes_is_reported(world: &World) {
    world.partner.register_line(IMPORTED.0, Some(FOREIGN));
    let report = pass(world).await;
    assert_eq!(status(&report, IMPORTED.0).expect("the line is not live")["webhook"], "foreign", "{report}");
    world.partner.register_line(IMPORTED.0, Some(&url(IMPORTED.0)));
    assert_eq!(status(&pass(world).await, IMPORTED.0), None);
    say("a pass reports that somebody has changed the webhook of a line, and that it is back");
}

/// A rebuilt event does not start the function; the next pass does its work.
pub async fn a_rebuilt_event_waits_for_the_next_pass(world: &World) {
    assert_eq!(calls(world, MISSED.0), []);
    pass(world).await;
    assert_eq!(registered(world, MISSED.0), url(MISSED.0));
    say("the line of a rebuilt event is set by the next pass");
}

pub async fn a_refused_new_key_is_tried_in_each_pass(world: &mut World) {
    onboard(world, WRONG_KEY);
    world.secrets.add(REFUSED);
    world.partner.take_line_calls();
    world.post(event(WRONG_KEY.0, REFUSED)).await.acknowledged();
    let entity = format!("whatsapp#{}", WRONG_KEY.0);
    let mut tried = Vec::new();
    wait_for("the refused key is tried", MINUTE, async || {
        tried.extend(calls(world, WRONG_KEY.0));
        (!tried.is_empty()).then_some(())
    })
    .await;
    for _ in 0..2 {
        let report = pass(world).await;
        let line = status(&report, WRONG_KEY.0).expect("the line is listed as not live");
        assert_eq!(line["webhook"], "wrong_key", "{report}");
    }
    tried.extend(calls(world, WRONG_KEY.0));
    assert_eq!(tried.len(), 3, "once by the rule, and once in each pass: the provider may not know a new key yet");
    // The provider lists the right one.
    let report = object(world, &["inventory"]).await;
    let changed = json!({"entity": entity, "change": "key"});
    assert!(report["changed"].as_array().unwrap().contains(&changed), "{report}");
    pass(world).await;
    assert_eq!(registered(world, WRONG_KEY.0), url(WRONG_KEY.0));
    say("each pass tries a new key that the provider refuses; with the listed key the webhook is set");
}

/// After five checks in a row without an answer a pass ends: there are five lines with a key that the provider knows.
pub async fn an_outage_of_the_provider_is_reported(world: &World) {
    world.partner.always(Call::LineGet, Fault::Status(503));
    let report = pass(world).await;
    world.partner.behave();
    assert_eq!(report["outcome"], "incomplete", "{report}");
    assert!(report["cause"].is_string(), "{report}");
    let line = status(&report, NEW.0).expect("the line is listed as not live");
    assert_eq!(line["webhook"], "unreachable", "{report}");
    assert_eq!(registered(world, NEW.0), url(NEW.0));
    let report = pass(world).await;
    assert_eq!(status(&report, NEW.0), None, "{report}");
    say("while the provider does not answer, a pass ends early and changes nothing; the next one finds the lines live");
}

/// A line in the report, if it is not live.
fn status<'a>(report: &'a Value, line: &str) -> Option<&'a Value> {
    let entity = format!("whatsapp#{line}");
    report["not_live"].as_array().unwrap().iter().find(|line| line["entity"] == entity.as_str())
}

/// A pass over all lines.
async fn pass(world: &World) -> Value {
    functions::invoke(&world.emulator, world.output("SyncFunctionName"), &json!({"action": "lines"})).await
}

fn registered(world: &World, line: &str) -> String {
    world.partner.line(line).expect("the provider has the line").url
}

/// The calls about a line since the last time.
fn calls(world: &World, line: &str) -> Vec<LineCall> {
    world.partner.take_line_calls().into_iter().filter(|call| call.number == line).collect()
}

/// The event of a line whose client has finished onboarding.
fn event(line: &str, key: &str) -> String {
    let reference = reference(line);
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": line, "whatsapp_reference": reference, "whatsapp_extra_info": 2,
        "whatsapp_apiKey": key,
    })
    .to_string()
}
