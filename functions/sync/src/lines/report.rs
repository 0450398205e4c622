use std::collections::BTreeMap;

use serde::Serialize;
use shared::Entity;
use store::{LineChange, LineRecord, LineStatus};

/// The answer to a pass over the lines.
#[derive(Clone, Debug, Serialize)]
pub struct LinesReport {
    /// `lines`.
    pub action: &'static str,
    /// The result of the pass.
    pub outcome: LinesOutcome,
    /// Number of lines, without those that are gone at the provider.
    pub lines: usize,
    /// Number of lines by their status. Lines that were never checked have none.
    pub counts: BTreeMap<&'static str, usize>,
    /// Number of lines that this pass has checked.
    pub checked: usize,
    /// The changes that this pass has found or made; in a plan, those that a pass would make.
    pub changed: Vec<LineChanged>,
    /// The lines that are not live.
    pub not_live: Vec<NotLive>,
    /// Number of lines that were never checked, not for a day, or without an answer. The next pass continues with them.
    pub left: usize,
    /// The reason why the pass ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Number of lines that count in the metric `LinesNotLive`; `None` for a pass over one line, and for a plan.
    #[serde(skip)]
    pub(crate) alarming: Option<usize>,
}

/// The result of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinesOutcome {
    /// Nothing has changed.
    UpToDate,
    /// Changes were found or made.
    Updated,
    /// A pass would set URLs.
    WouldUpdate,
    /// Some lines are left for the next pass.
    Incomplete,
}

impl LinesOutcome {
    /// Returns the name in the answer and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Updated => "updated",
            Self::WouldUpdate => "would_update",
            Self::Incomplete => "incomplete",
        }
    }
}

/// A change of a line's webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineChanged {
    /// The line.
    pub entity: Entity,
    /// The status before, if the line was checked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'static str>,
    /// The status since then.
    pub to: &'static str,
    /// The registered URL, masked; of a foreign one the host alone. In a plan, the URL to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `found`, or `set` when our URL was set.
    pub action: &'static str,
}

impl LineChanged {
    pub(crate) fn new(entity: &Entity, change: &LineChange) -> Self {
        Self {
            entity: entity.clone(),
            from: change.from.map(LineStatus::name),
            to: change.to.name(),
            url: change.url.clone(),
            action: change.action.name(),
        }
    }
}

/// A line that is not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotLive {
    /// The line.
    pub entity: Entity,
    /// Its status.
    pub webhook: &'static str,
    /// Time since which it has this status.
    pub since: String,
    /// The registered URL, masked; of a foreign one the host alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The reason, if the status does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl NotLive {
    pub(crate) fn new(record: &LineRecord) -> Self {
        Self {
            entity: record.entity.clone(),
            webhook: record.status.name(),
            since: record.since.to_string(),
            url: record.url.clone(),
            cause: record.cause.clone(),
        }
    }
}

/// Logs how a pass ended, as one line, and each change.
pub(crate) fn log(report: &LinesReport) {
    for LineChanged { entity, from, to, url, action } in &report.changed {
        tracing::info!(%entity, from, to, url, action, "the webhook of a line has changed");
    }
    if let Some(cause) = &report.cause {
        tracing::error!(cause, "the pass over the lines ended early");
    }
    let count = |status: LineStatus| report.counts.get(status.name()).copied();
    tracing::info!(
        action = report.action,
        outcome = report.outcome.name(),
        lines = report.lines,
        live = count(LineStatus::Live),
        not_live = report.not_live.len(),
        checked = report.checked,
        changed = report.changed.len(),
        left = report.left,
        "the webhooks of the lines were checked"
    );
}
