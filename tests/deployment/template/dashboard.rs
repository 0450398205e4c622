//! The dashboard: its body is JSON with and without a forwarder, and has every alarm that always exists.

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

/// Returns the dashboard's body, with the name of a resource in place of its ARN.
fn body(template: &Value, has_forward: bool) -> Value {
    let resources = template["Resources"].as_object().expect("resources");
    let arns = resources.keys().map(|name| (format!("{name}.Arn"), name.clone())).collect::<Vec<_>>();
    let mut values: BTreeMap<&str, String> = arns.iter().map(|(arn, name)| (arn.as_str(), name.clone())).collect();
    let parts = &template["Resources"]["OverviewDashboard"]["Properties"]["DashboardBody"]["!Sub"];
    for (name, value) in parts[1].as_object().expect("variables") {
        assert_eq!(value["!If"][0], "HasForward", "{name}");
        let chosen = &value["!If"][if has_forward { 1 } else { 2 }];
        let text = chosen["!Sub"].as_str().map_or_else(String::new, |text| substitute(text, &values));
        values.insert(name, text);
    }
    serde_json::from_str(&substitute(parts[0].as_str().expect("a text"), &values)).expect("the body is JSON")
}

fn alarms(body: &Value) -> BTreeSet<&str> {
    let listed = body["widgets"][0]["properties"]["alarms"].as_array().expect("a widget with the alarms");
    listed.iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_dashboard_has_every_alarm_that_its_stack_always_has() {
    let template = reader::read(crate::TEMPLATE);
    let of_condition = |condition: &Value| -> BTreeSet<&str> {
        let resources = template["Resources"].as_object().expect("resources").iter();
        let alarms = resources.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
        alarms.filter(|(_, alarm)| alarm["Condition"] == *condition).map(|(name, _)| name.as_str()).collect()
    };
    let (always, forward) = (of_condition(&Value::Null), of_condition(&json!("HasForward")));
    assert_eq!(alarms(&body(&template, false)), always);
    assert_eq!(alarms(&body(&template, true)), always.union(&forward).copied().collect());
}

#[test]
fn no_widget_of_the_dashboard_covers_another() {
    let template = reader::read(crate::TEMPLATE);
    for has_forward in [false, true] {
        let body = body(&template, has_forward);
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
        assert_eq!(widgets.len(), if has_forward { 17 } else { 14 });
    }
}
