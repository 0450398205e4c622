use std::{ops::Range, time::Duration};

use store::{Change, ChangeKind, Registration, RegistrationLedger, StoreError};

use crate::{
    history::{self, Deed, Sight},
    invocation::{Clock, Randomness},
};

/// The registration's state and ledger during a run. What is noted becomes durable with [`Book::write`].
pub(crate) struct Book {
    ledger: RegistrationLedger,
    state: Registration,
    unwritten: Vec<Change>,
    summary: Summary,
}

/// What a run has added to the history, for the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) changes: Vec<ChangeKind>,
    /// How much longer the webhook was not ours than was known before.
    pub(crate) not_ours_for: Duration,
    /// The last time within which the webhook may have pointed elsewhere.
    pub(crate) not_ours: Option<Range<shared::Timestamp>>,
}

/// What every entry of a run has in common.
pub(crate) struct Pen<'a> {
    pub(crate) action: &'static str,
    pub(crate) clock: Clock,
    pub(crate) random: &'a mut Randomness,
}

impl Book {
    pub(crate) async fn open(ledger: &RegistrationLedger) -> Result<Self, StoreError> {
        let state = ledger.read().await?;
        Ok(Self { ledger: ledger.clone(), state, unwritten: Vec::new(), summary: Summary::default() })
    }

    pub(crate) fn state(&self) -> &Registration {
        &self.state
    }

    /// For what no look at the provider tells.
    pub(crate) fn state_mut(&mut self) -> &mut Registration {
        &mut self.state
    }

    /// Takes down what was seen at the provider.
    pub(crate) fn saw(&mut self, pen: &mut Pen<'_>, ours: bool, registered: Option<String>, deed: Deed) {
        let at = pen.clock.now();
        let step = history::saw(&mut self.state, Sight { ours, registered, at }, deed);
        self.summary.not_ours_for += step.not_ours_for;
        if let Some(noted) = step.noted {
            self.summary.not_ours = noted.not_ours.clone().or(self.summary.not_ours.take());
            self.note(pen, noted.kind, noted.not_ours, None);
        }
    }

    /// Takes down that nothing is repaired any more.
    pub(crate) fn contested(&mut self, pen: &mut Pen<'_>) {
        self.note(pen, ChangeKind::Contested, None, None);
    }

    /// Takes down that a run has failed.
    pub(crate) fn failed(&mut self, pen: &mut Pen<'_>, cause: &str) {
        history::failed(&mut self.state, cause, pen.clock.now());
        self.note(pen, ChangeKind::Failed, None, Some(cause.to_owned()));
    }

    fn note(
        &mut self,
        pen: &mut Pen<'_>,
        kind: ChangeKind,
        not_ours: Option<Range<shared::Timestamp>>,
        cause: Option<String>,
    ) {
        let at = pen.clock.now();
        let id = pen.random.event_id(at);
        let (action, registered) = (pen.action.to_owned(), self.state.registered.clone());
        self.unwritten.push(Change { id, at, kind, action, registered, not_ours, cause });
        self.summary.changes.push(kind);
    }

    /// Makes durable what was taken down since the last time.
    pub(crate) async fn write(&mut self) -> Result<(), StoreError> {
        self.ledger.write(&self.state, &self.unwritten).await?;
        self.unwritten.clear();
        Ok(())
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }
}
