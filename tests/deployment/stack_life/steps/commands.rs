//! `hooks --stack`, as the stack's operator runs it.

use std::{
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use shared::{EventId, Fingerprint, Timestamp, Undecodable};
use store::{Content, Delivery, Origin};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    task::spawn_blocking,
};

use super::{events::Recorded, outage::DEAD};
use crate::{
    progress::{say, wait_for},
    secrets::Secrets,
    stack,
    world::World,
};

/// The registration, which the function sync looks after.
pub async fn the_registration_is_looked_after(world: &World) {
    for action in ["get", "plan", "sync"] {
        let report = object(world, &["webhook", action]).await;
        assert_eq!((&report["action"], &report["verified"]), (&action.into(), &true.into()), "{report}");
    }
    let before = world.registered();
    let rotated = object(world, &["webhook", "rotate"]).await;
    assert_eq!((&rotated["outcome"], &rotated["verified"]), (&"updated".into(), &true.into()), "{rotated}");
    assert!(world.registered() != before, "the registered URL has no new token");
    let set = object(world, &["webhook", "set"]).await;
    assert_eq!((&set["action"], &set["verified"]), (&"set".into(), &true.into()), "{set}");
    let status = object(world, &["webhook", "status"]).await;
    assert_eq!(status["registered"], set["registered"], "{status}");
    assert!(status["changes_in_all"].as_u64() > Some(3), "{status}");
    say("hooks webhook: what is registered is seen, set, and given a new token");
}

/// The commands that show events, and the one that shows an API key.
pub async fn commands_show_the_received_events(world: &World, recorded: &Recorded) {
    let (id, entity) = (recorded.id.to_string(), recorded.entity.as_str());
    assert_eq!(object(world, &["show", &id]).await["id"], id.as_str());
    assert_eq!(object(world, &["state", entity]).await["entity"], entity);
    let states = objects(world, &["states", "--kind", "whatsapp"]).await;
    assert!(states.iter().any(|state| state["entity"] == entity), "{states:?}");
    let history = objects(world, &["events", "--entity", entity]).await;
    assert!(history.iter().any(|event| event["id"] == id.as_str()), "{history:?}");
    let key = hooks(world, &["key", entity, "--yes"]).await;
    let key: Value = serde_json::from_str(&key).unwrap();
    assert!(key["api_key"] == Secrets::api_key().as_str(), "hooks key shows another key");
    say("hooks events, show, state, states, key: what was received is seen, and the API key when it is asked for");

    let exported = objects(world, &["export"]).await;
    let all = objects(world, &["events", "--limit", "10000"]).await;
    assert!(all.iter().rev().eq(&exported), "{} of {} events are exported", exported.len(), all.len());
    let (consumer, taken) = consumer().await;
    let summary = object(world, &["replay", "--since", "24h", "--rate", "1000", "--to", &consumer]).await;
    let with_body = |event: &&Value| event["duplicate_of"].is_null() && !event["body"].is_null();
    let expected: Vec<String> =
        exported.iter().filter(with_body).map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert!(*taken.lock().unwrap() == expected && summary["complete"] == true, "{summary}");
    say(&format!("hooks export: {} events; hooks replay: {} of them handed over", exported.len(), expected.len()));
}

/// A retry records bodies that decode by now, and leaves the others in quarantine.
pub async fn the_quarantine_is_tried_again(world: &World) {
    let quarantined = objects(world, &["quarantine", "list"]).await;
    let undecodable = quarantined[0]["id"].as_str().unwrap();
    assert_eq!(object(world, &["quarantine", "show", undecodable]).await["id"], undecodable);
    let tried = object(world, &["quarantine", "retry", undecodable]).await;
    assert_eq!(tried["id"], undecodable, "{tried}");
    assert_eq!(objects(world, &["quarantine", "list"]).await, quarantined);

    let received_at = Timestamp::from(SystemTime::now());
    let delivery = Delivery {
        id: EventId::new(received_at, [7; 8]),
        received_at,
        origin: Origin::Delivered,
        source_ip: Some([34, 165, 99, 212].into()),
        request_id: "request-1".to_owned(),
        fingerprint: "a1".repeat(32).parse::<Fingerprint>().unwrap(),
        content: Content::Quarantined {
            bytes: br#"{"event":"builder","builderID":990,"builder_extra_info":4}"#.to_vec(),
            cause: Undecodable::Empty.into(),
            content_type: None,
            content_encoding: None,
        },
    };
    world.tables().record(&delivery).await;
    let id = delivery.id.to_string();
    object(world, &["quarantine", "retry", &id]).await;
    assert_eq!(object(world, &["show", &id]).await["entity"], "builder#990");
    assert_eq!(object(world, &["state", "builder#990"]).await["extra_info"], 4);
    assert_eq!(objects(world, &["quarantine", "list"]).await, quarantined);
    say("hooks quarantine: what decodes by now is an event with its old id, what does not stays");
}

