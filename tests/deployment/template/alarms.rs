//! Alarms that must fire: for every event that is kept from the partner's systems, and while the endpoint refuses everything.

use std::{collections::BTreeSet, time::Duration};

use outbound::{Answer, Next, Progress};
use serde_json::json;
use shared::Timestamp;

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

/// Returns the seconds after the first attempt at which an event is refused and stays in the queue, for an endpoint that always answers
/// the same.
fn refusals(status: u16, retry_after: Option<&str>) -> Vec<u64> {
    let start = Timestamp::from_micros(1_795_339_800_000_000);
    let Answer::Refused(refusal) = Answer::of(status, retry_after, start) else { panic!("{status} is no refusal") };
    let (mut at, mut refusals) = (0, Vec::new());
    for attempts in 1.. {
        let progress = Progress { attempts, first_attempt_at: start };
        let Next::RetryAfter(wait) = progress.next(&refusal, start.plus(Duration::from_secs(at))) else { break };
        refusals.push(at);
        at += wait.as_secs();
    }
    refusals
}

#[test]
fn one_refused_event_sets_off_forward_refused_within_65_minutes_and_an_outage_of_5_minutes_never_does() {
    let template = reader::read(crate::TEMPLATE);
    let alarm = &template["Resources"]["ForwardRefusedAlarm"]["Properties"];
    let number = |name: &str| alarm[name].as_u64();
    assert_eq!((number("Threshold"), &alarm["Statistic"]), (Some(1), &json!("Sum")));
    let (period, periods) = (number("Period").expect("seconds"), number("EvaluationPeriods").expect("periods"));
    let needed = usize::try_from(number("DatapointsToAlarm").unwrap_or(periods)).expect("a few");
    // The first attempt may come in any second of a period.
    for start in 0..period {
        for (status, retry_after) in
            [(503, None), (400, None), (503, Some("600")), (503, Some("1200")), (429, Some("1800"))]
        {
            let refused: BTreeSet<u64> = refusals(status, retry_after).iter().map(|at| (start + at) / period).collect();
            let refused: Vec<u64> = refused.into_iter().collect();
            let firing = refused.windows(needed).find(|some| some[needed - 1] - some[0] < periods);
            let fires_at = firing.map(|some| (some[needed - 1] + 1) * period - start);
            assert!(
                fires_at.is_some_and(|at| at <= 65 * 60),
                "{status} {retry_after:?} from second {start}: {fires_at:?}"
            );
        }
        let touched = (start + 5 * 60 - 1) / period + 1;
        assert!(usize::try_from(touched).expect("a few") < needed, "an outage from second {start}");
    }
}
