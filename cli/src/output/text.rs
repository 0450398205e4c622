use serde_json::Value;
use shared::{
    human_time::to_the_second,
    text::{plain, short},
};
use store::StoredDelivery;

/// A delivery on a line of its own, for lists that have no end.
pub fn delivery_line(delivery: &StoredDelivery) -> String {
    let entity = plain(delivery.entity.as_str());
    let mut line = format!("{}  {entity}  {}", to_the_second(delivery.received_at), delivery.id);
    let duplicate_of = delivery.duplicate_of.as_ref().map(short);
    let reference = delivery.reference.as_deref().map(plain);
    let extra_info = delivery.extra_info.as_ref().map(ToString::to_string);
    for (name, fact) in [("duplicate of", duplicate_of), ("reference", reference), ("extra_info", extra_info)] {
        line.extend(fact.map(|fact| format!("  {name} {fact}")));
    }
    line + "\n"
}

/// So many events.
pub fn events(number: u64) -> String {
    if number == 1 { "1 event".to_owned() } else { format!("{number} events") }
}

/// The report of sync, a line for each of its members; `None` when it is none.
pub fn report(report: &Value) -> Option<String> {
    let text = |name: &str| report[name].as_str().map(str::to_owned);
    let mut lines = vec![
        ("action", text("action")?),
        ("outcome", text("outcome")?),
        ("registered", text("registered").unwrap_or_else(|| "nothing".to_owned())),
        ("desired", text("desired")?),
        ("verified", if report["verified"].as_bool()? { "yes" } else { "no" }.to_owned()),
    ];
    if let (Some(from), Some(until)) = (report["not_ours"]["from"].as_str(), report["not_ours"]["until"].as_str()) {
        lines.push(("not ours", format!("{from} to {until}")));
    }
    Some(facts(&lines))
}

/// Names and what is to be said of them, a line each.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    facts.iter().map(|(name, fact)| format!("{name:width$}  {fact}\n")).collect()
}
