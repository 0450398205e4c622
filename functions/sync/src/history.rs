//! How the state of the registration goes on with what is found and done: pure, the writing is done by `book`.

use std::{ops::Range, time::Duration};

use shared::Timestamp;
use store::{ChangeKind, Registration};

/// What is worth an entry in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) kind: ChangeKind,
    /// The time within which the webhook may have pointed elsewhere.
    pub(crate) not_ours: Option<Range<Timestamp>>,
}

/// Where the webhook points, as far as the history cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Whether the events that go there reach us.
    pub(crate) ours: bool,
    /// The registered URL, masked.
    pub(crate) registered: Option<String>,
    /// When it was seen.
    pub(crate) at: Timestamp,
}

/// How what is registered came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It was found so.
    None,
    /// This run has set it, to put ours there.
    Repair,
    /// This run has set it, with a new token.
    Rotation,
    /// This run has set a URL, and this is another one.
    NotTaken,
    /// A person wanted it so.
    Person,
    /// It was registered before ours, and this run has put it back.
    Restoration,
}

/// What a look at the provider adds to the history.
pub(crate) struct Step {
    pub(crate) noted: Option<Noted>,
    /// How much longer the webhook was not ours than was known before.
    pub(crate) not_ours_for: Duration,
}

/// Goes on with what was seen at the provider, after a deed or without one.
pub(crate) fn saw(state: &mut Registration, sight: Sight, deed: Deed) -> Step {
    let Sight { ours, registered, at } = sight;
    if state.checked_at.is_some_and(|checked_at| checked_at > at) {
        // Another run has looked since: what it saw counts. What this one has done is noted all the same.
        return Step {
            noted: done(deed, ours).map(|kind| Noted { kind, not_ours: None }),
            not_ours_for: Duration::ZERO,
        };
    }
    let ours_at = state.ours_at;
    let elsewhere_before = state.elsewhere_since.is_some();
    let moved = state.registered != registered;
    // What follows the last time that ours was seen is not ours for all that is known, until ours is seen again.
    let gap = ours_at.filter(|_| elsewhere_before || !ours).map(|from| from..at);
    let not_ours_for = gap
        .as_ref()
        .map_or(Duration::ZERO, |gap| at.since(state.counted_until.map_or(gap.start, |until| until.max(gap.start))));
    state.checked_at = Some(at);
    state.registered = registered;
    state.failing_since = None;
    state.failure = None;
    if ours {
        state.ours_at = Some(at);
        state.elsewhere_since = None;
        state.counted_until = None;
    } else if ours_at.is_some() {
        state.elsewhere_since.get_or_insert(at);
        state.counted_until = Some(at);
    }
    let kind = match done(deed, ours) {
        None | Some(ChangeKind::Repaired | ChangeKind::Rotated) if ours && ours_at.is_none() => {
            Some(ChangeKind::Registered)
        }
        None if ours => elsewhere_before.then_some(ChangeKind::Returned),
        None => (ours_at.is_some() && (moved || !elsewhere_before)).then_some(ChangeKind::Drift),
        done => done,
    };
    Step { noted: kind.map(|kind| Noted { kind, not_ours: gap }), not_ours_for }
}

/// What a deed is called that ended like this.
fn done(deed: Deed, ours: bool) -> Option<ChangeKind> {
    match deed {
        Deed::None => None,
        Deed::Restoration => Some(ChangeKind::Restored),
        Deed::Person => Some(ChangeKind::Set),
        Deed::Repair if ours => Some(ChangeKind::Repaired),
        Deed::Rotation if ours => Some(ChangeKind::Rotated),
        Deed::NotTaken | Deed::Repair | Deed::Rotation => Some(ChangeKind::NotVerified),
    }
}

