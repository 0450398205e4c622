//! A colleague with the policy in docs/read-only-policy.json: reading commands work, and commands that show secrets or change something do
//! not. The emulator does not enforce policies, so the calls go through a proxy that does.

use std::{fs, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{commands::command, events::Recorded};
use crate::{progress::say, stack, tools::root, world::World};

/// The allowed pairs of an action and a resource, both with wildcards.
struct Policy(Vec<(String, String)>);

impl Policy {
    /// Reads the document, for this test's stack.
    fn of_the_documents() -> Self {
        let text = fs::read_to_string(root().join("docs/read-only-policy.json")).unwrap();
        let text = text.replace("partner-webhook", stack::NAME);
        let policy: Value = serde_json::from_str(&text).unwrap();
        let list = |value: &Value| -> Vec<String> {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
        };
        let mut allowed = Vec::new();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            for action in list(&statement["Action"]) {
                allowed.extend(list(&statement["Resource"]).into_iter().map(|resource| (action.clone(), resource)));
            }
        }
        Self(allowed)
    }

    fn allows(&self, action: &str, resource: &str) -> bool {
        self.0.iter().any(|(actions, resources)| matches(actions, action) && matches(resources, resource))
    }
}

/// Returns whether a text matches a pattern in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| matches(rest, text))),
    }
}

/// The action of a request, and the resources that it is about.
fn called(headers: &HeaderMap, body: &[u8]) -> (String, Vec<String>) {
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:000000000000:{rest}");
    let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) else {
        let fields: Vec<_> = std::str::from_utf8(body)
            .unwrap_or_default()
            .split('&')
            .filter_map(|field| field.split_once('='))
            .collect();
        let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        let stack = arn("cloudformation", &format!("stack/{}/id", field("StackName")));
        return (format!("cloudformation:{}", field("Action")), vec![stack]);
    };
    let (service, operation) = target.split_once('.').unwrap_or((target, ""));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let table = |name: &str| arn("dynamodb", &format!("table/{name}"));
    match service {
        "DynamoDB_20120810" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten().map(|(name, _)| table(name));
            let one = body["TableName"].as_str().map(|name| match body["IndexName"].as_str() {
                None => table(name),
                Some(index) => table(&format!("{name}/index/{index}")),
            });
            (format!("dynamodb:{operation}"), tables.chain(one).collect())
        }
        "AmazonSQS" => {
            let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
            (format!("sqs:{operation}"), vec![arn("sqs", queue)])
        }
        other => (format!("{other}:{operation}"), vec![String::new()]),
    }
}

struct Guard {
    policy: Policy,
    emulator: String,
}

/// Passes on what the policy allows, and refuses the rest as AWS does.
async fn pass(State(guard): State<Arc<Guard>>, uri: Uri, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    let (action, resources) = called(&headers, &body);
    if resources.is_empty() || !resources.iter().all(|resource| guard.policy.allows(&action, resource)) {
        let refusal = json!({"__type": "AccessDeniedException", "message": format!("not allowed: {action}")});
        return (StatusCode::BAD_REQUEST, refusal.to_string()).into_response();
    }
    let url = format!("{}{uri}", guard.emulator);
    let kept: Vec<(String, String)> = ["x-amz-target", "content-type", "authorization", "x-amz-date"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned())))
        .collect();
    let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = crate::http::post(&url, &kept, body.to_vec()).await;
    (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response()
}

pub async fn read_with_their_policy_and_no_more(world: &World, recorded: &Recorded) {
    let guard = Guard { policy: Policy::of_the_documents(), emulator: world.emulator.url() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let guarded = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(pass).with_state(Arc::new(guard))).into_future());
    let run = async |arguments: &[&str]| {
        let mut hooks = command(world, arguments);
        hooks.env("AWS_ENDPOINT_URL", &guarded).output().await.unwrap()
    };
    let (id, entity) = (recorded.id.to_string(), recorded.entity.as_str());
    let reading: [&[&str]; 11] = [
        &["events"],
        &["events", "--entity", entity],
        &["show", &id],
        &["export"],
        &["state", entity],
        &["states", "--kind", "whatsapp"],
        &["quarantine", "list"],
        &["webhook", "status"],
        &["forward", "status"],
        &["dlq", "list", "--queue", "forward"],
        // It ends with 3, because a foreign webhook is not live.
        &["lines"],
    ];
    for arguments in reading {
        let output = run(arguments).await;
        let expected = if arguments == ["lines"] { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let others: [&[&str]; 5] = [
        &["key", entity, "--yes"],
        &["webhook", "sync"],
        &["dlq", "list"],
        &["forward", "secret", "--yes"],
        &["replay", &id, "--to", "bus"],
    ];
    for arguments in others {
        let output = run(arguments).await;
        assert!(!output.status.success(), "{arguments:?} works with the policy for readers");
        assert!(!world.secrets.are_in(&String::from_utf8_lossy(&output.stdout)), "{arguments:?} shows a secret");
    }
    say(&format!("with the policy for readers, {} commands work, and {} do not", reading.len(), others.len()));
}
