//! The dashboard: its body is JSON with and without its optional parts, and has every alarm of each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::reader;

/// Replaces the variables of a text by their values, and those without a value by `x`.
fn substitute(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let (name, rest) = part.split_once('}').expect("a variable ends");
        done + values.get(name).map_or("x", String::as_str) + rest
    })
}

/// The conditions with parts of their own in the dashboard.
const OPTIONAL: [&str; 5] = ["HasLines", "HasForward", "HasStuckAlarm", "HasMissingRunsAlarm", "HasSilenceAlarm"];

/// Returns the dashboard's body where these conditions hold, with the name of a resource in place of its ARN.
fn body(template: &Value, holding: &[&str]) -> Value {
    let resources = template["Resources"].as_object().expect("resources");
    let arns = resources.keys().map(|name| (format!("{name}.Arn"), name.clone())).collect::<Vec<_>>();
    let mut values: BTreeMap<&str, String> = arns.iter().map(|(arn, name)| (arn.as_str(), name.clone())).collect();
    let parts = &template["Resources"]["OverviewDashboard"]["Properties"]["DashboardBody"]["!Sub"];
    for (name, value) in parts[1].as_object().expect("variables") {
        let condition = value["!If"][0].as_str().expect("a condition");
        assert!(OPTIONAL.contains(&condition), "{name}");
        let chosen = &value["!If"][if holding.contains(&condition) { 1 } else { 2 }];
        let text = chosen["!Sub"].as_str().map_or_else(String::new, |text| substitute(text, &values));
        values.insert(name, text);
    }
    serde_json::from_str(&substitute(parts[0].as_str().expect("a text"), &values)).expect("the body is JSON")
}

/// Every set of the optional conditions.
fn combinations() -> impl Iterator<Item = Vec<&'static str>> {
    let holds = |set: u32, at: usize| (set >> at) & 1 == 1;
    (0..1 << OPTIONAL.len()).map(move |set| {
        OPTIONAL.iter().enumerate().filter(|(at, _)| holds(set, *at)).map(|(_, condition)| *condition).collect()
    })
}

fn alarms(body: &Value) -> BTreeSet<&str> {
    let listed = body["widgets"][0]["properties"]["alarms"].as_array().expect("a widget with the alarms");
    listed.iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_dashboard_has_every_alarm_of_its_stack() {
    let template = reader::read(crate::TEMPLATE);
    let of_condition = |condition: Value| -> BTreeSet<&str> {
        let resources = template["Resources"].as_object().expect("resources").iter();
        let alarms = resources.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
        alarms.filter(|(_, alarm)| alarm["Condition"] == condition).map(|(name, _)| name.as_str()).collect()
    };
    for holding in combinations() {
        let mut expected = of_condition(Value::Null);
        expected.extend(holding.iter().flat_map(|condition| of_condition(json!(condition))));
        assert_eq!(alarms(&body(&template, &holding)), expected, "{holding:?}");
    }
}

#[test]
fn no_widget_of_the_dashboard_covers_another() {
    let template = reader::read(crate::TEMPLATE);
    for holding in combinations() {
        let body = body(&template, &holding);
        let widgets = body["widgets"].as_array().expect("widgets");
        let number = |widget: &Value, name: &str| widget[name].as_u64().expect("a number");
        let mut cells = BTreeSet::new();
        for widget in widgets {
            let (x, y) = (number(widget, "x"), number(widget, "y"));
            assert!(x + number(widget, "width") <= 24, "{}", widget["properties"]["title"]);
            for x in x..x + number(widget, "width") {
                for y in y..y + number(widget, "height") {
                    assert!(cells.insert((x, y)), "{} covers another widget", widget["properties"]["title"]);
                }
            }
        }
        let of = |condition: &str, number: usize| if holding.contains(&condition) { number } else { 0 };
        assert_eq!(widgets.len(), 15 + of("HasLines", 1) + of("HasForward", 3), "{holding:?}");
    }
}
