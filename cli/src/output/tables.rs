use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use shared::{
    human_time::{minutes, to_the_second},
    text::{plain, short},
};
use store::{Change, State, StoredDelivery};

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

/// Quarantined deliveries as a table, one a line.
pub fn quarantined(deliveries: &[StoredDelivery]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["received", "id", "bytes", "cause"]);
    for delivery in deliveries {
        table.add_row([
            to_the_second(delivery.received_at),
            delivery.id.to_string(),
            delivery.body_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            delivery.cause.as_deref().map(plain).unwrap_or_default(),
        ]);
    }
    table
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
