use serde::Serialize;

use crate::{
    error::SyncError,
    inventory::{self, InventoryReport},
    lines::{self, LinesReport},
    report::{self, Report, Resolved},
};

/// The function's answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a person, or the schedule.
    Report(Report),
    /// To a person, or the schedule of the inventory.
    Inventory(InventoryReport),
    /// To a person, the schedule of the lines, or the bus.
    Lines(LinesReport),
    /// To CloudFormation. It was sent already; this copy is for the log.
    Resolved(Resolved),
}

impl Answer {
    /// Shortens the lists of a report to what an answer can hold.
    pub(crate) fn shortened(mut self) -> Self {
        match &mut self {
            Self::Inventory(report) => report.shorten(),
            Self::Lines(report) => report.shorten(),
            Self::Report(_) | Self::Resolved(_) => {}
        }
        self
    }
}

/// Logs how an invocation ended, as one line.
pub(crate) fn log(result: &Result<Answer, SyncError>) {
    match result {
        Ok(Answer::Report(report)) => report::log(report),
        Ok(Answer::Inventory(report)) => inventory::log(report),
        Ok(Answer::Lines(report)) => lines::log(report),
        Ok(Answer::Resolved(Resolved { outcome, registered })) => {
            tracing::info!(outcome, registered, "the stack's request was carried out");
        }
        Err(error) => {
            tracing::error!(cause = error.cause(), %error, "the run failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::to_value;

    use crate::{inventory::InventoryOutcome, lines::LinesOutcome, report::Outcome};

    #[test]
    fn the_log_names_an_outcome_as_the_answer_does() {
        for outcome in [Outcome::UpToDate, Outcome::Updated, Outcome::WouldUpdate, Outcome::Reported] {
            assert_eq!(to_value(outcome).unwrap(), outcome.name());
        }
        for outcome in [
            InventoryOutcome::UpToDate,
            InventoryOutcome::Updated,
            InventoryOutcome::WouldUpdate,
            InventoryOutcome::Incomplete,
        ] {
            assert_eq!(to_value(outcome).unwrap(), outcome.name());
        }
        for outcome in
            [LinesOutcome::UpToDate, LinesOutcome::Updated, LinesOutcome::WouldUpdate, LinesOutcome::Incomplete]
        {
            assert_eq!(to_value(outcome).unwrap(), outcome.name());
        }
    }
}
