use anyhow::Result;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use shared::Entity;
use store::{Reader, State, StoredDelivery};

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
