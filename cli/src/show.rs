use anyhow::Result;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use shared::Entity;
use store::{Change, Reader, State, StoredDelivery};

use crate::human_time::{minutes, to_the_second};

/// The deliveries as a table, one a line.
pub fn deliveries(deliveries: &[StoredDelivery]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["received", "entity", "id", "duplicate of"]);
    for delivery in deliveries {
        table.add_row([
            delivery.received_at.to_string(),
            delivery.entity.to_string(),
            delivery.id.to_string(),
            delivery.duplicate_of.map(|id| id.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

/// The states as a table, one a line.
pub fn states(states: &[State]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["entity", "events", "duplicates", "reference", "extra_info"]);
    for state in states {
        table.add_row([
            state.entity.to_string(),
            state.version.to_string(),
            state.duplicates.to_string(),
            state.reference().unwrap_or_default().to_owned(),
            state.extra_info().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

/// What has happened to the registration as a table, one a line.
pub fn changes(changes: &[&Change]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["time", "what", "by", "registered then", "not ours"]);
    for change in changes {
        let cause = change.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let not_ours = change.not_ours.as_ref().map(|window| {
            let (from, until) = (to_the_second(window.start), to_the_second(window.end));
            format!("{from} to {until}, {}", minutes(window.end.since(window.start)))
        });
        table.add_row([
            to_the_second(change.at),
            format!("{}{cause}", change.kind),
            change.action.clone(),
            change.registered.clone().unwrap_or_default(),
            not_ours.unwrap_or_default(),
        ]);
    }
    table
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

/// The states of the entities that deliveries are about, in their order.
///
/// # Errors
/// When the store does not answer.
pub async fn states_of(reader: &Reader, deliveries: &[StoredDelivery]) -> Result<Vec<State>> {
    let mut entities: Vec<&Entity> = deliveries.iter().map(|delivery| &delivery.entity).collect();
    entities.sort();
    entities.dedup();
    let mut states = Vec::new();
    for entity in entities {
        states.extend(reader.state(entity).await?);
    }
    Ok(states)
}
