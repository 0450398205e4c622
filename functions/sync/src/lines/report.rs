use std::collections::BTreeMap;

use serde::Serialize;
use shared::Entity;
use store::{LineChange, LineRecord, LineStatus};

use crate::left_out::{LeftOut, shorten};

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
    /// Number of lines that this pass has asked the provider about.
    pub checked: usize,
    /// The changes that this pass has found or made; in a plan, those that it has found or would make. Maximum 1,000.
    pub changed: Vec<LineChanged>,
    /// The lines that are not live. Maximum 1,000.
    pub not_live: Vec<NotLive>,
    /// Numbers of further elements of these two.
    #[serde(flatten)]
    pub left_out: LeftOut,
    /// Number of lines that were never checked, not for a day, or without an answer. The next pass continues with them.
    pub left: usize,
    /// The reason why the pass ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Number of lines that count in the metric `LinesNotLive`; `None` for a pass over one line, and for a plan.
    #[serde(skip)]
    pub(crate) alarming: Option<usize>,
    /// Number of other lines with a foreign URL.
    #[serde(skip)]
    pub(crate) foreign: usize,
    /// Number of lines whose webhook was ours, and was found changed or cleared.
    #[serde(skip)]
    pub(crate) drifted: usize,
    /// Number of lines whose URL was set; in a plan, of those whose URL a pass would set.
    #[serde(skip)]
    pub(crate) set: usize,
}

impl LinesReport {
    /// Shortens the lists to what an answer can hold.
    pub(crate) fn shorten(&mut self) {
        shorten(&mut self.changed, "changed_left_out", &mut self.left_out);
        shorten(&mut self.not_live, "not_live_left_out", &mut self.left_out);
    }
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
    /// The registered URL, masked; of a foreign one only the host. In a plan, the URL to set.
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
    /// The registered URL, masked; of a foreign one only the host.
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

/// Logs a change.
pub(crate) fn log_changed(change: &LineChanged) {
    let LineChanged { entity, from, to, url, action } = change;
    tracing::info!(%entity, from, to, url, action, "the webhook of a line has changed");
}

/// Logs how a pass ended, as one line.
pub(crate) fn log(report: &LinesReport) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_shortened_and_what_is_left_out_is_counted() {
        let entity = |n: usize| Entity::named(format!("whatsapp#{n}"));
        let change = |n| LineChanged { entity: entity(n), from: None, to: "live", url: None, action: "set" };
        let not_live =
            |n| NotLive { entity: entity(n), webhook: "empty", since: String::new(), url: None, cause: None };
        let report = |changed: usize, lines: usize| {
            let mut report = LinesReport {
                action: "lines",
                outcome: LinesOutcome::Updated,
                lines,
                counts: [("empty", lines)].into(),
                checked: lines,
                changed: (0..changed).map(change).collect(),
                not_live: (0..lines).map(not_live).collect(),
                left_out: LeftOut::new(),
                left: 0,
                cause: None,
                alarming: None,
                foreign: 0,
                drifted: 0,
                set: changed,
            };
            report.shorten();
            serde_json::to_value(report).unwrap()
        };
        let full = report(1_000, 1_000);
        assert_eq!(
            (full["changed"].as_array().unwrap().len(), full["not_live"].as_array().unwrap().len()),
            (1_000, 1_000)
        );
        assert!(full.get("changed_left_out").is_none() && full.get("not_live_left_out").is_none());
        let more = report(1_001, 10_000);
        assert_eq!((more["changed"].as_array().unwrap().len(), &more["changed_left_out"]), (1_000, &1.into()));
        assert_eq!((more["not_live"].as_array().unwrap().len(), &more["not_live_left_out"]), (1_000, &9_000.into()));
        assert_eq!((&more["counts"]["empty"], &more["lines"]), (&10_000.into(), &10_000.into()));
    }
}
