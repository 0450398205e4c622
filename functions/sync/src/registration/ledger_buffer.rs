use std::{ops::Range, time::Duration};

use shared::{EventId, Timestamp};
use store::{
    Change, ChangeKind, CompetingUrl, DeletedStack, RefusedCredentials, Registration, RegistrationLedger, StoreError,
};

use crate::{
    invocation::{Clock, Randomness},
    registration::registration_transitions::{self, Entry, SetReason, Sighting},
};

/// Maximum number of attempts to write while other runs write at the same time.
const ATTEMPTS: u32 = 5;

/// The state and the ledger of the registration during a run. Notes become durable with [`LedgerBuffer::write`].
pub(crate) struct LedgerBuffer {
    ledger: RegistrationLedger,
    action: &'static str,
    clock: Clock,
    random: Randomness,
    /// Identifies this run's lease.
    run: EventId,
    /// The state in the table, as far as this run knows.
    written: Registration,
    /// The notes since the last write, each with the id of the ledger entry that it may make.
    notes: Vec<(EventId, Timestamp, Note)>,
    /// The sum of `written` and `notes`.
    unwritten: Unwritten,
    summary: Summary,
}

/// A fact that changes the state, makes a ledger entry, or both.
#[derive(Clone)]
enum Note {
    Saw(Sighting, SetReason),
    Rotated,
    Contested(Option<String>),
    Failed(&'static str),
    Competing(Option<CompetingUrl>),
    CredentialsRefused(String),
    LeaseTaken(Timestamp),
    LeaseEnded,
    StackDeleted(String),
    NewStack(DeletedStack),
}

/// The next state, and the entries to add to the ledger.
#[derive(Default)]
struct Unwritten {
    state: Registration,
    changes: Vec<Change>,
    not_ours_for: Duration,
}

/// The part of a run that metrics count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// True for a check of the schedule, or of a person in its place.
    pub(crate) is_check: bool,
    /// True for a pass of the inventory that records what it finds.
    pub(crate) is_inventory: bool,
    /// Number of missed events that such a pass has rebuilt and noted.
    pub(crate) events_missed: usize,
    /// True for a check of one line or all that records what it finds.
    pub(crate) is_lines: bool,
    /// True for a pass over all lines that records what it finds.
    pub(crate) is_all_lines: bool,
    /// The kinds of the entries added to the ledger.
    pub(crate) changes: Vec<ChangeKind>,
    /// Time during which the webhook was not ours, as far as no earlier run has counted it.
    pub(crate) not_ours_for: Duration,
    /// The last period in which the webhook may have pointed elsewhere.
    not_ours: Option<Range<Timestamp>>,
}

impl LedgerBuffer {
    pub(crate) fn new(
        ledger: &RegistrationLedger,
        written: Registration,
        action: &'static str,
        clock: Clock,
        mut random: Randomness,
    ) -> Self {
        let run = random.event_id(clock.now());
        let unwritten = Unwritten { state: written.clone(), ..Unwritten::default() };
        let (notes, summary) = (Vec::new(), Summary::default());
        Self { ledger: ledger.clone(), action, clock, random, run, written, notes, unwritten, summary }
    }

    /// Returns the state with all notes in it.
    pub(crate) fn state(&self) -> &Registration {
        &self.unwritten.state
    }

    /// Notes what the provider shows as registered in a partner account.
    pub(crate) fn saw(&mut self, ours: bool, registered: Option<String>, account: Option<String>, reason: SetReason) {
        self.note(Note::Saw(Sighting { ours, registered, account, at: self.clock.now() }, reason));
    }

    /// Notes that the registered token is the current one from now on.
    pub(crate) fn rotated(&mut self) {
        self.note(Note::Rotated);
    }

    /// Notes that sync gives up because of a competing URL.
    pub(crate) fn contested(&mut self, url: Option<String>) {
        self.note(Note::Contested(url));
    }

    /// Notes that the run failed.
    pub(crate) fn failed(&mut self, cause: &'static str) {
        self.note(Note::Failed(cause));
    }

    /// Notes which URL competes with ours, or that none does.
    pub(crate) fn competing(&mut self, competing: Option<CompetingUrl>) {
        self.note(Note::Competing(competing));
    }

    /// Notes that the provider refused a version of the partner secret.
    pub(crate) fn credentials_refused(&mut self, secret_version: String) {
        self.note(Note::CredentialsRefused(secret_version));
    }

    /// Notes that this run may be setting our URL until a time. Has no effect once the stack is being deleted.
    pub(crate) fn take_lease(&mut self, until: Timestamp) {
        self.note(Note::LeaseTaken(until));
    }

