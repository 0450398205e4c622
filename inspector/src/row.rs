//! A delivery as a row of a list.

use shared::{Timestamp, text::plain};
use store::{ForwardFailure, ForwardRecord, QuarantineCause, StoreError, StoredDelivery};

use super::{
    layout::{Moment, kind_class, link, roughly},
    source::Source,
};

/// The row.
pub struct Row {
    pub id: String,
    pub link: String,
    pub time: Moment,
    /// True when an adjacent row has the same second.
    pub shares_second: bool,
    pub kind: String,
    pub kind_class: &'static str,
    pub entity: String,
    pub entity_link: String,
    pub reference: Option<String>,
    pub reference_link: String,
    pub extra_info: Option<String>,
    pub is_duplicate: bool,
    pub is_quarantined: bool,
    /// Quarantined for its source address.
    pub is_held: bool,
    /// `None` without a forwarder, and before the first attempt unless it waits behind another event.
    pub forwarding: Option<Forwarding>,
}

/// The forwarding of an event to the partner's endpoint so far.
pub struct Forwarding {
    pub mark: &'static str,
    pub class: &'static str,
    /// A sentence with times and attempts.
    pub detail: String,
    /// The endpoint's last answer to the event, unless it accepted it.
    pub answer: Option<String>,
}

/// Returns the rows of deliveries, with one read of their forwarding for each 50 of them, and a query of the refused events.
///
/// # Errors
/// Fails when the forwarding cannot be read.
pub async fn rows(source: &Source, deliveries: &[StoredDelivery], now: Timestamp) -> Result<Vec<Row>, StoreError> {
    let events = deliveries.iter().filter(|delivery| delivery.duplicate_of.is_none() && delivery.body.is_some());
    let records = match &source.forward_records {
        None => Default::default(),
        Some(records) => records.of(events.map(|event| (&event.entity, event.id))).await?,
    };
    let row = |delivery: &StoredDelivery| Row {
        forwarding: records.get(&delivery.id).map(|record| Forwarding::of(record, delivery.received_at, now)),
        ..Row::of(delivery, now)
    };
    let mut rows: Vec<Row> = deliveries.iter().map(row).collect();
    for place in 1..rows.len() {
        if rows[place - 1].time.second == rows[place].time.second {
            rows[place - 1].shares_second = true;
            rows[place].shares_second = true;
        }
    }
    Ok(rows)
}

impl Row {
    /// The row of a delivery, without its forwarding.
    pub fn of(delivery: &StoredDelivery, now: Timestamp) -> Self {
        let id = delivery.id.to_string();
        let (is_quarantined, entity) = (delivery.body_bytes.is_some(), delivery.entity.as_str());
        // A quarantined delivery belongs to no entity: its partition is a day.
        let entity_link = if is_quarantined {
            link("./", &[("entity", entity), ("since", &delivery.received_at.day())])
        } else {
            link("entity", &[("name", entity)])
        };
        Self {
            link: link("delivery", &[("id", &id)]),
            time: Moment::new(delivery.received_at, now),
            shares_second: false,
            kind: plain(&delivery.kind),
            kind_class: kind_class(&delivery.kind),
            entity: plain(entity),
            entity_link,
            reference: delivery.reference.as_deref().map(plain),
            reference_link: link("client", &[("reference", delivery.reference.as_deref().unwrap_or_default())]),
            extra_info: delivery.extra_info.as_ref().map(ToString::to_string),
            is_duplicate: delivery.duplicate_of.is_some(),
            is_quarantined,
            is_held: delivery.cause == Some(QuarantineCause::UnlistedSource.to_string()),
            forwarding: None,
            id,
        }
    }
}

impl Forwarding {
    fn of(record: &ForwardRecord, received_at: Timestamp, now: Timestamp) -> Self {
        match record {
            ForwardRecord::Failed(failure) => Self::failed(failure, now),
            ForwardRecord::Behind(refused) => Self {
                mark: "waiting",
                class: "care",
                detail: format!(
                    "behind the refused event received at {}",
                    Moment::new(refused.id.received_at(), now).second
                ),
                answer: None,
            },
            ForwardRecord::Taken(taken) => Self {
                mark: "handed on",
                class: "taken",
                detail: format!(
                    "{}, {} after receipt, {}",
                    Moment::new(taken.taken_at, now).second,
                    roughly(taken.taken_at.since(received_at)),
                    attempts(taken.attempts)
                ),
                answer: None,
            },
        }
    }

    /// The forwarding of an event that the endpoint has not accepted.
    pub fn failed(failure: &ForwardFailure, now: Timestamp) -> Self {
        let attempts = attempts(failure.attempts);
        let (mark, class, detail) = match failure.next_attempt_at {
            Some(next) => ("waiting", "care", format!("{attempts}, the next at {}", Moment::new(next, now).second)),
            None => ("dead letter", "bad", format!("given up after {attempts}")),
        };
        Self { mark, class, detail, answer: Some(plain(&failure.answer)) }
    }
}

fn attempts(number: u32) -> String {
    if number == 1 { "1 attempt".to_owned() } else { format!("{number} attempts") }
}
