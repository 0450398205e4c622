//! Redrive's metrics: one document for each batch. Every message is in exactly one of `Redriven`, `NotRedriven` and `Forged`.

use lambda::{Count, CountBy, Document};
use shared::Kind;
use store::Recorded;

use crate::message_outcome::MessageOutcome;

/// Recorded messages, duplicates and quarantined ones included; a quarantined one is of kind `other`.
const REDRIVEN: CountBy<Kind> = CountBy::named("Redriven");
const DUPLICATES: Count = Count::named("Duplicates");
/// Deliveries recorded in quarantine, held ones included.
const QUARANTINED: Count = Count::named("Quarantined");
/// Deliveries recorded in quarantine because their source address is not on the list.
const HELD: Count = Count::named("Held");
/// Deliveries recorded in quarantine because their body is not an event.
const UNDECODABLE: Count = Count::named("Undecodable");
/// Messages that stay in the queue, whatever the cause.
const NOT_REDRIVEN: Count = Count::named("NotRedriven");
/// Messages dropped because of their token.
const FORGED: Count = Count::named("Forged");

/// Writes the metrics of a batch.
pub(crate) fn write<'a>(mut document: Document<'_>, outcomes: impl Iterator<Item = &'a MessageOutcome>) {
    for outcome in outcomes {
        match outcome {
            MessageOutcome::Recorded { kind, recorded, held } => {
                document.count_by(REDRIVEN, kind, 1);
                match recorded {
                    Recorded::Event => {}
                    Recorded::Duplicate { .. } => {
                        document.count(DUPLICATES, 1);
                    }
                    Recorded::Quarantined => {
                        document.count(QUARANTINED, 1).count(if *held { HELD } else { UNDECODABLE }, 1);
                    }
                }
            }
            MessageOutcome::Forged => {
                document.count(FORGED, 1);
            }
            MessageOutcome::Stays(_) => {
                document.count(NOT_REDRIVEN, 1);
            }
        }
    }
    document.write();
}