    /// Notes that this run sets nothing any more.
    pub(crate) fn end_lease(&mut self) {
        self.note(Note::LeaseEnded);
    }

    /// Notes that CloudFormation has asked to delete a stack's registration.
    pub(crate) fn stack_deleted(&mut self, stack_id: String) {
        self.note(Note::StackDeleted(stack_id));
    }

    /// Notes that a new stack uses the tables of a deleted one.
    pub(crate) fn new_stack(&mut self, deleted: DeletedStack) {
        self.note(Note::NewStack(deleted));
    }

    /// Returns the last period noted in which the webhook may have pointed elsewhere.
    pub(crate) fn not_ours(&self) -> Option<Range<Timestamp>> {
        let unwritten = self.unwritten.changes.iter().rev().find_map(|change| change.not_ours.clone());
        unwritten.or_else(|| self.summary.not_ours.clone())
    }

    /// Returns whether there are notes to write.
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.notes.is_empty()
    }

    fn note(&mut self, note: Note) {
        let at = self.clock.now();
        let id = self.random.event_id(at);
        self.notes.push((id, at, note));
        self.unwritten = self.add_up();
    }

    /// Writes the notes. When another run has written meanwhile, they are added to the state that it left.
    pub(crate) async fn write(&mut self) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            match self.ledger.write(&self.unwritten.state, &self.unwritten.changes).await {
                Ok(()) => {
                    self.count_written();
                    return Ok(());
                }
                Err(StoreError::Conflict) => self.read_again().await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Reads the state again, and adds the notes to it.
    pub(crate) async fn read_again(&mut self) -> Result<(), StoreError> {
        self.written = self.ledger.read().await?;
        self.unwritten = self.add_up();
        Ok(())
    }

    /// Counts only notes that were written: the next run may repeat the others.
    fn count_written(&mut self) {
        self.summary.not_ours = self.not_ours();
        self.summary.not_ours_for += self.unwritten.not_ours_for;
        self.summary.changes.extend(self.unwritten.changes.iter().map(|change| change.kind));
        let version = self.unwritten.state.version + 1;
        self.written = Registration { version, ..self.unwritten.state.clone() };
        self.notes.clear();
        self.unwritten = self.add_up();
    }

    fn add_up(&self) -> Unwritten {
        let mut sum = Unwritten { state: self.written.clone(), ..Unwritten::default() };
        for (id, at, note) in &self.notes {
            let state = &mut sum.state;
            let plain = |kind| Some(Entry { kind, not_ours: None });
            let mut cause = None;
            let entry = match note {
                Note::Saw(sighting, reason) => {
                    let transition = registration_transitions::saw(state, sighting.clone(), *reason);
                    sum.not_ours_for += transition.not_ours_for;
                    transition.entry
                }
                Note::Rotated => plain(ChangeKind::Rotated),
                Note::Contested(url) => registration_transitions::contested(state, url.as_deref(), *at),
                Note::Failed(why) => {
                    // An action of a person or the stack may fail for a reason of its own.
                    if self.action == "sync" {
                        registration_transitions::failed(state, why, *at);
                    }
                    cause = Some((*why).to_owned());
                    plain(ChangeKind::Failed)
                }
                Note::Competing(competing) => {
                    state.competing.clone_from(competing);
                    state.contested_since = None;
                    None
                }
                Note::CredentialsRefused(secret_version) => {
                    let refused = RefusedCredentials { secret_version: secret_version.clone(), at: *at };
                    state.refused_credentials = Some(refused);
                    None
                }
                Note::LeaseTaken(until) => {
                    state.set_leases.retain(|_, until| *at < *until);
                    if state.deleted_stack.is_none() {
                        state.set_leases.insert(self.run, *until);
                    }
                    None
                }
                Note::LeaseEnded => {
                    state.set_leases.remove(&self.run);
                    None
                }
                Note::StackDeleted(stack_id) => {
                    state.deleted_stack = Some(DeletedStack { stack_id: stack_id.clone(), at: *at });
                    None
                }
                Note::NewStack(deleted) => {
                    registration_transitions::new_stack(state, deleted);
                    None
                }
            };
            if let Some(Entry { kind, not_ours }) = entry {
                let (action, registered) = (self.action.to_owned(), state.registered.clone());
                sum.changes.push(Change { id: *id, at: *at, kind, action, registered, not_ours, cause });
            }
        }
        sum
    }

    /// Adds what this run has written to the summary.
    pub(crate) fn add_to(self, summary: &mut Summary) {
        *summary = Summary { is_check: summary.is_check, ..self.summary };
    }
}
