//! Compares a complete list of one kind with the states and with what earlier lists have shown. It decides, and does no I/O.

use std::{collections::BTreeMap, time::Duration};

use shared::{Entity, Timestamp};
use store::Tracked;

/// An entity as its list has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Time of its creation.
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) is_suspended: bool,
    /// Fingerprint of its key.
    pub(crate) key: Option<String>,
}

/// A state, as far as the comparison needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Time of receipt of the last event.
    pub(crate) last_seen: Timestamp,
    /// True when no event of the entity was delivered.
    pub(crate) is_reconciled: bool,
}

/// The facts that the comparison rests on.
pub(crate) struct Facts<'a> {
    /// Time right before the list was asked for.
    pub(crate) at: Timestamp,
    pub(crate) listed: &'a BTreeMap<Entity, Listed>,
    /// True when the list has elements that cannot be used: any entity may be one of them.
    pub(crate) has_unusable: bool,
    /// Time of the last complete list before this one; `None` for the first.
    pub(crate) earlier: Option<Timestamp>,
    /// Time of the last one without unusable elements: only such a list proves that an entity was not listed.
    pub(crate) earlier_whole: Option<Timestamp>,
    /// The states of the kind, read after the list.
    pub(crate) states: &'a BTreeMap<Entity, Known>,
    /// The entities of the kind as earlier lists have shown them.
    pub(crate) tracked: &'a BTreeMap<Entity, Tracked>,
    /// True when the provider sends events of this kind, so that one can be missed.
    pub(crate) has_events: bool,
    /// Time for which an entity may be listed without an event before the event counts as missed, and may be missing from the lists
    /// before it counts as gone.
    pub(crate) grace: Duration,
    /// True while received deliveries wait to be recorded: an event of any entity may be among them.
    pub(crate) deliveries_wait: bool,
}

/// The result of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The entities of which the list has shown something new.
    pub(crate) tracked: Vec<Tracked>,
    /// The entities whose first event has to be rebuilt from the list.
    pub(crate) due: Vec<Due>,
    /// The entities that are listed without an event, and are not due yet.
    pub(crate) waiting: Vec<Entity>,
    /// The entities that are newly marked as gone.
    pub(crate) gone: Vec<Entity>,
    pub(crate) changes: Vec<(Entity, Change)>,
    /// The entities with a listed key that is not known to be sealed.
    pub(crate) keys: Vec<Entity>,
}

/// An entity whose first event has to be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) tracked: Tracked,
    pub(crate) reason: Reason,
}

/// The reason to rebuild an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The entity existed before this stack looked, or its kind has no events.
    Import,
    /// The entity's event should have come.
    Missed,
}

/// A change of an entity that the provider sends no event about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Suspended,
    Active,
    /// It was marked as gone, and is listed again.
    Back,
    /// It was created anew: the number or id belongs to another client, or to the same one once more.
    CreatedAnew,
}

impl Change {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Active => "active",
            Self::Back => "back",
            Self::CreatedAnew => "created_anew",
        }
    }
}

/// Compares a list with the states and with what earlier lists have shown.
pub(crate) fn compare(facts: &Facts<'_>) -> Comparison {
    let mut comparison = Comparison::default();
    // Another run has had a later list, which takes precedence.
    if facts.earlier.is_some_and(|earlier| earlier >= facts.at) {
        return comparison;
    }
    for (entity, listed) in facts.listed {
        comparison.look_at_listed(facts, entity, listed);
    }
    if !facts.has_unusable {
        let known = facts.states.keys().filter(|entity| !facts.tracked.contains_key(entity));
        for entity in facts.tracked.keys().chain(known).filter(|entity| !facts.listed.contains_key(entity)) {
            comparison.look_at_absent(facts, entity);
        }
    }
    comparison
}

