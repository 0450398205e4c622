use std::{collections::HashMap, fs, io, sync::LazyLock, time::SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::faults::Faults;
use fixtures::{API_KEY, ENVIRONMENT, LINE, Log};
use lambda::{Environment, Metrics};
use receiver::{Arrival, Config, Receiver};
use serde_json::{Value, json};
use shared::{EventId, Timestamp, TokenHash};

use crate::{
    program::{Ended, hooks, run},
    webhook::world::{TOKEN, World},
    world::objects,
};

/// Returns the log of this process.
fn log() -> &'static Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = lambda::log_subscriber(Some("JSON"), Some("ERROR"), move || writer.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    });
    &LOG
}

/// A run whose receiver reached neither DynamoDB nor SQS during a call; both are available again.
struct Outage {
    world: World,
    receiver: Receiver,
    received_at: Timestamp,
}

impl Outage {
    async fn start(name: &str) -> Self {
        let world = World::start(name).await;
        assert_eq!(world.webhook(&["sync"]).await.code, 0);
        let (dynamodb, queue) =
            (Faults::before(&world.dynamodb.url()).await.unwrap(), Faults::before(&world.sqs.url()).await.unwrap());
        let config = Config::read(&Environment::from(ENVIRONMENT));
        let metrics = Metrics::read(&Environment::from([]), io::sink()).unwrap();
        let sdk = async |url: &str, patience| {
            emulators::sdk::to(url, lambda::aws_config(&Environment::from([]), patience).await.unwrap())
        };
        let dynamodb_sdk = sdk(&dynamodb.url(), receiver::DYNAMODB).await;
        let queue_sdk = sdk(&queue.url(), receiver::QUEUE).await;
        let received_at = Timestamp::from(SystemTime::now()).minus(std::time::Duration::from_secs(3_600));
        let receiver = Receiver::start(config.unwrap(), &dynamodb_sdk, &queue_sdk, metrics, received_at).await;
        dynamodb.refuse();
        queue.refuse();
        Self { world, receiver, received_at }
    }

    /// Makes the receiver lose an event this many minutes after the start. Returns its id and its lines of the log.
    async fn lose(&self, minutes: u64, body: &str) -> (EventId, Vec<String>) {
        let log = log();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/receiver/200-whatsapp.json");
        let mut event: Value = serde_json::from_str(&fs::read_to_string(sample).unwrap()).unwrap();
        event["path"] = format!("/webhook/{TOKEN}").into();
        event["requestContext"]["path"] = format!("/v1/webhook/{TOKEN}").into();
        event["body"] = body.into();
        event["isBase64Encoded"] = false.into();
        let received_at = self.received_at.plus(std::time::Duration::from_secs(minutes * 60));
        let random = (self.received_at.as_secs().unsigned_abs() + minutes).to_be_bytes();
        let arrival = Arrival { received_at, random };
        let answer = self.receiver.handle(serde_json::from_value(event).unwrap(), arrival).await;
        assert_eq!(answer.status().as_u16(), 503);
        let id = EventId::new(received_at, random);
        let text = log.text();
        (id, text.lines().filter(|line| line.contains(&id.to_string())).map(str::to_owned).collect())
    }

    async fn hooks(&self, arguments: &[&str]) -> Ended {
        let ended = run(hooks(&self.world.project, arguments, &[])).await;
        assert!(!format!("{ended:?}").contains(API_KEY), "{ended:?}");
        ended
    }

    /// Writes a log file, and returns its path.
    fn file(&self, log: &str) -> String {
        let file = self.world.project.join("lost.log");
        fs::write(&file, log).unwrap();
        file.to_str().unwrap().to_owned()
    }

