//! A pass: the lists, then everything that the comparison needs, then what it decides.
//!
//! The lists are read before the states and the queues, so an event that arrived before its entity was listed is seen. The
//! contents of the lists are written before an event is rebuilt, and the rebuilt event's id is derived from them: a pass that
//! was killed is finished by the next one, with the same ids.
//!
//! Nothing is decided about an entity of which an item cannot be read: it is neither due nor gone, and its key is not sealed. The pass
//! continues with the others.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, future::ready, stream};
use shared::{Entity, Event, EventId, Kind, Timestamp, gunzip};
use store::{ListTime, Listing, Order, PAGE, StoreError, Tracked, Unreadable, readable};

use crate::{
    action::PassMode,
    error::SyncError,
    inventory::{
        compare::{self, Comparison, Due, Facts, Known, Reason},
        lists::{KindList, Lists},
        rebuild::{Rebuilt, key_fingerprint},
        report::{Changed, Gap, Gone, InventoryOutcome, InventoryReport, Missed, log_missed},
        services::InventoryServices,
        stuck,
    },
    invocation::Clock,
    left_out::LeftOut,
    registration::Run,
};

/// Maximum number of events that are rebuilt, and of keys that are read, at a time.
const AT_ONCE: usize = 8;
/// Number of rebuilt events after which they are noted.
const CHUNK: usize = 200;
/// Time before the end of the run at which no more events are rebuilt.
const MARGIN: Duration = Duration::from_secs(10);
/// Maximum age of the quarantined deliveries that are searched for an event.
const SEARCHED: Duration = Duration::from_hours(30 * 24);
/// Maximum number of quarantined deliveries that are searched. With more of them nothing counts as missed.
const MAX_SEARCHED: usize = 500;
/// Maximum number of ledger entries that are searched for a gap.
const MAX_CHANGES: usize = 1_000;

/// One pass.
pub(crate) struct InventoryPass<'a> {
    pub(crate) services: &'a InventoryServices,
    pub(crate) mode: PassMode,
    pub(crate) clock: Clock,
    /// Time that the run may take.
    pub(crate) time: Duration,
    /// Number of missed events that are rebuilt and noted. They count even if the pass fails afterwards.
    pub(crate) missed: Cell<usize>,
}

/// The part of a pass that concerns one kind.
struct KindPass<'a> {
    list: &'a KindList,
    /// True when every entity of the list can be used, so that it proves the absence of others.
    is_whole: bool,
    comparison: Comparison,
    tracked: BTreeMap<Entity, Tracked>,
    /// Entities with a listed key other than the sealed one.
    keys: Vec<Key>,
    states: usize,
}

/// A listed key that has to be sealed, or is sealed already.
struct Key {
    entity: Entity,
    fingerprint: String,
    sealed: Sealed,
}

#[derive(Clone, Copy, PartialEq)]
enum Sealed {
    /// The same key is sealed.
    Same,
    /// Another one is sealed.
    Other,
    /// None is sealed.
    Missing,
}