impl Comparison {
    fn look_at_listed(&mut self, facts: &Facts<'_>, entity: &Entity, listed: &Listed) {
        let state = facts.states.get(entity);
        let before = facts.tracked.get(entity);
        let mut now = before.cloned().unwrap_or_else(|| Tracked::new(entity.clone()));
        // One that went away before its event came starts over: its event may be on its way only now.
        if now.listed_at.is_none() || (state.is_none() && now.absent_since.is_some()) {
            now.listed_at = Some(facts.at);
            now.not_listed_at = facts.earlier_whole;
            now.is_later = facts.earlier.is_some();
        }
        now.absent_since = None;
        if now.gone_at.take().is_some() {
            self.changes.push((entity.clone(), Change::Back));
        }
        if let Some(created_at) = listed.created_at
            && now.created_at.replace(created_at).is_some_and(|before| before != created_at)
        {
            self.changes.push((entity.clone(), Change::CreatedAnew));
        }
        if listed.is_suspended != now.is_suspended {
            now.is_suspended = listed.is_suspended;
            if before.is_some() {
                let change = if listed.is_suspended { Change::Suspended } else { Change::Active };
                self.changes.push((entity.clone(), change));
            }
        }
        if state.is_some() && listed.key.is_some() && listed.key != now.key {
            self.keys.push(entity.clone());
        }
        if needs_first_event(state, &now) {
            self.decide_first_event(facts, state.is_some(), &now);
        }
        if before != Some(&now) {
            self.tracked.push(now);
        }
    }

    fn decide_first_event(&mut self, facts: &Facts<'_>, is_rebuilt: bool, tracked: &Tracked) {
        let reason = match tracked.not_listed_at {
            Some(_) if facts.has_events => Reason::Missed,
            _ => Reason::Import,
        };
        let listed_for = tracked.listed_at.map_or(Duration::ZERO, |listed_at| facts.at.since(listed_at));
        let may_still_come = listed_for < facts.grace || facts.deliveries_wait;
        let has_event = reason == Reason::Missed || (facts.has_events && tracked.is_later);
        if has_event && may_still_come && !is_rebuilt {
            self.waiting.push(tracked.entity.clone());
        } else {
            self.due.push(Due { tracked: tracked.clone(), reason });
        }
    }

    fn look_at_absent(&mut self, facts: &Facts<'_>, entity: &Entity) {
        let before = facts.tracked.get(entity);
        let mut now = before.cloned().unwrap_or_else(|| Tracked::new(entity.clone()));
        let last_seen = facts.states.get(entity).map(|state| state.last_seen);
        match now.absent_since {
            // An event is fresher than the list that did not have its entity.
            Some(since) if now.gone_at.is_none() && last_seen.is_some_and(|seen| seen >= since) => {
                now.absent_since = Some(facts.at);
            }
            // Without a state it is not a known client. A waiting event may be fresher than the list.
            // Two lists within a minute may both be affected by the same short fault of the provider.
            Some(since) if now.gone_at.is_none() && facts.at.since(since) < facts.grace => {}
            Some(_) if now.gone_at.is_none() && last_seen.is_some() && !facts.deliveries_wait => {
                now.gone_at = Some(facts.at);
                self.gone.push(entity.clone());
            }
            Some(_) => {}
            None => now.absent_since = Some(facts.at),
        }
        if before != Some(&now) {
            self.tracked.push(now);
        }
    }
}

