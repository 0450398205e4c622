//! The emulator's CloudWatch: the stack's alarms and dashboard. It does not read metrics out of logs; the test does that for it.

use std::collections::BTreeMap;

use emulators::cloudwatch::{CloudWatch, Datum};
use serde_json::{Value, json};

use crate::{emulator::Emulator, functions, http};

/// An alarm of the stack.
#[derive(Debug)]
pub struct Alarm {
    /// Without the stack's name in front.
    pub name: String,
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    pub threshold: f64,
    pub description: String,
    pub state: String,
}

/// Returns all alarms by name.
pub async fn alarms(emulator: &Emulator, stack: &str) -> Vec<Alarm> {
    let answer = call(emulator, "DescribeAlarms", &json!({})).await;
    let text = |alarm: &Value, member: &str| alarm[member].as_str().unwrap_or_default().to_owned();
    let alarm = |alarm: &Value| Alarm {
        name: text(alarm, "AlarmName").trim_start_matches(&format!("{stack}-")).to_owned(),
        namespace: text(alarm, "Namespace"),
        metric: text(alarm, "MetricName"),
        dimensions: alarm["Dimensions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|dimension| (text(dimension, "Name"), text(dimension, "Value")))
            .collect(),
        threshold: alarm["Threshold"].as_f64().unwrap(),
        description: text(alarm, "AlarmDescription"),
        state: text(alarm, "StateValue"),
    };
    answer["MetricAlarms"].as_array().unwrap().iter().map(alarm).collect()
}

/// The names of the metrics of a namespace that a dashboard shows.
pub async fn shown(emulator: &Emulator, dashboard: &str, namespace: &str) -> Vec<String> {
    let answer = call(emulator, "GetDashboard", &json!({ "DashboardName": dashboard })).await;
    let body: Value = serde_json::from_str(answer["DashboardBody"].as_str().unwrap()).unwrap();
    let widgets = body["widgets"].as_array().unwrap().iter();
    let metrics = widgets.filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten();
    let ours = metrics.filter(|metric| metric[0] == namespace);
    ours.filter_map(|metric| metric[1].as_str()).map(str::to_owned).collect()
}

/// Returns the metrics that the functions have written.
pub async fn emitted(emulator: &Emulator) -> Vec<Datum> {
    let cloudwatch = CloudWatch::default();
    for (_, log) in functions::logs(emulator).await {
        std::io::Write::write_all(&mut cloudwatch.clone(), log.as_bytes()).unwrap();
    }
    cloudwatch.data().unwrap()
}

/// Files a value of a metric under the present time.
pub async fn put(emulator: &Emulator, namespace: &str, name: &str, dimensions: &BTreeMap<String, String>, value: f64) {
    let dimensions: Vec<_> = dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
    let datum = json!({ "MetricName": name, "Dimensions": dimensions, "Value": value });
    call(emulator, "PutMetricData", &json!({ "Namespace": namespace, "MetricData": [datum] })).await;
}

async fn call(emulator: &Emulator, operation: &str, request: &Value) -> Value {
    let target = format!("GraniteServiceVersion20100801.{operation}");
    let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.0")];
    let answer = http::post(&emulator.url(), &headers, request.to_string()).await;
    assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}
