//! Everything recorded about a line: its state, its entry in the provider's lists, its key and its own webhook.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{
    StreamExt, TryStreamExt,
    future::{join, try_join3},
    stream,
};
use shared::{Entity, Kind, Timestamp, Value};
use store::{
    Inventory, LineRecord, LineStatus, Lines, PAGE, Reader, SealedReader, State, StoreError, Tracked, Unreadable,
    readable,
};

/// Maximum number of keys that are looked for at a time.
const AT_ONCE: usize = 16;

/// A line. It has a state, or a list of the provider has it, or its webhook was checked.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line.
    pub entity: Entity,
    /// Its state; `None` when no event of it is recorded.
    pub state: Option<State>,
    /// Its entry in the provider's lists; `None` when no list had it.
    pub listed: Option<Tracked>,
    /// The last check of its own webhook; `None` when it was never checked.
    pub webhook: Option<LineRecord>,
    /// True when the webhooks of lines are checked and set today. Otherwise `webhook` is history.
    pub is_kept: bool,
    /// Its API key.
    pub key: LineKey,
}

/// Lines, and those that are left out.
#[derive(Debug)]
pub struct LineList {
    /// The lines, the worst problems first and then by number.
    pub lines: Vec<Line>,
    /// The lines that are left out because an item of them cannot be read, each with the fault.
    pub unreadable: Unreadable,
}

/// The knowledge about the API key of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKey {
    /// The sealed table was not read.
    Unknown,
    /// No event had one.
    Missing,
    /// It is sealed.
    Sealed {
        /// Time of receipt of the newest event with it.
        received_at: Timestamp,
    },
}

/// The way in which the first event of a line was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onboarding {
    /// It was received.
    Received(Timestamp),
    /// The line is older than this stack, so the event was rebuilt from the list at this time.
    Imported(Timestamp),
    /// It was missed, and rebuilt from the list at this time.
    Rebuilt(Timestamp),
    /// The line is listed, but has no event yet.
    Waiting,
}

impl Onboarding {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received(_) => "received",
            Self::Imported(_) => "imported",
            Self::Rebuilt(_) => "rebuilt",
            Self::Waiting => "waiting",
        }
    }

    /// Returns the time at which the event was received or rebuilt.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Received(at) | Self::Imported(at) | Self::Rebuilt(at) => Some(at),
            Self::Waiting => None,
        }
    }
}

impl Line {
    /// Returns its number.
    pub fn number(&self) -> &str {
        self.entity.as_str().split_once('#').map_or(self.entity.as_str(), |(_, number)| number)
    }