/// Returns whether the first event is missing, or was rebuilt by a run that ended before it noted that.
fn needs_first_event(state: Option<&Known>, tracked: &Tracked) -> bool {
    state.is_none_or(|state| state.is_reconciled && tracked.rebuilt_at.is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const GRACE: Duration = Duration::from_mins(30);

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse().unwrap()
    }

    fn line(n: u8) -> Entity {
        Entity::named(format!("whatsapp#97250{n}"))
    }

    /// The provider, the tables and the passes of one kind.
    struct World {
        now: Timestamp,
        grace: Duration,
        has_events: bool,
        listed: BTreeMap<Entity, Listed>,
        states: BTreeMap<Entity, Known>,
        tracked: BTreeMap<Entity, Tracked>,
        earlier: Option<Timestamp>,
        earlier_whole: Option<Timestamp>,
        /// Entities with an unusable element in the next list.
        unusable: BTreeSet<Entity>,
        /// Entities whose event waits in a queue.
        queued: BTreeSet<Entity>,
    }

    impl World {
        fn new() -> Self {
            Self {
                now: noon(),
                grace: GRACE,
                has_events: true,
                listed: BTreeMap::new(),
                states: BTreeMap::new(),
                tracked: BTreeMap::new(),
                earlier: None,
                earlier_whole: None,
                unusable: BTreeSet::new(),
                queued: BTreeSet::new(),
            }
        }

        fn list(&mut self, n: u8) -> &mut Listed {
            let created_at = Some(self.now);
            self.listed.entry(line(n)).or_insert(Listed { created_at, ..Listed::default() })
        }

        fn event(&mut self, n: u8) {
            self.states.insert(line(n), Known { last_seen: self.now, is_reconciled: false });
        }

        fn wait(&mut self, time: Duration) {
            self.now = self.now.plus(time);
        }

        fn compare(&self) -> Comparison {
            let usable = |(entity, _): &(&Entity, &Listed)| !self.unusable.contains(*entity);
            let listed = self.listed.iter().filter(usable).map(|(entity, listed)| (entity.clone(), listed.clone()));
            compare(&Facts {
                at: self.now,
                listed: &listed.collect(),
                has_unusable: !self.unusable.is_empty(),
                earlier: self.earlier,
                earlier_whole: self.earlier_whole,
                states: &self.states,
                tracked: &self.tracked,
                has_events: self.has_events,
                grace: self.grace,
                deliveries_wait: !self.queued.is_empty(),
            })
        }

        /// Carries out a pass as far as the comparison is concerned, with a minute until the next thing happens.
        fn pass(&mut self) -> Comparison {
            self.pass_meeting(&BTreeSet::new())
        }

        /// The same, when events of these entities are recorded between the look at the states and the writes.
        fn pass_meeting(&mut self, arriving: &BTreeSet<Entity>) -> Comparison {
            let mut comparison = self.compare();
            for tracked in &comparison.tracked {
                self.tracked.insert(tracked.entity.clone(), tracked.clone());
            }
            self.earlier = Some(self.now);
            if std::mem::take(&mut self.unusable).is_empty() {
                self.earlier_whole = self.earlier;
            }
            let now = self.now;
            for entity in arriving {
                self.states.insert(entity.clone(), Known { last_seen: now, is_reconciled: false });
            }
            comparison.due.retain(|due| {
                let entity = &due.tracked.entity;
                let is_first = self.states.get(entity).is_none_or(|state| state.is_reconciled);
                if is_first {
                    self.states.insert(entity.clone(), Known { last_seen: now, is_reconciled: true });
                    let tracked = Tracked { rebuilt_at: Some(now), ..due.tracked.clone() };
                    self.tracked.insert(entity.clone(), tracked);
                }
                is_first
            });
            self.wait(MINUTE);
            comparison
        }
    }

    fn reasons(comparison: &Comparison) -> Vec<(Entity, Reason)> {
        comparison.due.iter().map(|due| (due.tracked.entity.clone(), due.reason)).collect()
    }

    #[test]
    fn the_first_list_is_imported_and_a_second_pass_finds_nothing_new() {
        let mut world = World::new();
        world.list(1);
        world.list(2);
        world.event(2);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Import)]);
        assert_eq!(world.pass(), Comparison::default());
    }

    #[test]
    fn what_is_listed_later_without_an_event_is_missed_after_the_grace_period() {
        let mut world = World::new();
        world.pass();
        world.list(1);
        assert_eq!(world.pass().waiting, [line(1)]);
        world.wait(GRACE);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Missed)]);
        assert_eq!(world.pass(), Comparison::default());
    }

    #[test]
    fn without_a_grace_period_it_is_missed_at_the_first_pass_that_lists_it() {
        let mut world = World { grace: Duration::ZERO, ..World::new() };
        world.pass();
        world.list(1);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Missed)]);
    }

    #[test]
    fn nothing_is_called_missed_while_deliveries_wait_or_after_its_event_came() {
        let mut world = World::new();
        world.pass();
        world.list(1);
        world.pass();
        world.wait(GRACE);
        world.queued.insert(line(9));
        assert_eq!((world.pass().due, world.compare().waiting), (Vec::new(), vec![line(1)]));
        world.queued.clear();
        world.event(1);
        assert_eq!(world.pass(), Comparison::default());
    }

    #[test]
    fn a_kind_without_events_is_imported_whenever_it_is_listed() {
        let mut world = World { has_events: false, ..World::new() };
        world.pass();
        world.list(1);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Import)]);
    }

    #[test]
    fn an_event_rebuilt_by_a_run_that_was_killed_is_due_again_until_that_is_noted() {
        let mut world = World::new();
        world.pass();
        world.list(1);
        world.pass();
        world.wait(GRACE);
        let killed = world.compare();
        world.tracked.extend(killed.tracked.into_iter().map(|tracked| (tracked.entity.clone(), tracked)));
        world.states.insert(line(1), Known { last_seen: world.now, is_reconciled: true });
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Missed)]);
        assert_eq!(world.pass(), Comparison::default());
    }

    #[test]
    fn what_two_lists_in_a_row_lack_is_gone_once_and_back_when_it_is_listed_again() {
        let mut world = World::new();
        world.list(1);
        world.pass();
        let listed = std::mem::take(&mut world.listed);
        assert_eq!(world.pass().gone, []);
        world.wait(GRACE);
        assert_eq!(world.pass().gone, [line(1)]);
        assert_eq!(world.pass(), Comparison::default());
        world.listed = listed;
        assert_eq!(world.pass().changes, [(line(1), Change::Back)]);
        assert_eq!(world.pass(), Comparison::default());
    }

    #[test]
    fn nothing_is_called_gone_while_deliveries_wait() {
        let mut world = World::new();
        world.event(1);
        world.wait(MINUTE);
        world.pass();
        world.queued.insert(line(1));
        world.wait(GRACE);
        assert_eq!(world.pass().gone, []);
        world.queued.clear();
        assert_eq!(world.pass().gone, [line(1)]);
    }

    #[test]
    fn an_event_between_two_lists_that_lack_its_entity_counts_more_than_the_first() {
        let mut world = World::new();
        world.event(1);
        world.wait(MINUTE);
        world.pass();
        world.event(1);
        world.wait(GRACE);
        assert_eq!(world.pass().gone, []);
        world.wait(GRACE);
        assert_eq!(world.pass().gone, [line(1)]);
    }

    #[test]
    fn two_lists_within_the_grace_period_mark_nothing_as_gone() {
        let mut world = World::new();
        world.list(1);
        world.pass();
        world.listed.clear();
        world.pass();
        for _ in 0..3 {
            assert_eq!(world.pass().gone, []);
        }
        world.wait(GRACE);
        assert_eq!(world.pass().gone, [line(1)]);
        world.list(2);
        world.event(2);
        world.wait(MINUTE);
        world.pass();
        world.listed.clear();
        world.pass();
        // The pass took a minute.
        world.wait(GRACE - MINUTE);
        assert_eq!(world.pass().gone, [line(2)]);
    }

    #[test]
    fn an_entity_that_an_unusable_element_may_have_named_is_imported_after_the_grace_period_and_not_missed() {
        let mut world = World::new();
        world.list(1);
        world.list(2);
        world.unusable.insert(line(1));
        assert_eq!(reasons(&world.pass()), [(line(2), Reason::Import)]);
        // Its event may be on its way, as that of any entity of a later list.
        let waiting = world.pass();
        assert_eq!((reasons(&waiting), waiting.waiting), (vec![], vec![line(1)]));
        world.wait(GRACE);
        world.queued.insert(line(1));
        assert_eq!(world.pass().waiting, [line(1)]);
        world.queued.clear();
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Import)]);
    }

    #[test]
    fn the_import_of_the_first_list_waits_for_nothing_also_when_a_later_pass_continues_it() {
        let mut world = World::new();
        world.list(1);
        world.queued.insert(line(9));
        let left = world.compare();
        assert_eq!(reasons(&left), [(line(1), Reason::Import)]);
        // The time of the first pass was over.
        world.tracked.extend(left.tracked.into_iter().map(|tracked| (tracked.entity.clone(), tracked)));
        (world.earlier, world.earlier_whole) = (Some(world.now), Some(world.now));
        world.wait(MINUTE);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Import)]);
    }

    #[test]
    fn an_entity_that_a_list_without_unusable_elements_lacked_is_missed_although_a_later_list_had_some() {
        let mut world = World::new();
        world.pass();
        world.list(1);
        world.unusable.insert(line(1));
        world.pass();
        assert_eq!(world.pass().waiting, [line(1)]);
        world.wait(GRACE);
        assert_eq!(reasons(&world.pass()), [(line(1), Reason::Missed)]);
    }

    #[test]
    fn a_list_with_unusable_elements_and_one_that_is_older_than_another_mark_nothing_as_gone() {
        let mut world = World::new();
        world.event(1);
        world.wait(MINUTE);
        world.pass();
        world.wait(GRACE);
        let (earlier, nothing) = (world.earlier, BTreeMap::new());
        let facts = |at, has_unusable| Facts {
            at,
            listed: &nothing,
            has_unusable,
            earlier,
            earlier_whole: earlier,
            states: &world.states,
            tracked: &world.tracked,
            has_events: true,
            grace: GRACE,
            deliveries_wait: false,
        };
        assert_eq!(compare(&facts(world.now, true)), Comparison::default());
        assert_eq!(compare(&facts(noon(), false)), Comparison::default());
        assert_eq!(compare(&facts(world.now, false)).gone, [line(1)]);
    }

    #[test]
    fn suspension_a_new_creation_and_a_new_key_are_changes() {
        let mut world = World::new();
        world.list(1).is_suspended = true;
        assert_eq!(world.pass().changes, [], "imported as it is");
        world.list(1).is_suspended = false;
        assert_eq!(world.pass().changes, [(line(1), Change::Active)]);
        world.list(1).is_suspended = true;
        assert_eq!(world.pass().changes, [(line(1), Change::Suspended)]);
        world.list(1).created_at = Some(world.now);
        assert_eq!(world.pass().changes, [(line(1), Change::CreatedAnew)]);
        world.list(1).key = Some("fingerprint".to_owned());
        assert_eq!(world.pass().keys, [line(1)]);
        world.tracked.get_mut(&line(1)).unwrap().key = Some("fingerprint".to_owned());
        assert_eq!(world.pass().keys, [], "it is sealed");
        world.list(1).key = None;
        assert_eq!(world.pass().keys, [], "the list does not have it");
        world.list(2).key = Some("fingerprint".to_owned());
        assert_eq!(world.pass().keys, [], "it comes with the event that is rebuilt");
        let names = [Change::Suspended, Change::Active, Change::Back, Change::CreatedAnew].map(Change::name);
        assert_eq!(names, ["suspended", "active", "back", "created_anew"]);
    }

    fn number(line: &Entity) -> u8 {
        line.as_str().strip_prefix("whatsapp#97250").unwrap().parse().unwrap()
    }

    /// The way of a client's event.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Way {
        Recorded,
        Queued,
        Lost,
        /// Recorded after the next pass has looked at the states, and before it writes.
        MeetsThePass,
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Step {
        /// A client finishes onboarding.
        Finish(u8, Way),
        /// The provider deletes a client.
        Delete(u8),
        /// Redrive records everything that is queued.
        Drain,
        /// A pass, with a complete list or without.
        Pass(bool),
        /// A pass with a complete list in which the element of this client cannot be used.
        PassGarbled(u8),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let way = prop::sample::select(vec![Way::Recorded, Way::Queued, Way::Lost, Way::MeetsThePass]);
        let step = prop_oneof![
            3 => (0..5_u8, way).prop_map(|(n, way)| Step::Finish(n, way)),
            1 => (0..5_u8).prop_map(Step::Delete),
            1 => Just(Step::Drain),
            5 => prop::bool::weighted(0.7).prop_map(Step::Pass),
            1 => (0..5_u8).prop_map(Step::PassGarbled),
            3 => (0..60_u64).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn every_miss_is_found_in_time_and_no_event_that_came_is_called_missed(steps in steps()) {
            let mut world = World::new();
            let mut arriving = BTreeSet::new();
            // Entities whose event is lost, with the number of passes that could have found it.
            let mut lost = BTreeMap::<Entity, usize>::new();
            // Entities whose event was received, recorded or not.
            let mut received = BTreeSet::new();
            // Entities that were listed before any list could prove an absence.
            let mut old = BTreeSet::new();
            let mut missed = BTreeSet::new();
            let mut gone = BTreeSet::new();
            // Entities that are not listed, with the number of lists without them since their last event or listing.
            let mut absent = BTreeMap::<Entity, usize>::new();
            for step in steps {
                match step {
                    Step::Finish(n, way) => {
                        let entity = line(n);
                        if world.listed.contains_key(&entity) {
                            continue;
                        }
                        world.list(n);
                        match way {
                            Way::Recorded => {
                                world.event(n);
                                absent.remove(&entity);
                            }
                            Way::Queued => _ = world.queued.insert(entity.clone()),
                            Way::MeetsThePass => _ = arriving.insert(entity.clone()),
                            Way::Lost
                                if world.states.contains_key(&entity)
                                    || world.queued.contains(&entity)
                                    || arriving.contains(&entity) => {}
                            Way::Lost => _ = lost.entry(entity.clone()).or_default(),
                        }
                        if way != Way::Lost {
                            received.insert(entity);
                        }
                    }
                    Step::Delete(n) => {
                        if world.listed.remove(&line(n)).is_some() {
                            absent.entry(line(n)).or_default();
                            lost.remove(&line(n));
                        }
                    }
                    Step::Drain => {
                        for entity in std::mem::take(&mut world.queued) {
                            let known = Known { last_seen: world.now, is_reconciled: false };
                            world.states.insert(entity.clone(), known);
                            // An event of its own came while it was not listed.
                            absent.entry(entity).and_modify(|lists| *lists = 0);
                        }
                    }
                    Step::Wait(minutes) => world.wait(MINUTE * u32::try_from(minutes).unwrap()),
                    Step::Pass(false) => world.wait(MINUTE),
                    Step::Pass(true) | Step::PassGarbled(_) => {
                        if let Step::PassGarbled(n) = step
                            && world.listed.contains_key(&line(n))
                        {
                            world.unusable.insert(line(n));
                        }
                        let is_garbled = !world.unusable.is_empty();
                        let listed: BTreeSet<Entity> = world.listed.keys().cloned().collect();
                        if world.earlier_whole.is_none() {
                            old.extend(listed.clone());
                        }
                        let at = world.now;
                        let waits = !world.queued.is_empty();
                        let comparison = world.pass_meeting(&std::mem::take(&mut arriving));
                        for due in &comparison.due {
                            let entity = &due.tracked.entity;
                            if due.reason == Reason::Missed {
                                prop_assert!(!received.contains(entity), "{entity} is called missed, and its event came");
                                prop_assert!(!old.contains(entity), "{entity} may have been there before");
                                prop_assert!(missed.insert(entity.clone()), "{entity} is called missed twice");
                            }
                            lost.remove(entity);
                        }
                        for (entity, passes) in &mut lost {
                            let tracked = world.tracked.get(entity);
                            let Some(listed_at) = tracked.and_then(|tracked| tracked.listed_at) else { continue };
                            if is_garbled && step == Step::PassGarbled(number(entity)) {
                                continue;
                            }
                            *passes += usize::from(at.since(listed_at) >= GRACE && !waits);
                            prop_assert!(*passes < 2, "{entity} is missed, and not found");
                        }
                        // A list whose element cannot be used does not show that the client is back.
                        let is_seen = |entity: &Entity| listed.contains(entity) && step != Step::PassGarbled(number(entity));
                        absent.retain(|entity, _| !is_seen(entity));
                        if !is_garbled {
                            absent.values_mut().for_each(|lists| *lists += 1);
                        }
                        for (entity, change) in &comparison.changes {
                            if *change == Change::Back {
                                prop_assert!(world.listed.contains_key(entity));
                                prop_assert!(gone.remove(entity), "{entity} is back, and was not gone");
                            }
                        }
                        for entity in &comparison.gone {
                            prop_assert!(absent.get(entity).is_some_and(|lists| *lists >= 2), "{entity} is not gone");
                            prop_assert!(gone.insert(entity.clone()), "{entity} is gone twice");
                        }
                    }
                }
            }
            // Nothing happens any more: nothing is found any more, and the marks are right.
            world.queued.clear();
            for _ in 0..3 {
                world.wait(GRACE);
                world.pass();
            }
            prop_assert_eq!(world.pass(), Comparison::default());
            for tracked in world.tracked.values() {
                let is_gone = world.states.contains_key(&tracked.entity) && !world.listed.contains_key(&tracked.entity);
                prop_assert_eq!(tracked.gone_at.is_some(), is_gone);
            }
            prop_assert!(world.listed.keys().all(|entity| world.states.contains_key(entity)));
        }
    }
}
