use std::{ops::Range, time::Duration};

use shared::{EventId, Timestamp};
use store::{Change, ChangeKind, Registration, RegistrationLedger, Rival, StoreError};

use crate::{
    history::{self, Deed, Noted, Sight},
    invocation::{Clock, Randomness},
};

/// How often a write is tried when other runs write at the same time.
const ATTEMPTS: u32 = 3;

/// The registration's state and ledger during a run. What is taken down becomes durable with [`Book::write`].
pub(crate) struct Book {
    ledger: RegistrationLedger,
    action: &'static str,
    clock: Clock,
    random: Randomness,
    /// As it stands in the table, as far as this run knows.
    written: Registration,
    /// What was taken down since, each with the id of its entry, if it makes one.
    steps: Vec<(EventId, Timestamp, Step)>,
    /// What they come to.
    unwritten: Unwritten,
    summary: Summary,
}

/// Something that a run takes down.
#[derive(Clone)]
enum Step {
    Saw(Sight, Deed),
    Rotated,
    Contested,
    Failed(&'static str),
    Rival(Option<Rival>),
}

/// The state as it will be, and what there is to add to the ledger.
#[derive(Default)]
struct Unwritten {
    state: Registration,
    changes: Vec<Change>,
    not_ours_for: Duration,
}

/// What a run has added to the history, for the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) changes: Vec<ChangeKind>,
    /// How much longer the webhook was not ours than was known before.
    pub(crate) not_ours_for: Duration,
    /// The last time within which the webhook may have pointed elsewhere.
    not_ours: Option<Range<Timestamp>>,
}

impl Book {
    pub(crate) async fn open(
        ledger: &RegistrationLedger,
        action: &'static str,
        clock: Clock,
        random: Randomness,
    ) -> Result<Self, StoreError> {
        let written = ledger.read().await?;
        let unwritten = Unwritten { state: written.clone(), ..Unwritten::default() };
        let (steps, summary) = (Vec::new(), Summary::default());
        Ok(Self { ledger: ledger.clone(), action, clock, random, written, steps, unwritten, summary })
    }

    /// As it will be with what was taken down.
    pub(crate) fn state(&self) -> &Registration {
        &self.unwritten.state
    }

    /// Takes down what was seen at the provider.
    pub(crate) fn saw(&mut self, ours: bool, registered: Option<String>, deed: Deed) {
        let at = self.clock.now();
        self.take(at, Step::Saw(Sight { ours, registered, at }, deed));
    }

    /// Takes down that the token that is registered is the one in use from now on.
    pub(crate) fn rotated(&mut self) {
        self.take(self.clock.now(), Step::Rotated);
    }

    /// Takes down that nothing is repaired any more.
    pub(crate) fn contested(&mut self) {
        self.take(self.clock.now(), Step::Contested);
    }

    /// Takes down that a run has failed.
    pub(crate) fn failed(&mut self, cause: &'static str) {
        self.take(self.clock.now(), Step::Failed(cause));
    }

    /// Takes down who comes back, or that nobody does.
    pub(crate) fn rival(&mut self, rival: Option<Rival>) {
        self.take(self.clock.now(), Step::Rival(rival));
    }

    /// Whether this run has noted such a change.
    pub(crate) fn has_noted(&self, kind: ChangeKind) -> bool {
        self.summary.changes.contains(&kind) || self.unwritten.changes.iter().any(|change| change.kind == kind)
    }

    /// The last time that this run has noted within which the webhook may have pointed elsewhere.
    pub(crate) fn not_ours(&self) -> Option<Range<Timestamp>> {
        let unwritten = self.unwritten.changes.iter().rev().find_map(|change| change.not_ours.clone());
        unwritten.or_else(|| self.summary.not_ours.clone())
    }

    fn take(&mut self, at: Timestamp, step: Step) {
        let id = self.random.event_id(at);
        self.steps.push((id, at, step));
        self.unwritten = self.add_up();
    }

    /// Makes durable what was taken down since the last time. When another run has written in between, it is added to what
    /// that one has left.
    pub(crate) async fn write(&mut self) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            match self.ledger.write(&self.unwritten.state, &self.unwritten.changes).await {
                Ok(()) => {
                    self.close_page();
                    return Ok(());
                }
                Err(StoreError::Conflict) => {
                    self.written = self.ledger.read().await?;
                    self.unwritten = self.add_up();
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// What is written counts; what is not may be taken down once more by the next run, and must not count twice.
    fn close_page(&mut self) {
        self.summary.not_ours = self.not_ours();
        self.summary.not_ours_for += self.unwritten.not_ours_for;
        self.summary.changes.extend(self.unwritten.changes.iter().map(|change| change.kind));
        let version = self.unwritten.state.version + 1;
        self.written = Registration { version, ..self.unwritten.state.clone() };
        self.steps.clear();
        self.unwritten = self.add_up();
    }

    fn add_up(&self) -> Unwritten {
        let mut sum = Unwritten { state: self.written.clone(), ..Unwritten::default() };
        for (id, at, step) in &self.steps {
            let state = &mut sum.state;
            let plain = |kind| Some(Noted { kind, not_ours: None });
            let mut cause = None;
            let noted = match step {
                Step::Saw(sight, deed) => {
                    let step = history::saw(state, sight.clone(), *deed);
                    sum.not_ours_for += step.not_ours_for;
                    step.noted
                }
                Step::Rotated => plain(ChangeKind::Rotated),
                Step::Contested => plain(ChangeKind::Contested),
                Step::Failed(why) => {
                    history::failed(state, why, *at);
                    cause = Some((*why).to_owned());
                    plain(ChangeKind::Failed)
                }
                Step::Rival(rival) => {
                    state.rival.clone_from(rival);
                    None
                }
            };
            if let Some(Noted { kind, not_ours }) = noted {
                let (action, registered) = (self.action.to_owned(), state.registered.clone());
                sum.changes.push(Change { id: *id, at: *at, kind, action, registered, not_ours, cause });
            }
        }
        sum
    }

    pub(crate) fn into_summary(self) -> Summary {
        self.summary
    }
}
