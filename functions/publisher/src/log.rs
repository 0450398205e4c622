//! The log lines of the publisher. None contains a body.

use crate::{
    batch::Record,
    outcome::{Outcome, Published},
};

/// Logs the outcome of a record.
pub(crate) fn outcome(record: &Record, outcome: &Outcome) {
    let sequence_number = record.sequence_number();
    match outcome {
        Outcome::Skipped => {}
        Outcome::HandedOn(published) => {
            let Published { id, kind, omits_body, .. } = published;
            tracing::info!(event_id = %id, kind, body_omitted = omits_body, "event published");
        }
        Outcome::Unpublishable(cause) => {
            tracing::error!(sequence_number, cause, "the record cannot be published and was moved aside");
        }
        Outcome::Failed(cause) => {
            tracing::warn!(sequence_number, error = cause, "the record was not published yet");
        }
    }
}

/// Logs that the counts of published events are too low from now on.
pub(crate) fn not_counted(error: &str) {
    tracing::warn!(error, "the published events were not counted");
}
