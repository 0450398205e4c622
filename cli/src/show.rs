use anyhow::Result;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use shared::{Entity, EventId};
use store::{Change, Reader, State, StoredDelivery};

use crate::human_time::{minutes, to_the_second};

/// The deliveries as a table, one a line.
pub fn deliveries(deliveries: &[StoredDelivery]) -> Table {
    let mut table = Table::new();
    let header = ["received", "kind", "entity", "id", "duplicate of", "reference", "extra_info"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for delivery in deliveries {
        table.add_row([
            to_the_second(delivery.received_at),
            plain(&delivery.kind),
            plain(delivery.entity.as_str()),
            delivery.id.to_string(),
            delivery.duplicate_of.as_ref().map(short).unwrap_or_default(),
            delivery.reference.as_deref().map(plain).unwrap_or_default(),
            delivery.extra_info.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

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

/// The end of an id: what comes before it is the time, which ids of about the same time have in common.
fn short(id: &EventId) -> String {
    format!("…{}", &id.simple()[24..])
}

/// A text from outside with nothing in it that a terminal would obey.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// The states as a table, one a line.
pub fn states(states: &[State]) -> Table {
    let mut table = Table::new();
    let header = ["entity", "events", "duplicates", "last seen", "reference", "extra_info"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for state in states {
        table.add_row([
            plain(state.entity.as_str()),
            state.version.to_string(),
            state.duplicates.to_string(),
            to_the_second(state.last_seen),
            state.reference().map(plain).unwrap_or_default(),
            state.extra_info().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

/// The last known value of each field of a state as a table, one a line.
pub fn fields(state: &State) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["field", "last value"]);
    for (name, value) in &state.fields {
        table.add_row([plain(name), plain(&value.to_string())]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_a_command() {
        assert_eq!(plain("שלום a\u{1b}[2Jb\n\u{9b}"), "שלום a\\u{1b}[2Jb\\n\\u{9b}");
    }
}