    /// Returns the client's name, as the provider's list had it.
    pub fn name(&self) -> Option<&str> {
        let fields = &self.state.as_ref()?.fields;
        ["other.display_name", "other.business_name"].iter().find_map(|name| match fields.get(*name) {
            Some(Value::Text(name)) if !name.is_empty() => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the partner's own reference.
    pub fn reference(&self) -> Option<&str> {
        self.state.as_ref()?.reference()
    }

    /// Returns the way in which its first event was recorded.
    pub fn onboarding(&self) -> Onboarding {
        let Some(state) = &self.state else { return Onboarding::Waiting };
        let rebuilt = self.listed.as_ref().and_then(|listed| Some((listed.rebuilt_at?, listed)));
        match rebuilt {
            // A pass also notes an event that came in the meantime. A rebuilt one has the time of the list.
            Some((at, listed)) if state.is_reconciled || listed.listed_at == Some(state.first_seen) => {
                if listed.not_listed_at.is_none() { Onboarding::Imported(at) } else { Onboarding::Rebuilt(at) }
            }
            _ => Onboarding::Received(state.first_seen),
        }
    }

    /// Returns the time since which it is gone at the provider.
    pub fn gone_at(&self) -> Option<Timestamp> {
        self.listed.as_ref()?.gone_since(self.state.as_ref().map(|state| state.last_seen))
    }

    /// Returns whether its own webhook was last read back as ours.
    pub fn is_live(&self) -> bool {
        self.status() == Some(LineStatus::Live)
    }

    /// Returns the status of its webhook; `None` when it was never checked.
    pub fn status(&self) -> Option<LineStatus> {
        match &self.webhook {
            _ if !self.is_kept => Some(LineStatus::Off),
            None => None,
            Some(webhook) => Some(webhook.status).filter(|status| *status != LineStatus::Off),
        }
    }

    /// Returns whether it should be live and is not, although the provider still has it.
    pub fn is_problem(&self) -> bool {
        !matches!(self.status(), Some(LineStatus::Live | LineStatus::Off)) && self.gone_at().is_none()
    }

    /// Returns the status of its webhook in plain words.
    pub fn status_in_words(&self) -> String {
        self.status().map_or_else(|| "not checked".to_owned(), LineStatus::in_words)
    }

    /// Returns its place in a list with the worst problems first; 0 is the worst.
    pub fn rank(&self) -> u8 {
        if self.gone_at().is_some() {
            return 9;
        }
        match self.status() {
            Some(LineStatus::Foreign) => 0,
            Some(LineStatus::Empty) => 1,
            Some(LineStatus::WrongKey) => 2,
            Some(LineStatus::UnknownNumber) => 3,
            Some(LineStatus::NoKey) => 4,
            Some(LineStatus::Unreachable) => 5,
            None => 6,
            Some(LineStatus::Off) => 7,
            Some(LineStatus::Live) => 8,
        }
    }
}

/// Reads lines.
#[derive(Clone, Debug)]
pub struct LineReader {
    /// Reads their states.
    pub reader: Reader,
    /// Reads what the provider's lists have shown.
    pub inventory: Inventory,
    /// Reads the checks of their webhooks.
    pub lines: Lines,
    /// Finds their keys.
    pub sealed: SealedReader,
    /// True when the target sets the webhooks of lines.
    pub keeps_lines: bool,
}

impl LineReader {
    /// Returns all lines. Their keys are not looked for.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn all(&self) -> Result<LineList, StoreError> {
        let states = self.reader.states(&Kind::Whatsapp, None, PAGE).collect::<Vec<_>>();
        let (states, listed) = join(states, self.inventory.read()).await;
        self.with_webhooks(states, listed?.1).await
    }

    /// Returns the lines with one of the partner's references, as [`LineReader::all`] does.
    ///
    /// # Errors
    /// Fails as [`LineReader::all`] does.
    pub async fn with_reference(&self, reference: &str) -> Result<LineList, StoreError> {
        self.of_states(self.reader.states_by_reference(reference, PAGE).collect().await).await
    }

    /// Returns the lines among states, as [`LineReader::all`] does.
    ///
    /// # Errors
    /// Fails as [`LineReader::all`] does.
    pub async fn of_states(&self, states: Vec<Result<State, StoreError>>) -> Result<LineList, StoreError> {
        let lines: Vec<Entity> = states.iter().flatten().map(|state| state.entity.clone()).filter(is_line).collect();
        self.with_webhooks(states, self.inventory.entities(&lines).await?).await
    }

    /// Returns one line without looking for its key; `None` when nothing is recorded of it.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or an item cannot be read.
    pub async fn one(&self, entity: &Entity) -> Result<Option<Line>, StoreError> {
        let (state, listed, webhook) =
            try_join3(self.reader.state(entity), self.inventory.entity(entity), self.lines.get(entity)).await?;
        let is_known = state.is_some() || webhook.is_some() || listed.as_ref().is_some_and(|of| of.listed_at.is_some());
        let is_kept = self.keeps_lines;
        Ok(is_known.then(|| Line { entity: entity.clone(), state, listed, webhook, is_kept, key: LineKey::Unknown }))
    }

    /// Looks for the keys of lines.
    ///
    /// # Errors
    /// Fails as [`LineReader::one`] does.
    pub async fn find_keys(&self, lines: &mut [Line]) -> Result<(), StoreError> {
        let entities: Vec<Entity> = lines.iter().map(|line| line.entity.clone()).collect();
        let keys = stream::iter(entities).map(async |entity| self.sealed.key_received_at(&entity).await);
        let keys: Vec<Option<Timestamp>> = keys.buffered(AT_ONCE).try_collect().await?;
        for (line, key) in lines.iter_mut().zip(keys) {
            line.key = key.map_or(LineKey::Missing, |received_at| LineKey::Sealed { received_at });
        }
        Ok(())
    }

    async fn with_webhooks(
        &self,
        states: Vec<Result<State, StoreError>>,
        listed: BTreeMap<Entity, Result<Tracked, StoreError>>,
    ) -> Result<LineList, StoreError> {
        let mut unreadable = Unreadable::new();
        let states = readable(states, &mut unreadable)?.into_iter().filter(|state| is_line(&state.entity));
        let mut states: BTreeMap<Entity, State> = states.map(|state| (state.entity.clone(), state)).collect();
        let listed = readable(listed.into_values(), &mut unreadable)?.into_iter();
        let mut listed: BTreeMap<Entity, Tracked> = listed.map(|tracked| (tracked.entity.clone(), tracked)).collect();
        let listed_lines = listed.iter().filter(|(entity, tracked)| is_line(entity) && tracked.listed_at.is_some());
        let entities: BTreeSet<Entity> = states.keys().chain(listed_lines.map(|(entity, _)| entity)).cloned().collect();
        let entities: Vec<Entity> = entities.into_iter().collect();
        let webhooks = self.lines.get_many(&entities).await?;
        let webhooks = readable(webhooks.into_values(), &mut unreadable)?.into_iter();
        let mut webhooks: BTreeMap<Entity, LineRecord> =
            webhooks.map(|webhook| (webhook.entity.clone(), webhook)).collect();
        unreadable.retain(|entity, _| is_line(entity));
        let mut lines: Vec<Line> = entities
            .into_iter()
            .filter(|entity| !unreadable.contains_key(entity))
            .map(|entity| Line {
                state: states.remove(&entity),
                listed: listed.remove(&entity),
                webhook: webhooks.remove(&entity),
                is_kept: self.keeps_lines,
                key: LineKey::Unknown,
                entity,
            })
            .collect();
        lines.sort_by_key(Line::rank);
        Ok(LineList { lines, unreadable })
    }
}

/// Returns whether an entity is one line, and not the shared entity of events that name none.
pub fn is_line(entity: &Entity) -> bool {
    entity.as_str().strip_prefix("whatsapp#").is_some() && entity.is_whole()
}