/// Goes on without having seen anything.
pub(crate) fn failed(state: &mut Registration, cause: &str, at: Timestamp) {
    state.failing_since.get_or_insert(at);
    state.failure = Some(cause.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://ours.example/***1111";
    const OTHER: &str = "https://other.example/***2222";
    const THIRD: &str = "https://third.example/***3333";

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_micros(1_795_339_800_000_000).plus(Duration::from_secs(minute * 60))
    }

    /// From when to when, in minutes since the first step.
    type Window = (u64, u64);

    /// What comes of looks and deeds, a minute each: the kinds of the entries, their windows, and the minutes not ours.
    fn history(steps: &[(&str, Deed)]) -> (Vec<Option<ChangeKind>>, Vec<Option<Window>>, u64) {
        let mut state = Registration::default();
        let (mut kinds, mut windows, mut minutes) = (Vec::new(), Vec::new(), 0);
        for ((registered, deed), minute) in steps.iter().zip(0..) {
            let registered = (!registered.is_empty()).then(|| (*registered).to_owned());
            let sight = Sight { ours: registered.as_deref() == Some(OURS), registered, at: at(minute) };
            let step = saw(&mut state, sight, *deed);
            let minute_of = |time: Timestamp| time.since(at(0)).as_secs() / 60;
            let window = step.noted.as_ref().and_then(|noted| noted.not_ours.clone());
            kinds.push(step.noted.map(|noted| noted.kind));
            windows.push(window.map(|window| (minute_of(window.start), minute_of(window.end))));
            minutes += step.not_ours_for.as_secs() / 60;
        }
        (kinds, windows, minutes)
    }

    #[test]
    fn before_ours_was_ever_registered_nothing_counts_as_not_ours() {
        let (kinds, windows, minutes) =
            history(&[("", Deed::None), (OTHER, Deed::None), (OURS, Deed::Repair), (OURS, Deed::None)]);
        assert_eq!(kinds, [None, None, Some(ChangeKind::Registered), None]);
        assert_eq!((windows, minutes), (vec![None; 4], 0));
    }

    #[test]
    fn drift_is_noted_with_its_window_from_the_last_good_check_until_the_repair() {
        let (kinds, windows, minutes) = history(&[
            (OURS, Deed::Repair),
            (OURS, Deed::None),
            (OTHER, Deed::None),
            (OURS, Deed::Repair),
            (OURS, Deed::None),
        ]);
        let (drift, repaired) = (Some(ChangeKind::Drift), Some(ChangeKind::Repaired));
        assert_eq!(kinds, [Some(ChangeKind::Registered), None, drift, repaired, None]);
        assert_eq!(windows, [None, None, Some((1, 2)), Some((1, 3)), None]);
        assert_eq!(minutes, 2);
    }

    #[test]
    fn drift_that_lasts_is_noted_once_and_counted_on_and_noted_again_when_it_moves() {
        let (kinds, windows, minutes) = history(&[
            (OURS, Deed::Repair),
            (OTHER, Deed::None),
            (OTHER, Deed::None),
            (THIRD, Deed::None),
            ("", Deed::None),
            (OURS, Deed::None),
        ]);
        let drift = Some(ChangeKind::Drift);
        assert_eq!(kinds, [Some(ChangeKind::Registered), drift, None, drift, drift, Some(ChangeKind::Returned)]);
        assert_eq!(windows, [None, Some((0, 1)), None, Some((0, 3)), Some((0, 4)), Some((0, 5))]);
        assert_eq!(minutes, 5, "each minute is counted once");
    }

    #[test]
    fn a_url_that_was_set_and_is_not_registered_is_noted_as_not_verified_and_counted_on() {
        let (kinds, _, minutes) =
            history(&[(OURS, Deed::Repair), (OTHER, Deed::None), (OTHER, Deed::NotTaken), (OTHER, Deed::None)]);
        let (drift, not_verified) = (Some(ChangeKind::Drift), Some(ChangeKind::NotVerified));
        assert_eq!(kinds, [Some(ChangeKind::Registered), drift, not_verified, None]);
        assert_eq!(minutes, 3);
    }

    #[test]
    fn a_rotation_that_was_not_taken_leaves_no_gap() {
        let (kinds, windows, minutes) = history(&[(OURS, Deed::Repair), (OURS, Deed::NotTaken), (OURS, Deed::None)]);
        assert_eq!(kinds, [Some(ChangeKind::Registered), Some(ChangeKind::NotVerified), None]);
        assert_eq!((windows, minutes), (vec![None; 3], 0));
    }

    #[test]
    fn what_a_person_sets_is_noted_as_that_and_counts_from_the_last_good_check() {
        let (kinds, windows, minutes) =
            history(&[(OURS, Deed::Repair), (OTHER, Deed::Person), (OTHER, Deed::None), (OURS, Deed::Person)]);
        let set = Some(ChangeKind::Set);
        assert_eq!(kinds, [Some(ChangeKind::Registered), set, None, set]);
        assert_eq!(windows, [None, Some((0, 1)), None, Some((0, 3))]);
        assert_eq!(minutes, 3);
    }

    #[test]
    fn a_rotation_leaves_no_gap() {
        let (kinds, windows, minutes) = history(&[(OURS, Deed::Repair), (OURS, Deed::None), (OURS, Deed::Rotation)]);
        assert_eq!(kinds, [Some(ChangeKind::Registered), None, Some(ChangeKind::Rotated)]);
        assert_eq!((windows, minutes), (vec![None; 3], 0));
    }

    #[test]
    fn what_was_seen_before_another_run_looked_changes_nothing_and_what_was_done_is_noted() {
        let mut state = Registration::default();
        saw(&mut state, Sight { ours: true, registered: Some(OURS.to_owned()), at: at(5) }, Deed::Repair);
        let before = state.clone();
        let other = Sight { ours: false, registered: Some(OTHER.to_owned()), at: at(4) };
        assert!(saw(&mut state, other, Deed::None).noted.is_none());
        let repair = Sight { ours: true, registered: Some(OURS.to_owned()), at: at(4) };
        let noted = saw(&mut state, repair, Deed::Repair).noted.unwrap();
        assert_eq!((noted.kind, noted.not_ours), (ChangeKind::Repaired, None));
        assert_eq!(state, before);
    }

    #[test]
    fn failures_are_remembered_from_the_first_one_until_the_provider_answers() {
        let mut state = Registration::default();
        saw(&mut state, Sight { ours: true, registered: Some(OURS.to_owned()), at: at(0) }, Deed::Repair);
        failed(&mut state, "PartnerUnreachable", at(1));
        failed(&mut state, "AddressBlocked", at(2));
        assert_eq!((state.failing_since, state.failure.as_deref()), (Some(at(1)), Some("AddressBlocked")));
        let step = saw(&mut state, Sight { ours: false, registered: None, at: at(3) }, Deed::None);
        assert_eq!(step.noted.unwrap().not_ours, Some(at(0)..at(3)), "what was between two checks is not known");
        assert_eq!((state.failing_since, state.failure), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn the_time_not_ours_is_that_of_the_windows_once_each(looks in proptest::collection::vec(0u8..4, 1..40)) {
            let look = |look: &u8| match look {
                0 => (OURS, Deed::None),
                1 => (OURS, Deed::Repair),
                2 => (OTHER, Deed::None),
                _ => ("", Deed::None),
            };
            let steps: Vec<_> = looks.iter().map(look).collect();
            let (_, _, minutes) = history(&steps);
            // From the first time that ours was there on: every minute before a look that found something else, and every
            // one before a look that found ours after such a look.
            let first = steps.iter().position(|(registered, _)| *registered == OURS).unwrap_or(steps.len());
            let mut expected = 0;
            for minute in first + 1..steps.len() {
                let (here, before) = (steps[minute].0 == OURS, steps[minute - 1].0 == OURS);
                if !here || !before {
                    expected += 1;
                }
            }
            proptest::prop_assert_eq!(minutes, expected);
        }
    }
}
