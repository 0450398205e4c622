//! Alarms that must fire.

use std::collections::BTreeSet;

use crate::reader;

#[test]
fn a_delivery_that_is_kept_from_your_systems_sets_off_an_alarm_in_every_stack() {
    let template = reader::read(crate::TEMPLATE);
    let resources = template["Resources"].as_object().expect("resources").values();
    let alarms = resources
        .filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm" && resource["Condition"].is_null())
        .map(|alarm| &alarm["Properties"]);
    let watched: BTreeSet<&str> = alarms.filter_map(|alarm| alarm["MetricName"].as_str()).collect();
    for metric in ["Lost", "Queued", "Held", "Undecodable", "InventoryHeldBack", "EventsMissed"] {
        assert!(watched.contains(metric), "no alarm watches {metric}");
    }
}
