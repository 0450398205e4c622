//! The deployed functions: calling them, and what they have logged.

use serde_json::{Value, json};

use crate::{emulator::Emulator, http};

/// The alias by which the API calls the receiver.
pub const ALIAS: &str = "live";

/// Calls a function and waits for its answer.
///
/// # Panics
/// Panics if the function fails.
pub async fn invoke(emulator: &Emulator, function: &str, event: &Value) -> Value {
    let url = format!("{}/2015-03-31/functions/{function}/invocations", emulator.url());
    let answer = http::post(&url, &[], event.to_string()).await;
    assert!(answer.status == 200 && !answer.failed, "{function} failed: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Calls a function that must fail, and returns the type of its error.
///
/// # Panics
/// Panics if it does not fail.
pub async fn invoke_in_vain(emulator: &Emulator, function: &str, event: &Value) -> String {
    let url = format!("{}/2015-03-31/functions/{function}/invocations", emulator.url());
    let answer = http::post(&url, &[], event.to_string()).await;
    assert!(answer.failed, "{function} did not fail: {}", answer.body);
    let error: Value = serde_json::from_str(&answer.body).unwrap();
    error["errorType"].as_str().unwrap_or_default().to_owned()
}

/// Changes a variable of a function, and returns its earlier value.
pub async fn set_variable(emulator: &Emulator, function: &str, name: &str, value: &str) -> String {
    let configuration = configuration(emulator, function).await;
    let mut environment = configuration["Environment"].clone();
    let before = environment["Variables"][name].take();
    environment["Variables"][name] = value.into();
    configure(emulator, function, &json!({ "Environment": environment })).await;
    before.as_str().unwrap().to_owned()
}

/// The configuration of a function, or of one of its versions (`name:alias`).
pub async fn configuration(emulator: &Emulator, function: &str) -> Value {
    let (name, qualifier) = function.split_once(':').unwrap_or((function, "$LATEST"));
    let url = format!("{}/2015-03-31/functions/{name}/configuration?Qualifier={qualifier}", emulator.url());
    let answer = http::get(&url).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Changes a function. When the API calls it by the alias, that leads to a new version with the change, as after a deployment.
async fn configure(emulator: &Emulator, function: &str, change: &Value) {
    let function = format!("{}/2015-03-31/functions/{function}", emulator.url());
    let put = async |path: &str, body: &Value| {
        let answer = http::put(&format!("{function}{path}"), body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    put("/configuration", change).await;
    if http::get(&format!("{function}/aliases/{ALIAS}")).await.status == 200 {
        let published = http::post(&format!("{function}/versions"), &[], "{}").await;
        assert_eq!(published.status, 201, "{}", published.body);
        let published: Value = serde_json::from_str(&published.body).unwrap();
        put(&format!("/aliases/{ALIAS}"), &json!({ "FunctionVersion": published["Version"] })).await;
    }
}

/// Returns whether a function of that name exists; it is not run.
pub async fn exists(emulator: &Emulator, function: &str) -> bool {
    let url = format!("{}/2015-03-31/functions/{function}/invocations", emulator.url());
    http::post(&url, &[("X-Amz-Invocation-Type", "DryRun")], "{}").await.status == 204
}

/// Changes a function without effect on its behaviour, so that it starts again for its next event.
pub async fn restart(emulator: &Emulator, function: &str) {
    configure(emulator, function, &json!({"Description": "restarted"})).await;
}

/// Returns the log groups, each with its text.
pub async fn logs(emulator: &Emulator) -> Vec<(String, String)> {
    let groups = call_logs(emulator, "DescribeLogGroups", &json!({})).await;
    let mut logs = Vec::new();
    for group in groups["logGroups"].as_array().into_iter().flatten() {
        let name = group["logGroupName"].as_str().unwrap();
        let mut text = String::new();
        let mut next = Value::Null;
        loop {
            let mut request = json!({"logGroupName": name});
            if !next.is_null() {
                request["nextToken"] = next;
            }
            let page = call_logs(emulator, "FilterLogEvents", &request).await;
            for event in page["events"].as_array().into_iter().flatten() {
                let line = event["message"].as_str().unwrap_or_default().trim_end();
                // Lambda's own lines say nothing here.
                if !["START ", "END ", "REPORT "].iter().any(|start| line.starts_with(start)) {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            next = page["nextToken"].clone();
            if next.is_null() {
                break;
            }
        }
        logs.push((name.to_owned(), text));
    }
    logs
}

async fn call_logs(emulator: &Emulator, operation: &str, request: &Value) -> Value {
    let target = format!("Logs_20140328.{operation}");
    let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1")];
    let answer = http::post(&emulator.url(), &headers, request.to_string()).await;
    assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}