impl InventoryPass<'_> {
    pub(crate) async fn run(&self, run: &mut Run<'_>) -> Result<InventoryReport, SyncError> {
        let mut session = run.open_session().await?;
        let lists = Lists::get(&mut session, self.clock, &self.services.fingerprint_key).await?;
        let (deliveries_wait, read) = tokio::join!(self.services.waiting_deliveries(), self.services.inventory.read());
        let (times, tracked) = read?;
        let mut unreadable = Unreadable::new();
        let tracked = readable(tracked.into_values(), &mut unreadable)?;
        let mut kinds = Vec::new();
        for list in &lists.kinds {
            let of_kind =
                |entity: &Entity| entity.as_str().split_once('#').is_some_and(|(kind, _)| kind == list.kind.as_str());
            let tracked = tracked.iter().filter(|tracked| of_kind(&tracked.entity));
            let tracked = tracked.map(|tracked| (tracked.entity.clone(), tracked.clone())).collect();
            let earlier = times.get(list.kind.as_str()).copied();
            kinds.push(self.compare(list, earlier, tracked, deliveries_wait.is_some(), &mut unreadable).await?);
        }
        let mut held_back = deliveries_wait;
        held_back = self.hold_back_quarantined(&mut kinds, &mut unreadable).await?.or(held_back);
        let mut report = InventoryReport {
            action: "inventory",
            outcome: InventoryOutcome::UpToDate,
            known: kinds.iter().map(|kind| kind.states).sum(),
            imported: 0,
            missed: Vec::new(),
            waiting: Vec::new(),
            held_back: None,
            gone: Vec::new(),
            stuck: stuck::find(&lists.links, &lists.numbers, self.services.stuck_after, self.clock.now()),
            changed: Vec::new(),
            unreadable: Vec::new(),
            left: 0,
            left_out: LeftOut::new(),
            newly_gone: 0,
            lists: BTreeMap::new(),
        };
        let gaps = self.gaps(run, &kinds, &mut unreadable).await?;
        for kind in &mut kinds {
            self.apply(kind, &gaps, &mut report).await?;
        }
        let is_over = |kind: &KindPass<'_>, entity: &Entity| {
            let listed_at = kind.tracked.get(entity).and_then(|tracked| tracked.listed_at);
            listed_at.is_some_and(|at| kind.list.at.since(at) >= self.services.missed_after)
        };
        let is_held = kinds.iter().any(|kind| kind.comparison.waiting.iter().any(|entity| is_over(kind, entity)));
        report.held_back = held_back.filter(|_| is_held);
        for (entity, error) in unreadable {
            tracing::error!(%entity, %error, "an entity is left, because an item of it cannot be read");
            report.unreadable.push(entity);
        }
        report.outcome = outcome(&lists, &report, self.mode);
        report.lists = lists.report;
        Ok(report)
    }

    async fn compare<'a>(
        &self,
        list: &'a KindList,
        earlier: Option<ListTime>,
        mut tracked: BTreeMap<Entity, Tracked>,
        deliveries_wait: bool,
        unreadable: &mut Unreadable,
    ) -> Result<KindPass<'a>, SyncError> {
        let mut states = self.states(&list.kind, unreadable).await?;
        states.retain(|entity, _| !unreadable.contains_key(entity));
        tracked.retain(|entity, _| !unreadable.contains_key(entity));
        let listed = list.entities.by_name.iter().filter(|(entity, _)| !unreadable.contains_key(*entity));
        let listed: BTreeMap<_, _> = listed.map(|(entity, rebuilt)| (entity.clone(), rebuilt.listed.clone())).collect();
        let is_whole = list.entities.unusable == 0 && listed.len() == list.entities.by_name.len();
        let mut comparison = compare::compare(&Facts {
            at: list.at,
            listed: &listed,
            has_unusable: list.entities.unusable > 0,
            earlier: earlier.map(|earlier| earlier.last),
            earlier_whole: earlier.and_then(|earlier| earlier.whole),
            states: &states,
            tracked: &tracked,
            has_events: list.has_events,
            grace: self.services.missed_after,
            deliveries_wait,
        });
        if !list.can_rebuild {
            let due = std::mem::take(&mut comparison.due);
            comparison.waiting.extend(due.into_iter().map(|due| due.tracked.entity));
            // The number may have a new client. Sealed without the new reference, the key would appear to be the former client's.
            comparison.keys.clear();
        }
        tracked.extend(comparison.tracked.iter().map(|new| (new.entity.clone(), new.clone())));
        let keys = self.keys(list, &comparison.keys, unreadable).await?;
        Ok(KindPass { list, is_whole, comparison, tracked, keys, states: states.len() })
    }

    async fn states(&self, kind: &Kind, unreadable: &mut Unreadable) -> Result<BTreeMap<Entity, Known>, StoreError> {
        let states = self.services.reader.states(kind, None, PAGE);
        let states = states.try_filter(|state| ready(state.entity.is_whole()));
        let known = states.map_ok(|state| {
            let known = Known { last_seen: state.last_seen, is_reconciled: state.is_reconciled };
            (state.entity, known)
        });
        Ok(readable(known.collect::<Vec<_>>().await, unreadable)?.into_iter().collect())
    }

    /// Compares listed keys with the sealed ones. A key that came with an event after the list was asked for is newer.
    async fn keys(
        &self,
        list: &KindList,
        entities: &[Entity],
        unreadable: &mut Unreadable,
    ) -> Result<Vec<Key>, StoreError> {
        let read = stream::iter(entities).map(async |entity| {
            let listed = list.entities.by_name.get(entity).and_then(|rebuilt| rebuilt.listed.key.clone());
            let Some(fingerprint) = listed else { return Ok(None) };
            let sealed = match self.services.sealed.api_key(entity).await? {
                None => Sealed::Missing,
                Some(key) if key_fingerprint(&key.api_key, &self.services.fingerprint_key) == fingerprint => {
                    Sealed::Same
                }
                Some(key) if key.received_at >= list.at => return Ok(None),
                Some(_) => Sealed::Other,
            };
            Ok(Some(Key { entity: entity.clone(), fingerprint, sealed }))
        });
        let keys: Vec<Result<Option<Key>, StoreError>> = read.buffered(AT_ONCE).collect().await;
        Ok(readable(keys, unreadable)?.into_iter().flatten().collect())
    }

    /// Makes the entities wait whose event may be in quarantine. Returns the reason if there are any.
    async fn hold_back_quarantined(
        &self,
        kinds: &mut [KindPass<'_>],
        unreadable: &mut Unreadable,
    ) -> Result<Option<String>, StoreError> {
        let missed = kinds.iter().flat_map(|kind| missed(&kind.comparison));
        let Some(since) = missed.clone().filter_map(|due| due.tracked.not_listed_at).min() else { return Ok(None) };
        let names: BTreeSet<Entity> = missed.map(|due| due.tracked.entity.clone()).collect();
        let found = readable([self.in_quarantine(&names, since).await], unreadable)?.pop();
        // A delivery that cannot be read may be about any of them.
        let found = found.unwrap_or(names);
        for kind in kinds {
            let held = |due: &Due| due.reason == Reason::Missed && found.contains(&due.tracked.entity);
            let (held, due) = std::mem::take(&mut kind.comparison.due).into_iter().partition(held);
            kind.comparison.due = due;
            kind.comparison.waiting.extend(held.into_iter().map(|due: Due| due.tracked.entity));
        }
        Ok((!found.is_empty()).then(|| "their events may be in quarantine".to_owned()))
    }

    /// Returns the entities whose event may be in quarantine since a time.
    async fn in_quarantine(&self, names: &BTreeSet<Entity>, since: Timestamp) -> Result<BTreeSet<Entity>, StoreError> {
        let now = self.clock.now();
        let times = since.max(now.minus(SEARCHED))..now;
        let listing = Listing { times, order: Order::NewestFirst, after: None, page_size: PAGE };
        let quarantined = self.services.quarantine.list(&listing);
        let (quarantined, more) = store::first(quarantined, MAX_SEARCHED).await?;
        if more {
            return Ok(names.clone());
        }
        let mut found = BTreeSet::new();
        for delivery in quarantined {
            if let Some(bytes) = self.services.sealed.quarantined(&delivery.id).await? {
                found.extend(names.iter().filter(|entity| may_be_about(&bytes, entity)).cloned());
            }
        }
        Ok(found)
    }

    /// Returns the periods in which the webhook was not ours, as far as a missed event may be in one.
    async fn gaps(
        &self,
        run: &Run<'_>,
        kinds: &[KindPass<'_>],
        unreadable: &mut Unreadable,
    ) -> Result<Vec<Range<Timestamp>>, StoreError> {
        let since =
            kinds.iter().flat_map(|kind| missed(&kind.comparison)).filter_map(|due| due.tracked.not_listed_at).min();
        let Some(since) = since else { return Ok(Vec::new()) };
        let now = self.clock.now();
        let listing = Listing { times: since..now, order: Order::NewestFirst, after: None, page_size: PAGE };
        let changes: Vec<_> = run.services.ledger.changes(&listing).take(MAX_CHANGES).collect().await;
        let changes = readable(changes, unreadable)?;
        let mut gaps: Vec<Range<Timestamp>> = changes.into_iter().filter_map(|change| change.not_ours).collect();
        gaps.extend(run.ledger.state().elsewhere_since.map(|since| since..now));
        Ok(gaps)
    }

    /// Carries out the comparison's decisions about a kind, or reports them in a plan.
    async fn apply(
        &self,
        kind: &mut KindPass<'_>,
        gaps: &[Range<Timestamp>],
        report: &mut InventoryReport,
    ) -> Result<(), SyncError> {
        let inventory = &self.services.inventory;
        if self.mode == PassMode::Apply {
            inventory.write(&kind.comparison.tracked).await?;
            inventory.listed(&kind.list.kind, kind.list.at, kind.is_whole).await?;
        }
        report.waiting.append(&mut kind.comparison.waiting.clone());
        report.newly_gone += kind.comparison.gone.len();
        let is_gone = |tracked: &&Tracked| tracked.gone_at.is_some();
        report.gone.extend(kind.tracked.values().filter(is_gone).map(|tracked| Gone {
            entity: tracked.entity.clone(),
            since: tracked.gone_at.map(|at| at.to_string()).unwrap_or_default(),
        }));
        report.changed.extend(
            kind.comparison
                .changes
                .iter()
                .map(|(entity, change)| Changed { entity: entity.clone(), change: change.name() }),
        );
        self.seal_keys(kind, report).await?;
        self.rebuild(kind, gaps, report).await
    }

    /// Seals the listed keys that are not sealed yet.
    async fn seal_keys(&self, kind: &mut KindPass<'_>, report: &mut InventoryReport) -> Result<(), SyncError> {
        let is_plan = self.mode == PassMode::Plan;
        for keys in kind.keys.chunks(CHUNK) {
            let mut noted = Vec::new();
            let (list, tracked) = (kind.list, &kind.tracked);
            let sealed = stream::iter(keys).map(async |key| {
                let (Some(rebuilt), Some(tracked)) = (list.entities.by_name.get(&key.entity), tracked.get(&key.entity))
                else {
                    return Ok(None);
                };
                if key.sealed != Sealed::Same && !is_plan {
                    self.services.recorder.record(&self.delivery(rebuilt, tracked, list.at)).await?;
                }
                Ok::<_, StoreError>(Some(Tracked { key: Some(key.fingerprint.clone()), ..tracked.clone() }))
            });
            let sealed: Vec<Option<Tracked>> = sealed.buffered(AT_ONCE).try_collect().await?;
            noted.extend(sealed.into_iter().flatten());
            if !is_plan {
                self.services.inventory.write(&noted).await?;
            }
            let changed = keys.iter().filter(|key| key.sealed == Sealed::Other);
            report.changed.extend(changed.map(|key| Changed { entity: key.entity.clone(), change: "key" }));
            kind.tracked.extend(noted.into_iter().map(|tracked| (tracked.entity.clone(), tracked)));
        }
        Ok(())
    }

    /// Rebuilds the events that are due, as far as time allows.
    async fn rebuild(
        &self,
        kind: &KindPass<'_>,
        gaps: &[Range<Timestamp>],
        report: &mut InventoryReport,
    ) -> Result<(), SyncError> {
        let mut due = kind.comparison.due.as_slice();
        while !due.is_empty() {
            if self.mode == PassMode::Apply && self.clock.elapsed() + MARGIN >= self.time {
                report.left += due.len();
                return Ok(());
            }
            let chunk;
            (chunk, due) = due.split_at(due.len().min(CHUNK));
            let rebuilt = stream::iter(chunk).map(async |due| self.rebuild_one(kind, due).await);
            let rebuilt: Vec<Option<(Due, Option<EventId>)>> = rebuilt.buffered(AT_ONCE).try_collect().await?;
            let now = self.clock.now();
            let (mut noted, logged) = (Vec::new(), report.missed.len());
            for (Due { tracked, reason }, id) in rebuilt.into_iter().flatten() {
                let Some(id) = id else {
                    // Recorded in the meantime, perhaps by another pass that could not note it.
                    noted.push(Tracked { rebuilt_at: Some(now), ..tracked });
                    continue;
                };
                let listed = kind.list.entities.by_name.get(&tracked.entity);
                match reason {
                    Reason::Import => report.imported += 1,
                    Reason::Missed => report.missed.push(missed_event(&tracked, id, listed, gaps)),
                }
                report.known += usize::from(self.mode == PassMode::Apply);
                let key = listed.and_then(|rebuilt| rebuilt.listed.key.clone());
                noted.push(Tracked { rebuilt_at: Some(now), key, ..tracked });
            }
            if self.mode == PassMode::Apply {
                report.missed[logged..].iter().for_each(log_missed);
                self.services.inventory.write(&noted).await?;
                self.missed.set(self.missed.get() + report.missed.len() - logged);
            }
        }
        Ok(())
    }

    /// Rebuilds an event, or in a plan finds out whether it would. The id is `None` when an event was recorded in the meantime, and the
    /// result when there is nothing to note.
    async fn rebuild_one(&self, kind: &KindPass<'_>, due: &Due) -> Result<Option<(Due, Option<EventId>)>, StoreError> {
        let entity = &due.tracked.entity;
        let Some(rebuilt) = kind.list.entities.by_name.get(entity) else { return Ok(None) };
        let delivery = self.delivery(rebuilt, &due.tracked, due.tracked.listed_at.unwrap_or(kind.list.at));
        let id = match self.mode {
            PassMode::Plan if due.reason == Reason::Import => Some(delivery.id),
            PassMode::Plan => match self.services.reader.state(entity).await? {
                Some(state) if !state.is_reconciled => return Ok(None),
                _ => Some(delivery.id),
            },
            PassMode::Apply => match self.services.recorder.record_first(&delivery).await {
                Ok(()) => Some(delivery.id),
                Err(StoreError::Conflict) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Some((due.clone(), id)))
    }

    fn delivery(&self, rebuilt: &Rebuilt, tracked: &Tracked, at: Timestamp) -> store::Delivery {
        rebuilt.delivery(tracked, at, &self.services.fingerprint_key)
    }
}

/// Returns the entities whose event is due because it was missed.
fn missed(comparison: &Comparison) -> impl Iterator<Item = &Due> + Clone {
    comparison.due.iter().filter(|due| due.reason == Reason::Missed)
}

fn missed_event(tracked: &Tracked, id: EventId, listed: Option<&Rebuilt>, gaps: &[Range<Timestamp>]) -> Missed {
    let (from, until) = (tracked.not_listed_at, tracked.listed_at);
    let explains = |gap: &&Range<Timestamp>| {
        from.is_none_or(|from| gap.end >= from) && until.is_none_or(|until| gap.start <= until)
    };
    Missed {
        entity: tracked.entity.clone(),
        reference: listed.and_then(|rebuilt| rebuilt.reference.clone()),
        event_id: id.to_string(),
        listed_at: until.map(|at| at.to_string()).unwrap_or_default(),
        not_listed_at: from.map(|at| at.to_string()),
        gap: gaps.iter().find(explains).map(Gap::from),
    }
}

/// Returns whether a quarantined body is about an entity, or may be because it cannot be decoded.
fn may_be_about(body: &[u8], entity: &Entity) -> bool {
    let decoded = gunzip(body).and_then(|body| Event::decode(&body));
    match decoded {
        Ok(event) => event.entity == *entity,
        Err(_) => {
            let name = entity.as_str().rsplit('#').next().unwrap_or_default();
            String::from_utf8_lossy(body).contains(name)
        }
    }
}

fn outcome(lists: &Lists, report: &InventoryReport, mode: PassMode) -> InventoryOutcome {
    let changes = [report.imported, report.missed.len(), report.newly_gone, report.changed.len()];
    if !lists.are_complete() || report.left > 0 || !report.unreadable.is_empty() {
        InventoryOutcome::Incomplete
    } else if changes == [0; 4] {
        InventoryOutcome::UpToDate
    } else if mode == PassMode::Plan {
        InventoryOutcome::WouldUpdate
    } else {
        InventoryOutcome::Updated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_secs(second))
    }

    #[test]
    fn a_missed_event_is_explained_by_a_gap_that_meets_the_time_in_which_it_should_have_come() {
        let missed = |not_listed_at: Option<u64>, from, until| {
            let not_listed_at = not_listed_at.map(at);
            let tracked =
                Tracked { not_listed_at, listed_at: Some(at(20)), ..Tracked::new(Entity::named("builder#1")) };
            missed_event(&tracked, EventId::new(at(20), [0; 8]), None, &[at(from)..at(until)]).gap.is_some()
        };
        for (from, until, expected) in
            [(1, 9, false), (1, 10, true), (12, 15, true), (1, 30, true), (20, 30, true), (21, 30, false)]
        {
            assert_eq!(missed(Some(10), from, until), expected, "{from} {until}");
        }
        assert!(missed(None, 1, 9) && !missed(None, 21, 30));
    }

    #[test]
    fn a_quarantined_body_is_about_the_entity_that_it_names_or_may_name() {
        let bot = Entity::named("builder#523");
        for (body, expected) in [
            (r#"{"event":"builder","builderID":523}"#, true),
            (r#"{"event":"builder","builderID":52}"#, false),
            (r#"{"event":"builder","builderID":7,"note":"523"}"#, false),
            (r#"{"event":"builder","builderID":523"#, true),
            (r#"{"event":"builder","builderID":52"#, false),
        ] {
            assert_eq!(may_be_about(body.as_bytes(), &bot), expected, "{body}");
        }
    }
}