/// Every check passes, an event that goes through the receiver included.
pub async fn the_doctor_finds_nothing(world: &World) {
    let findings = hooks(world, &["doctor", "--send"]).await;
    let findings: Vec<Value> = serde_json::from_str(&findings).unwrap();
    let arrived = findings.iter().any(|finding| finding["check"] == "arrival" && finding["verdict"] == "ok");
    assert!(arrived, "{findings:?}");
    say("hooks doctor: all is well, and an event of its own arrives");
}

/// A dead letter is shown without being lost, and returns to the fallback queue on command.
pub async fn the_dead_letter_is_redriven(world: &World) {
    let listed = objects(world, &["dlq", "list"]).await;
    let [letter] = &listed[..] else { panic!("{} dead letters", listed.len()) };
    let id = letter["message_id"].as_str().unwrap();
    assert_eq!(object(world, &["dlq", "show", id]).await["message_id"], id);
    hooks(world, &["dlq", "redrive", id]).await;
    assert_eq!(objects(world, &["dlq", "list"]).await, [json!(null); 0], "it is in the dead-letter queue still");
    say("hooks dlq: the dead letter is seen, and put back into the fallback queue");
    // Redrive cannot read it this time either.
    wait_for("it is a dead letter again", DEAD, async || world.queues().dead_letter().await).await;
}

/// The page has what the stack has received.
pub async fn the_inspector_shows_it(world: &World, recorded: &Recorded) {
    let mut inspector =
        command(world, &["inspect", "--port", "0"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(inspector.stdout.take().unwrap()).lines();
    let page = lines.next_line().await.unwrap().expect("no address is printed");
    let of_entity = format!("?entity={}", recorded.entity.as_str().replace('#', "%23"));
    for (path, shown) in
        [(of_entity.as_str(), recorded.entity.as_str()), ("registration", "Your webhook receives the events")]
    {
        let page = format!("{page}{path}");
        let html = spawn_blocking(move || ureq::get(&page).call().unwrap().body_mut().read_to_string().unwrap());
        let html = html.await.unwrap();
        assert!(html.contains(shown), "{shown} is not on the page");
        assert!(!world.secrets.are_in(&html), "a secret is on the page");
    }
    say("hooks inspect: the page shows the deliveries and the registration");
}

/// A consumer, by its URL, and the ids of the events that it has taken.
async fn consumer() -> (String, Arc<Mutex<Vec<String>>>) {
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let take = async |State(taken): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap| {
        taken.lock().unwrap().push(headers["webhook-id"].to_str().unwrap().to_owned());
    };
    let router = Router::new().route("/events", post(take)).with_state(Arc::clone(&taken));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, taken)
}

/// The one object that it prints.
pub(super) async fn object(world: &World, arguments: &[&str]) -> Value {
    let mut objects = objects(world, arguments).await;
    assert_eq!(objects.len(), 1, "{arguments:?}");
    objects.remove(0)
}

/// The objects that it prints, each on a line.
pub(super) async fn objects(world: &World, arguments: &[&str]) -> Vec<Value> {
    let printed = hooks(world, arguments).await;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(super) fn command(world: &World, arguments: &[&str]) -> Command {
    let mut hooks = world.tools.command("cargo");
    world.emulator.in_place_of_aws(&mut hooks);
    hooks.args(["hooks"]).args(arguments).args(["--stack", stack::NAME, "--region", "us-east-1"]);
    hooks
}

/// Returns its output as JSON; it must succeed.
pub(super) async fn hooks(world: &World, arguments: &[&str]) -> String {
    let output: &[&str] = if arguments == ["export"] { &[] } else { &["--output", "json"] };
    let Output { status, stdout, stderr } = command(world, &[arguments, output].concat()).output().await.unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let told = || world.secrets.masked(&format!("{stderr}{stdout}"));
    assert!(status.success(), "hooks {arguments:?}: {}", told());
    stdout
}
