//! The metrics of sync: one document for each invocation.

use std::time::Duration;

use lambda::{Count, CountBy, Dimension, Document, Millis};
use store::ChangeKind;

use crate::{answer::Answer, error::SyncError, registration::Summary};

/// A check of the registration: one for every scheduled run, including failed ones.
const RUNS: Count = Count::named("SyncRuns");
/// Another URL than ours, or none, was found registered.
const DRIFT: Count = Count::named("Drift");
/// Our URL was registered again.
const REPAIRED: Count = Count::named("Repaired");
/// Our URL was registered with a new token.
const ROTATED: Count = Count::named("Rotated");
/// The provider accepted a URL and shows another one.
const NOT_VERIFIED: Count = Count::named("NotVerified");
/// Sync left a competing URL registered. Counted in every such run.
const CONTESTED: Count = Count::named("Contested");
/// Minutes in which the webhook may have pointed elsewhere, each counted once: whole minutes, and 1 for less than one.
const MINUTES_NOT_OURS: Count = Count::named("MinutesNotOurs");
/// An invocation ended with an error.
const FAILED: CountBy<Cause> = CountBy::named("SyncFailed");
/// Duration of an invocation.
const DURATION: Millis = Millis::named("SyncDuration");

/// A pass of the inventory that records what it finds, including a failed one.
const INVENTORY_RUNS: Count = Count::named("InventoryRuns");
/// Such a pass ended with an error, a list was not complete, or an item could not be read.
const INVENTORY_FAILED: Count = Count::named("InventoryFailed");
/// Such a pass left listed entities without an event, because a delivery in a queue or in quarantine may be about them.
const INVENTORY_HELD_BACK: Count = Count::named("InventoryHeldBack");
/// Entities that got a state because the first list of their kind had them.
const IMPORTED: Count = Count::named("Imported");
/// Events that were missed and rebuilt.
const EVENTS_MISSED: Count = Count::named("EventsMissed");
/// Entities that were newly marked as gone.
const GONE: Count = Count::named("Gone");
/// Clients that do not finish onboarding, and numbers that are about to lapse. Counted in every pass.
const STUCK: Count = Count::named("Stuck");

/// Lines that a pass has checked.
const LINES_CHECKED: Count = Count::named("LinesChecked");
/// Lines that should be live and are not, in each pass over all lines.
const LINES_NOT_LIVE: Count = Count::named("LinesNotLive");
/// Lines with a URL of somebody else that the mode leaves, in each pass over all lines.
const LINES_FOREIGN: Count = Count::named("LinesForeign");
/// Lines whose webhook was ours, and was found changed or cleared.
const LINES_DRIFTED: Count = Count::named("LinesDrifted");
/// Lines whose URL was set.
const LINES_SET: Count = Count::named("LinesSet");
/// A pass over the lines ended with an error, or early because of a fault of the provider.
const LINES_FAILED: Count = Count::named("LinesFailed");

/// The name of the cause of a [`SyncError`].
struct Cause(&'static str);

impl Dimension for Cause {
    const NAME: &'static str = "Cause";

    fn value(&self) -> &'static str {
        self.0
    }
}

/// Writes the metrics of an invocation.
pub(crate) fn write(mut document: Document<'_>, summary: &Summary, result: &Result<Answer, SyncError>, took: Duration) {
    if summary.is_check {
        document.count(RUNS, 1);
    }
    for (metric, kind) in [
        (DRIFT, ChangeKind::Drift),
        (REPAIRED, ChangeKind::Repaired),
        (ROTATED, ChangeKind::Rotated),
        (NOT_VERIFIED, ChangeKind::NotVerified),
    ] {
        let times = summary.changes.iter().filter(|change| **change == kind).count();
        document.count(metric, u64::try_from(times).unwrap_or(u64::MAX));
    }
    if !summary.not_ours_for.is_zero() {
        document.count(MINUTES_NOT_OURS, (summary.not_ours_for.as_secs() / 60).max(1));
    }
    if summary.is_inventory {
        document.count(EVENTS_MISSED, u64::try_from(summary.events_missed).unwrap_or(u64::MAX));
        count_inventory(&mut document, result);
    }
    if summary.is_lines {
        count_lines(&mut document, summary.is_all_lines, result);
    }
    if let Err(error) = result {
        document.count(CONTESTED, u64::from(matches!(error, SyncError::Contested { .. })));
        document.count_by(FAILED, &Cause(error.cause()), 1);
    }
    document.millis(DURATION, took);
    document.write();
}

fn count_inventory(document: &mut Document<'_>, result: &Result<Answer, SyncError>) {
    document.count(INVENTORY_RUNS, 1);
    let Ok(Answer::Inventory(report)) = result else {
        document.count(INVENTORY_FAILED, 1);
        return;
    };
    let has_failed = report.lists.values().any(|list| !list.complete) || !report.unreadable.is_empty();
    document.count(INVENTORY_FAILED, u64::from(has_failed));
    document.count(INVENTORY_HELD_BACK, u64::from(report.held_back.is_some()));
    for (metric, count) in [(IMPORTED, report.imported), (GONE, report.newly_gone), (STUCK, report.stuck.len())] {
        document.count(metric, u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn count_lines(document: &mut Document<'_>, are_all: bool, result: &Result<Answer, SyncError>) {
    let report = match result {
        Ok(Answer::Lines(report)) => Some(report),
        _ => None,
    };
    // The check of one line says nothing about the passes.
    if are_all {
        document.count(LINES_FAILED, u64::from(report.is_none_or(|report| report.cause.is_some())));
    }
    let Some(report) = report else { return };
    for (metric, count) in [
        (LINES_CHECKED, Some(report.checked)),
        (LINES_SET, Some(report.set)),
        (LINES_DRIFTED, Some(report.drifted)),
        (LINES_NOT_LIVE, report.alarming),
        (LINES_FOREIGN, report.alarming.map(|_| report.foreign)),
    ] {
        if let Some(count) = count {
            document.count(metric, u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}
