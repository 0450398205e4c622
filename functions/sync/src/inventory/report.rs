use std::{collections::BTreeMap, ops::Range};

use serde::Serialize;
use shared::{Entity, Timestamp};

use crate::{
    inventory::{lists::ListReport, stuck::Stuck},
    left_out::{LeftOut, shorten},
};

/// The answer to a pass of the inventory. Each list of it has at most 1,000 elements.
#[derive(Clone, Debug, Serialize)]
pub struct InventoryReport {
    /// `inventory`.
    pub action: &'static str,
    /// The result of the pass.
    pub outcome: InventoryOutcome,
    /// The provider's lists, by name.
    pub lists: BTreeMap<&'static str, ListReport>,
    /// Number of states of the kinds whose list is complete, with those that this pass has made.
    pub known: usize,
    /// Number of entities that were there before this stack looked and had no state, and have one now. In a plan, that would have
    /// one.
    pub imported: usize,
    /// The entities whose event was missed and was rebuilt, or in a plan would be.
    pub missed: Vec<Missed>,
    /// The entities without an event that do not count as missed yet.
    pub waiting: Vec<Entity>,
    /// The reason why entities still wait after the grace period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back: Option<String>,
    /// All entities that are marked as gone at the provider.
    pub gone: Vec<Gone>,
    /// The clients that do not finish onboarding, and the numbers that are about to lapse.
    pub stuck: Vec<Stuck>,
    /// The changes that the lists show since the last pass.
    pub changed: Vec<Changed>,
    /// The entities of which an item cannot be read, so that nothing was decided about them. Other unreadable items, of the quarantine and
    /// the ledger, are here under their partition key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Entity>,
    /// Number of entities that the function had no time for. The next pass continues with them.
    pub left: usize,
    /// Numbers of further elements of the lists.
    #[serde(flatten)]
    pub left_out: LeftOut,
    /// Number of entities that are newly marked as gone.
    #[serde(skip)]
    pub(crate) newly_gone: usize,
}

impl InventoryReport {
    /// Shortens the lists to what an answer can hold.
    pub(crate) fn shorten(&mut self) {
        let Self { missed, waiting, gone, stuck, changed, unreadable, left_out, .. } = self;
        shorten(missed, "missed_left_out", left_out);
        shorten(waiting, "waiting_left_out", left_out);
        shorten(gone, "gone_left_out", left_out);
        shorten(stuck, "stuck_left_out", left_out);
        shorten(changed, "changed_left_out", left_out);
        shorten(unreadable, "unreadable_left_out", left_out);
    }
}

/// The result of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryOutcome {
    /// All lists are complete, and agree with the states.
    UpToDate,
    /// All lists are complete, and something was recorded or marked.
    Updated,
    /// All lists are complete, and a pass would record or mark something.
    WouldUpdate,
    /// A list is not complete, or an item of an entity cannot be read, so nothing is said about them; or the time was too short for all.
    Incomplete,
}

impl InventoryOutcome {
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

/// An entity whose event was missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// The entity.
    pub entity: Entity,
    /// The partner's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The id of the rebuilt event.
    pub event_id: String,
    /// Time of the first list with it.
    pub listed_at: String,
    /// Time of the last list without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_listed_at: Option<String>,
    /// The period between these in which the webhook was not ours, if the registration's ledger has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// A period in which the webhook was not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Its start.
    pub from: String,
    /// Its end.
    pub until: String,
}

impl From<&Range<Timestamp>> for Gap {
    fn from(period: &Range<Timestamp>) -> Self {
        Self { from: period.start.to_string(), until: period.end.to_string() }
    }
}

/// An entity that is marked as gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// The entity.
    pub entity: Entity,
    /// Time of the second list without it.
    pub since: String,
}

/// A change that the lists show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The entity.
    pub entity: Entity,
    /// `suspended`, `active`, `back`, `created_anew`, or `key` when its key was sealed again.
    pub change: &'static str,
}

/// Logs a missed event. A pass does so before it notes that the event was rebuilt: if it is killed after that, no later pass
/// finds the event.
pub(crate) fn log_missed(Missed { entity, event_id, gap, .. }: &Missed) {
    let (from, until) = gap.as_ref().map(|gap| (&gap.from, &gap.until)).unzip();
    tracing::warn!(%entity, event_id, not_ours_from = from, not_ours_until = until, "an event was missed");
}

/// Logs how a pass ended, as one line, and each list that is not complete.
pub(crate) fn log(report: &InventoryReport) {
    for (list, of) in report.lists.iter().filter(|(_, of)| !of.complete) {
        tracing::error!(list, cause = of.cause, "a list of the provider is not complete");
    }
    tracing::info!(
        action = report.action,
        outcome = report.outcome.name(),
        known = report.known,
        imported = report.imported,
        missed = report.missed.len(),
        waiting = report.waiting.len(),
        held_back = report.held_back,
        gone = report.gone.len(),
        stuck = report.stuck.len(),
        changed = report.changed.len(),
        unreadable = report.unreadable.len(),
        left = report.left,
        "the provider's lists were compared with the states"
    );
}
