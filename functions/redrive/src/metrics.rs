//! What redrive counts: one document of metrics for each batch. Every message is in exactly one of `Redriven`, `NotRedriven`
//! and `Forged`.

use lambda::{Count, CountBy, Document};
use shared::Kind;
use store::Recorded;

use crate::outcome::Outcome;

/// Recorded, duplicates and quarantined ones included; what is no event is of no known kind.
const REDRIVEN: CountBy<Kind> = CountBy::named("Redriven");
const DUPLICATES: Count = Count::named("Duplicates");
const QUARANTINED: Count = Count::named("Quarantined");
/// Back in the queue, whatever the cause.
const NOT_REDRIVEN: Count = Count::named("NotRedriven");
/// Dropped because of their token.
const FORGED: Count = Count::named("Forged");

/// Writes the metrics of a batch.
pub(crate) fn write<'a>(mut document: Document<'_>, outcomes: impl Iterator<Item = &'a Outcome>) {
    for outcome in outcomes {
        match outcome {
            Outcome::Recorded(kind, Recorded::Event) => document.count_by(REDRIVEN, kind, 1),
            Outcome::Recorded(kind, Recorded::Duplicate { .. }) => {
                document.count_by(REDRIVEN, kind, 1).count(DUPLICATES, 1)
            }
            Outcome::Recorded(kind, Recorded::Quarantined) => {
                document.count_by(REDRIVEN, kind, 1).count(QUARANTINED, 1)
            }
            Outcome::Forged => document.count(FORGED, 1),
            Outcome::Again(_) => document.count(NOT_REDRIVEN, 1),
        };
    }
    document.write();
}
