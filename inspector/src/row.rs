//! A delivery as a row of a list.

use shared::{Timestamp, text::plain};
use store::{QuarantineCause, StoredDelivery};

use super::layout::{Moment, kind_class, link};

/// The row.
pub struct Row {
    pub id: String,
    pub link: String,
    pub time: Moment,
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
}

impl Row {
    /// The row of a delivery.
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
            kind: plain(&delivery.kind),
            kind_class: kind_class(&delivery.kind),
            entity: plain(entity),
            entity_link,
            reference: delivery.reference.as_deref().map(plain),
            reference_link: link(
                "./",
                &[("reference", delivery.reference.as_deref().unwrap_or_default()), ("since", "30d")],
            ),
            extra_info: delivery.extra_info.as_ref().map(ToString::to_string),
            is_duplicate: delivery.duplicate_of.is_some(),
            is_quarantined,
            is_held: delivery.cause == Some(QuarantineCause::UnlistedSource.to_string()),
            id,
        }
    }
}
