//! Answers for people that are not tables.

use serde_json::Value;
use shared::text::{plain, short};
use store::{QuarantineCause, StoredDelivery};

use super::{screen::Screen, times};

/// Returns a delivery on a line of its own, for lists that have no end.
pub fn delivery_line(delivery: &StoredDelivery) -> String {
    let screen = Screen::of_stdout();
    let shown = |text: &str| screen.isolated(plain(text));
    let entity = shown(delivery.entity.as_str());
    let mut line = format!("{}  {entity}  {}", times::shown(delivery.received_at), delivery.id);
    let duplicate_of = delivery.duplicate_of.as_ref().map(short);
    let extra_info = delivery.extra_info.as_ref().map(ToString::to_string);
    for (name, fact) in [
        ("duplicate of", duplicate_of),
        ("reference", delivery.reference.clone()),
        ("update", extra_info),
        ("cause", cause(delivery)),
    ] {
        line.extend(fact.map(|fact| format!("  {name} {}", shown(&fact))));
    }
    line + "\n"
}

/// Returns a number of events in words.
pub fn events(number: u64) -> String {
    if number == 1 { "1 event".to_owned() } else { format!("{number} events") }
}

/// Returns a report of sync, one member on each line; `None` when it is not a report.
pub fn report(report: &Value) -> Option<String> {
    let text = |name: &str| report[name].as_str().map(str::to_owned);
    let action = text("action")?;
    // The URL of a set is the caller's choice, and need not be the one that the schedule registers.
    let desired = if action == "set" { "requested" } else { "desired" };
    let mut lines = vec![
        ("action", action),
        ("outcome", text("outcome")?),
        ("registered", text("registered").unwrap_or_else(|| "nothing".to_owned())),
        (desired, text("desired")?),
        ("verified", if report["verified"].as_bool()? { "yes" } else { "no" }.to_owned()),
    ];
    if let (Some(from), Some(until)) = (report["not_ours"]["from"].as_str(), report["not_ours"]["until"].as_str()) {
        lines.push(("not ours", format!("{} to {}", times::reported(from), times::reported(until))));
    }
    Some(facts(&lines))
}

/// Returns names and values, one pair on each line. Characters that a terminal obeys are escaped.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let screen = Screen::of_stdout();
    facts.iter().map(|(name, fact)| format!("{name:width$}  {}\n", screen.isolated(plain(fact)))).collect()
}

/// Returns the reason why a delivery is quarantined, in plain words; `None` when it is not.
pub fn cause(delivery: &StoredDelivery) -> Option<String> {
    let cause = delivery.cause.as_deref()?;
    let is_held = cause == QuarantineCause::UnlistedSource.to_string();
    Some(if is_held { "held: its source address is not in AllowedSourceIps" } else { cause }.to_owned())
}
