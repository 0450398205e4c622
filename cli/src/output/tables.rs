//! Tables for people.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use shared::{
    human_time::{minutes, to_the_second},
    text::{plain, short},
};
use store::{Change, ForwardFailure, State, StoredDelivery};

use super::text::cause;

/// Returns a table. Characters in it that a terminal obeys are escaped.
pub fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    format!("{table}\n")
}

/// Returns a table of deliveries.
pub fn deliveries(deliveries: &[StoredDelivery]) -> String {
    let header = ["received", "kind", "entity", "id", "duplicate of", "reference", "update"];
    let row = |delivery: &StoredDelivery| {
        [
            to_the_second(delivery.received_at),
            delivery.kind.clone(),
            delivery.entity.to_string(),
            delivery.id.to_string(),
            delivery.duplicate_of.as_ref().map(short).unwrap_or_default(),
            delivery.reference.clone().unwrap_or_default(),
            delivery.extra_info.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    table(header, deliveries.iter().map(row))
}

/// Returns a table of quarantined deliveries.
pub fn quarantined(deliveries: &[StoredDelivery]) -> String {
    let row = |delivery: &StoredDelivery| {
        [
            to_the_second(delivery.received_at),
            delivery.id.to_string(),
            delivery.source_ip.clone(),
            delivery.body_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            cause(delivery).unwrap_or_default(),
        ]
    };
    table(["received", "id", "source", "bytes", "cause"], deliveries.iter().map(row))
}

/// Returns a table of states.
pub fn states(states: &[State]) -> String {
    let row = |state: &State| {
        [
            state.entity.to_string(),
            state.version.to_string(),
            state.duplicates.to_string(),
            to_the_second(state.last_seen),
            state.reference().unwrap_or_default().to_owned(),
            state.extra_info().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    table(["entity", "events", "duplicates", "last seen", "reference", "update"], states.iter().map(row))
}

/// Returns a table of events that the endpoint has not taken.
pub fn forward_failures<'a>(failures: impl IntoIterator<Item = &'a ForwardFailure>) -> String {
    let row = |failure: &ForwardFailure| {
        [
            failure.entity.to_string(),
            failure.id.to_string(),
            to_the_second(failure.first_attempt_at),
            failure.attempts.to_string(),
            failure.answer.clone(),
            failure.next_attempt_at.map_or_else(|| "none: given up".to_owned(), to_the_second),
        ]
    };
    table(["entity", "event", "since", "attempts", "answer", "next attempt"], failures.into_iter().map(row))
}

/// Returns a table with the last known value of each field of a state.
pub fn fields(state: &State) -> String {
    table(["field", "last value"], state.fields.iter().map(|(name, value)| [name.clone(), value.to_string()]))
}

/// Returns a table of changes of the registration.
pub fn changes<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let row = |change: &Change| {
        let cause = change.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let not_ours = change.not_ours.as_ref().map(|window| {
            let (from, until) = (to_the_second(window.start), to_the_second(window.end));
            format!("{from} to {until}, {}", minutes(window.end.since(window.start)))
        });
        [
            to_the_second(change.at),
            format!("{}{cause}", change.kind),
            change.action.clone(),
            change.registered.clone().unwrap_or_default(),
            not_ours.unwrap_or_default(),
        ]
    };
    table(["time", "what", "by", "registered then", "not ours"], changes.into_iter().map(row))
}