    async fn shown(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.hooks(&[arguments, &["--output", "json"]].concat()).await.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_lost_event_is_recorded_under_its_old_id_and_time_with_its_exact_body() {
    let outage = Outage::start("recover").await;
    let body = format!(
        r#"{{ "event":"whatsapp", "whatsapp":"972501234567","n":123456789012345678901234567890,"whatsapp_extra_info":2,"whatsapp_apiKey":"{API_KEY}","long":"{}" }}"#,
        "\u{5d0}\\\"".repeat(60_000)
    );
    let (id, lines) = outage.lose(0, &body).await;
    let (quiet_id, quiet_lines) = outage.lose(5, r#"{"event":"builder","builderID":523}"#).await;
    assert!(lines.len() > 1 && quiet_lines.len() == 1, "{} {}", lines.len(), quiet_lines.len());
    let events: Vec<Value> = lines
        .iter()
        .rev()
        .chain(&quiet_lines)
        .map(|line| json!({"message": format!("{line}\n"), "timestamp": 1}))
        .collect();
    let file = outage.file(&serde_json::to_string_pretty(&json!({"events": events})).unwrap());

    let listed = outage.hooks(&["recover", &file, "--dry-run"]).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    for part in [&id.to_string(), LINE, "can be recorded; its secrets are not in the log", "builder#523"] {
        assert!(listed.stdout.contains(part), "{part}: {listed:?}");
    }
    assert_eq!(outage.hooks(&["show", &id.to_string()]).await.code, 1, "a dry run records nothing");
    let unasked = outage.hooks(&["recover", &file]).await;
    assert!(unasked.code == 1 && unasked.stderr.contains("Record 2 events?"), "{unasked:?}");

    let recovered = outage.hooks(&["recover", &file, "--yes", "--output", "json"]).await;
    let outcome = |id: &EventId, entity: &str, outcome: &str, update: Value, secrets_missing: bool| {
        json!({
            "id": id, "received_at": id.received_at(), "entity": entity, "extra_info": update, "outcome": outcome,
            "duplicate_of": null, "secrets_missing": secrets_missing, "cause": null,
        })
    };
    let expected = [
        outcome(&id, LINE, "recorded", json!(2), true),
        outcome(&quiet_id, "builder#523", "recorded", Value::Null, false),
    ];
    assert_eq!((recovered.code, objects(&recovered.stdout)), (0, expected.to_vec()));

    let shown = outage.hooks(&["show", &id.to_string(), "--output", "json"]).await.stdout;
    assert!(shown.contains(r#""n":123456789012345678901234567890"#), "no reader has rounded it");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["received_at"], &shown["source_ip"]), (&json!(id.received_at()), &json!("34.165.99.212")));
    assert_eq!(outage.shown(&["state", LINE]).await["fields"]["whatsapp_extra_info"], 2);
    let no_key = outage.hooks(&["key", LINE, "--yes"]).await;
    assert!(no_key.code == 1 && no_key.stderr.contains("no API key"), "{no_key:?}");

    let again = outage.hooks(&["recover", &file, "--yes", "--output", "json"]).await;
    let outcomes: Vec<Value> = objects(&again.stdout).iter().map(|event| event["outcome"].clone()).collect();
    assert_eq!((again.code, outcomes), (0, vec![json!("recorded_before"); 2]));
    assert_eq!(outage.shown(&["state", LINE]).await["version"], 1);
}

#[tokio::test]
async fn an_event_that_the_receiver_would_not_have_recorded_is_not_recovered() {
    let outage = Outage::start("recover-forged").await;
    let (id, lines) = outage.lose(0, r#"{"event":"builder","builderID":523}"#).await;
    let line = |authenticated: Value, token: Option<&str>| {
        let mut line: Value = serde_json::from_str(&lines[0]).unwrap();
        line["authenticated"] = authenticated;
        line["token_sha256"] = json!(token.map(TokenHash::of));
        line.to_string()
    };
    let held = |token: Option<&str>| {
        let mut line: Value = serde_json::from_str(&line(json!(token.is_none()), token)).unwrap();
        line["held"] = json!(true);
        line["source_ip"] = json!("198.51.100.7");
        line.to_string()
    };
    for (forged, cause) in [
        (held(None), "its source address is not in AllowedSourceIps"),
        (held(Some(TOKEN)), "its source address is not in AllowedSourceIps"),
        (line(json!(false), Some("a-token-that-was-never-accepted")), "it is forged"),
        (line(json!(false), None), "the log does not say whether its token was checked"),
        (line(Value::Null, None), "the log does not say whether its token was checked"),
    ] {
        let refused = outage.hooks(&["recover", &outage.file(&forged), "--yes"]).await;
        assert!(refused.code == 1 && refused.stdout.contains(cause), "{refused:?}");
        assert_eq!(outage.hooks(&["show", &id.to_string()]).await.code, 1, "{forged}");
    }
    let genuine = outage.file(&line(json!(false), Some(TOKEN)));
    assert_eq!(outage.hooks(&["recover", &genuine, "--yes"]).await.code, 0);
    assert_eq!(outage.hooks(&["show", &id.to_string()]).await.code, 0);
}

#[tokio::test]
async fn an_event_that_the_log_does_not_have_whole_is_told_of_and_the_others_are_recorded() {
    let outage = Outage::start("recover-incomplete").await;
    let (long_id, long) = outage.lose(0, &json!({"event": "voice", "text": "\"".repeat(120_000)}).to_string()).await;
    let (no_event_id, no_event) = outage.lose(5, "not JSON").await;
    let (id, lines) = outage.lose(10, r#"{"event":"builder","builderID":523}"#).await;
    let log = [&long[..1], &no_event, &lines].concat().join("\n");
    let file = outage.file(&format!("{log}\nnot a line of ours {{"));
    let recovered = outage.hooks(&["recover", &file, "--yes"]).await;
    assert_eq!(recovered.code, 1);
    for part in [
        &long_id.to_string(),
        "cannot be recorded: part 2 of 3 of its body is missing",
        &no_event_id.to_string(),
        "cannot be recorded: its body is not in the log",
        &format!("{id}  recorded\n"),
    ] {
        assert!(recovered.stdout.contains(part), "{part}: {}", recovered.stdout);
    }
}

#[tokio::test]
async fn a_log_without_a_lost_event_is_an_error_that_says_what_to_look_for() {
    let world = crate::world::World::start("recover-nothing").await;
    for (log, error) in
        [("", "this log has no lost event"), (r#"{"message":"event recorded"}"#, "\"delivery not recorded\"")]
    {
        let file = world.project().join("lost.log");
        fs::write(&file, log).unwrap();
        let ended = world.hooks(&["recover", file.to_str().unwrap()]).await;
        assert!(ended.code == 1 && ended.stderr.contains(error), "{ended:?}");
    }
    let missing = world.hooks(&["recover", "no-such-file"]).await;
    assert!(missing.code == 1 && missing.stderr.starts_with("error: no-such-file cannot be read: "), "{missing:?}");
}

/// Applies the jq program of docs/restoring.md to an item as `aws dynamodb get-item` writes it.
fn lost_line(item: &Value) -> String {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/restoring.md")).unwrap();
    let (_, program) = document.split_once("jq -c '.Item | {").unwrap();
    let (members, _) = program.split_once("}' item.json > lost.json\n").unwrap();
    let mut line = serde_json::Map::new();
    for (name, expression) in members.split(',').map(|member| member.trim().split_once(": ").unwrap()) {
        let text = |path: &str| item["Item"].pointer(&path.replace('.', "/")).unwrap().as_str().unwrap().to_owned();
        let value = match expression.trim_matches(['(', ')']).split_once(" | ltrimstr") {
            Some((path, prefix)) => json!(text(path).strip_prefix(prefix.trim_matches(['(', '"', ')'])).unwrap()),
            None if expression.starts_with('.') => json!(text(expression)),
            None => serde_json::from_str(expression).unwrap(),
        };
        line.insert(name.to_owned(), value);
    }
    Value::Object(line).to_string()
}

#[tokio::test]
async fn an_item_of_a_restored_table_is_recorded_again_as_the_document_says() {
    let world = crate::world::World::start("recover-restored").await;
    world.fill().await;
    let client = world.dynamodb.client();
    // An event with later ones, and the only one of its bot.
    for (entity, minutes) in [(LINE, 50), ("builder#523", 30)] {
        let id = world.id(minutes);
        let key = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
        let key = HashMap::from([key("pk", entity.to_owned()), key("sk", format!("event#{id}"))]);
        let get = client.get_item().table_name(world.dynamodb.events_table()).set_key(Some(key.clone()));
        let item = get.send().await.unwrap().item.unwrap();
        let texts = item.iter().filter_map(|(name, value)| Some((name.clone(), json!({"S": value.as_s().ok()?}))));
        let file = world.project().join("lost.json");
        fs::write(&file, lost_line(&json!({"Item": serde_json::Map::from_iter(texts)}))).unwrap();
        let before = world.hooks(&["show", &id.to_string(), "--output", "json"]).await.stdout;
        client.delete_item().table_name(world.dynamodb.events_table()).set_key(Some(key)).send().await.unwrap();
        assert_eq!(world.hooks(&["show", &id.to_string()]).await.code, 1);
        let recovered = world.hooks(&["recover", file.to_str().unwrap(), "--yes"]).await;
        let is_event = recovered.stdout.contains(&format!("{id}  recorded")) && !recovered.stdout.contains("duplicate");
        assert!(recovered.code == 0 && is_event, "{recovered:?}");
        let shown = world.hooks(&["show", &id.to_string(), "--output", "json"]).await.stdout;
        let [before, shown] = [before, shown].map(|text| serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!((&shown["body"], &shown["received_at"]), (&before["body"], &before["received_at"]));
    }
}
