//! The alarm nothing-published, which compares metrics: the emulators have no metric math, so its expression is evaluated here.

use std::collections::BTreeMap;

use serde_json::json;

use crate::reader;

/// The number of events that the alarm compares with its threshold, for the sums of the metrics in one hour. A metric of one kind is
/// `<name> <kind>`; one without a sum has no data.
fn unpublished(sums: &[(&str, i64)]) -> i64 {
    let template = reader::read(crate::TEMPLATE);
    let alarm = &template["Resources"]["NothingPublishedAlarm"]["Properties"];
    assert_eq!(
        (&alarm["Threshold"], &alarm["ComparisonOperator"]),
        (&json!(1), &json!("GreaterThanOrEqualToThreshold"))
    );
    let mut expression = String::new();
    let mut values = BTreeMap::new();
    for query in alarm["Metrics"].as_array().expect("metrics") {
        let stat = &query["MetricStat"];
        let Some(name) = stat["Metric"]["MetricName"].as_str() else {
            query["Expression"].as_str().expect("an expression").clone_into(&mut expression);
            continue;
        };
        assert_eq!(
            (&query["ReturnData"], &stat["Stat"], &stat["Period"]),
            (&json!(false), &json!("Sum"), &json!(3600))
        );
        let kind = stat["Metric"]["Dimensions"][0]["Value"].as_str();
        let name = kind.map_or_else(|| name.to_owned(), |kind| format!("{name} {kind}"));
        let sum = sums.iter().find(|(metric, _)| *metric == name).map_or(0, |(_, sum)| *sum);
        values.insert(query["Id"].as_str().expect("an id"), sum);
    }
    for (id, sum) in &values {
        let filled = expression.replace(&format!("FILL({id}, 0)"), &sum.to_string());
        assert_ne!(filled, expression, "{id} is not in the expression");
        expression = filled;
    }
    let parts: Vec<&str> = expression.trim_start_matches("IF(").trim_end_matches(')').split(", ").collect();
    let [condition, "0", otherwise] = parts[..] else { panic!("{expression}") };
    if condition.strip_suffix(" > 0").expect("a condition").parse::<i64>().expect("a number") > 0 {
        return 0;
    }
    // Each sign stands before its number.
    otherwise
        .replace("- ", "-")
        .replace("+ ", "")
        .split_whitespace()
        .map(|term| term.parse::<i64>().expect("a number"))
        .sum()
}

#[test]
fn the_alarm_fires_for_an_hour_in_which_an_event_was_recorded_and_none_published() {
    assert_eq!(unpublished(&[("Received", 1)]), 1);
    assert_eq!(unpublished(&[("Redriven", 2)]), 2);
    assert_eq!(unpublished(&[("Imported", 300)]), 300);
    assert_eq!(unpublished(&[("EventsMissed", 1)]), 1);
    assert_eq!(unpublished(&[("Received", 3), ("Duplicates", 1), ("Received other", 1)]), 1);
}

#[test]
fn the_alarm_stays_quiet_when_an_event_was_published_or_none_was_to_be() {
    for sums in [
        &[][..],
        &[("Received", 5), ("Published", 1)],
        &[("Imported", 300), ("Published", 300)],
        // An event of the doctor, or a quarantined delivery.
        &[("Received", 1), ("Received other", 1)],
        &[("Redriven", 1), ("Redriven other", 1)],
        // Duplicates of an event of the hour before.
        &[("Received", 1), ("Redriven", 1), ("Duplicates", 2)],
    ] {
        assert_eq!(unpublished(sums), 0, "{sums:?}");
    }
}
