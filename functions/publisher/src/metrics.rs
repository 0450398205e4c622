//! The metrics of the publisher: one document for each batch.

use lambda::{Count, CountBy, Document, Millis};
use shared::{Kind, Timestamp};

use crate::outcome::Outcome;

/// Events that were published.
const PUBLISHED: CountBy<Kind> = CountBy::named("Published");
/// Published events whose body was too large for the bus.
const BODY_OMITTED: Count = Count::named("BodyOmitted");
/// Records that were moved aside.
const UNPUBLISHABLE: Count = Count::named("Unpublishable");
/// Batches of which some records come again.
const NOT_PUBLISHED: Count = Count::named("NotPublished");
/// Time from the receipt of the batch's oldest event until it was published.
const PUBLISH_LAG: Millis = Millis::named("PublishLag");

/// Writes the metrics of a batch: of the processed records, and whether others come again.
pub(crate) fn write(mut document: Document<'_>, done: &[Outcome], comes_again: bool, now: Timestamp) {
    let mut lag = None;
    for outcome in done {
        match outcome {
            Outcome::HandedOn(published) => {
                document.count_by(PUBLISHED, &Kind::of(&published.kind), 1);
                document.count(BODY_OMITTED, published.omits_body.into());
                lag = lag.max(Some(now.since(published.received_at)));
            }
            Outcome::Unpublishable(_) => {
                document.count(UNPUBLISHABLE, 1);
            }
            Outcome::Skipped | Outcome::Failed(_) => {}
        }
    }
    if let Some(lag) = lag {
        document.millis(PUBLISH_LAG, lag);
    }
    if comes_again {
        document.count(NOT_PUBLISHED, 1);
    }
    document.write();
}
