//! Changes of the registration's state, and the ledger entries that they make. Pure: `ledger_buffer` writes them.

use std::{ops::Range, time::Duration};

use shared::Timestamp;
use store::{ChangeKind, DeletedStack, Registration};

/// The part of a ledger entry that follows from the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: ChangeKind,
    /// Period in which the webhook may have pointed elsewhere.
    pub(crate) not_ours: Option<Range<Timestamp>>,
}

/// The registered URL, as the provider answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// True if the events that go there reach us.
    pub(crate) ours: bool,
    /// The registered URL, masked.
    pub(crate) registered: Option<String>,
    /// The partner account that was asked; `None` if the credentials do not name it.
    pub(crate) account: Option<String>,
    /// Time of the answer.
    pub(crate) at: Timestamp,
}

/// The reason for which a run has set the URL that it then sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetReason {
    /// It set none.
    NotSet,
    /// To replace another URL with ours.
    Repair,
    /// To register ours with a new token.
    Rotation,
    /// It set one, and sees another.
    NotTaken,
    /// A person asked for it.
    Person,
    /// To restore the URL registered before ours.
    Restoration,
}

/// The consequences of a sighting beside the changed state.
pub(crate) struct Transition {
    pub(crate) entry: Option<Entry>,
    /// Time not ours that no earlier sighting counted.
    pub(crate) not_ours_for: Duration,
}

/// Changes the state by a sighting.
pub(crate) fn saw(state: &mut Registration, sighting: Sighting, reason: SetReason) -> Transition {
    let Sighting { ours, registered, account, at } = sighting;
    if state.checked_at.is_some_and(|checked_at| checked_at > at) {
        // Another run has looked since, and its sighting counts. A set by this run still makes its entry.
        return Transition {
            entry: kind_of_set(reason, ours).map(|kind| Entry { kind, not_ours: None }),
            not_ours_for: Duration::ZERO,
        };
    }
    if !ours && state.is_of_another_account(account.as_deref()) {
        // Nothing that was seen in one account says anything about another. Deletions and leases are the stack's. Where ours is
        // registered, it is the same account with new credentials.
        let Registration { version, deleted_stack, set_leases, .. } = std::mem::take(state);
        *state = Registration { version, deleted_stack, set_leases, ..Registration::default() };
    }
    state.account = account.or_else(|| state.account.take());
    let ours_at = state.ours_at;
    let elsewhere_before = state.elsewhere_since.is_some();
    let moved = state.registered != registered;
    // The time after the last sighting of ours counts as not ours until ours is seen again.
    let gap = ours_at.filter(|_| elsewhere_before || !ours).map(|from| from..at);
    let not_ours_for = gap
        .as_ref()
        .map_or(Duration::ZERO, |gap| at.since(state.counted_until.map_or(gap.start, |until| until.max(gap.start))));
    state.checked_at = Some(at);
    state.registered = registered;
    state.failing_since = None;
    state.failure = None;
    state.refused_credentials = None;
    if ours {
        state.contested_since = None;
        state.ours_at = Some(at);
        state.elsewhere_since = None;
        state.counted_until = None;
    } else if ours_at.is_some() {
        state.elsewhere_since.get_or_insert(at);
        state.counted_until = Some(at);
    }
    let kind = match kind_of_set(reason, ours) {
        None | Some(ChangeKind::Repaired | ChangeKind::Rotated) if ours && ours_at.is_none() => {
            Some(ChangeKind::Registered)
        }
        None if ours => elsewhere_before.then_some(ChangeKind::Returned),
        None => (ours_at.is_some() && (moved || !elsewhere_before)).then_some(ChangeKind::Drift),
        kind => kind,
    };
    Transition { entry: kind.map(|kind| Entry { kind, not_ours: gap }), not_ours_for }
}

/// Returns the kind of the entry that a set makes.
fn kind_of_set(reason: SetReason, ours: bool) -> Option<ChangeKind> {
    match reason {
        SetReason::NotSet => None,
        SetReason::Restoration => Some(ChangeKind::Restored),
        SetReason::Person => Some(ChangeKind::Set),
        SetReason::Repair if ours => Some(ChangeKind::Repaired),
        SetReason::Rotation if ours => Some(ChangeKind::Rotated),
        SetReason::NotTaken | SetReason::Repair | SetReason::Rotation => Some(ChangeKind::NotVerified),
    }
}

/// Changes the state by a check that failed without a sighting.
pub(crate) fn failed(state: &mut Registration, cause: &str, at: Timestamp) {
    state.failing_since.get_or_insert(at);
    state.failure = Some(cause.to_owned());
}

/// Marks the registration as contested by a URL, and makes an entry the first time. A sighting or a person that has ended the
/// contest meanwhile counts more.
pub(crate) fn contested(state: &mut Registration, url: Option<&str>, at: Timestamp) -> Option<Entry> {
    let goes_on = state.elsewhere_since.is_some() && state.competing.as_ref().map(|it| it.url.as_str()) == url;
    if !goes_on || state.contested_since.is_some() {
        return None;
    }
    state.contested_since = Some(at);
    Some(Entry { kind: ChangeKind::Contested, not_ours: None })
}

/// Starts over for a new stack with the tables of a deleted one: the URL registered now is the one before ours.
pub(crate) fn new_stack(state: &mut Registration, deleted: &DeletedStack) {
    // Another deletion since then is not undone.
    if state.deleted_stack.as_ref() == Some(deleted) {
        *state = Registration { version: state.version, ..Registration::default() };
    }
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

    fn sighting(registered: Option<&str>, minute: u64) -> Sighting {
        let ours = registered == Some(OURS);
        Sighting { ours, registered: registered.map(str::to_owned), account: None, at: at(minute) }
    }

    /// Start and end, in minutes since the first sighting.
    type Window = (u64, u64);

    /// Returns the kinds of the entries, their periods and the minutes not ours of sightings that are a minute apart.
    fn transitions(steps: &[(&str, SetReason)]) -> (Vec<Option<ChangeKind>>, Vec<Option<Window>>, u64) {
        let mut state = Registration::default();
        let (mut kinds, mut windows, mut minutes) = (Vec::new(), Vec::new(), 0);
        for ((registered, reason), minute) in steps.iter().zip(0..) {
            let registered = (!registered.is_empty()).then(|| (*registered).to_owned());
            let sighting =
                Sighting { ours: registered.as_deref() == Some(OURS), registered, account: None, at: at(minute) };
            let step = saw(&mut state, sighting, *reason);
            let minute_of = |time: Timestamp| time.since(at(0)).as_secs() / 60;
            let window = step.entry.as_ref().and_then(|entry| entry.not_ours.clone());
            kinds.push(step.entry.map(|entry| entry.kind));
            windows.push(window.map(|window| (minute_of(window.start), minute_of(window.end))));
            minutes += step.not_ours_for.as_secs() / 60;
        }
        (kinds, windows, minutes)
    }

    #[test]
    fn no_time_before_our_first_registration_counts_as_not_ours() {
        let (kinds, windows, minutes) = transitions(&[
            ("", SetReason::NotSet),
            (OTHER, SetReason::NotSet),
            (OURS, SetReason::Repair),
            (OURS, SetReason::NotSet),
        ]);
        assert_eq!(kinds, [None, None, Some(ChangeKind::Registered), None]);
        assert_eq!((windows, minutes), (vec![None; 4], 0));
    }

    #[test]
    fn drift_is_noted_with_its_window_from_the_last_good_check_until_the_repair() {
        let (kinds, windows, minutes) = transitions(&[
            (OURS, SetReason::Repair),
            (OURS, SetReason::NotSet),
            (OTHER, SetReason::NotSet),
            (OURS, SetReason::Repair),
            (OURS, SetReason::NotSet),
        ]);
        let (drift, repaired) = (Some(ChangeKind::Drift), Some(ChangeKind::Repaired));
        assert_eq!(kinds, [Some(ChangeKind::Registered), None, drift, repaired, None]);
        assert_eq!(windows, [None, None, Some((1, 2)), Some((1, 3)), None]);
        assert_eq!(minutes, 2);
    }

    #[test]
    fn lasting_drift_is_recorded_once_and_again_when_the_url_changes_and_its_time_adds_up() {
        let (kinds, windows, minutes) = transitions(&[
            (OURS, SetReason::Repair),
            (OTHER, SetReason::NotSet),
            (OTHER, SetReason::NotSet),
            (THIRD, SetReason::NotSet),
            ("", SetReason::NotSet),
            (OURS, SetReason::NotSet),
        ]);
        let drift = Some(ChangeKind::Drift);
        assert_eq!(kinds, [Some(ChangeKind::Registered), drift, None, drift, drift, Some(ChangeKind::Returned)]);
        assert_eq!(windows, [None, Some((0, 1)), None, Some((0, 3)), Some((0, 4)), Some((0, 5))]);
        assert_eq!(minutes, 5, "each minute is counted once");
    }

    #[test]
    fn a_url_that_was_set_and_is_not_registered_is_noted_as_not_verified_and_counted_on() {
        let (kinds, _, minutes) = transitions(&[
            (OURS, SetReason::Repair),
            (OTHER, SetReason::NotSet),
            (OTHER, SetReason::NotTaken),
            (OTHER, SetReason::NotSet),
        ]);
        let (drift, not_verified) = (Some(ChangeKind::Drift), Some(ChangeKind::NotVerified));
        assert_eq!(kinds, [Some(ChangeKind::Registered), drift, not_verified, None]);
        assert_eq!(minutes, 3);
    }

    #[test]
    fn a_rotation_that_was_not_taken_leaves_no_gap() {
        let (kinds, windows, minutes) =
            transitions(&[(OURS, SetReason::Repair), (OURS, SetReason::NotTaken), (OURS, SetReason::NotSet)]);
        assert_eq!(kinds, [Some(ChangeKind::Registered), Some(ChangeKind::NotVerified), None]);
        assert_eq!((windows, minutes), (vec![None; 3], 0));
    }

    #[test]
    fn a_url_that_a_person_sets_is_noted_as_that_and_counts_from_the_last_good_check() {
        let (kinds, windows, minutes) = transitions(&[
            (OURS, SetReason::Repair),
            (OTHER, SetReason::Person),
            (OTHER, SetReason::NotSet),
            (OURS, SetReason::Person),
        ]);
        let set = Some(ChangeKind::Set);
        assert_eq!(kinds, [Some(ChangeKind::Registered), set, None, set]);
        assert_eq!(windows, [None, Some((0, 1)), None, Some((0, 3))]);
        assert_eq!(minutes, 3);
    }

    #[test]
    fn a_rotation_leaves_no_gap() {
        let (kinds, windows, minutes) =
            transitions(&[(OURS, SetReason::Repair), (OURS, SetReason::NotSet), (OURS, SetReason::Rotation)]);
        assert_eq!(kinds, [Some(ChangeKind::Registered), None, Some(ChangeKind::Rotated)]);
        assert_eq!((windows, minutes), (vec![None; 3], 0));
    }

    #[test]
    fn an_outdated_sighting_changes_nothing_but_a_set_is_recorded_all_the_same() {
        let mut state = Registration::default();
        saw(&mut state, sighting(Some(OURS), 5), SetReason::Repair);
        let before = state.clone();
        let other = sighting(Some(OTHER), 4);
        assert!(saw(&mut state, other, SetReason::NotSet).entry.is_none());
        let repair = sighting(Some(OURS), 4);
        let entry = saw(&mut state, repair, SetReason::Repair).entry.unwrap();
        assert_eq!((entry.kind, entry.not_ours), (ChangeKind::Repaired, None));
        assert_eq!(state, before);
        let at_once = sighting(None, 5);
        assert!(saw(&mut state, at_once, SetReason::NotSet).entry.is_some(), "one at the same time is not outdated");
    }

    #[test]
    fn a_contest_begins_once_and_only_while_the_competing_url_is_registered() {
        let competing = |url: &str| store::CompetingUrl { url: url.to_owned(), repairs: 3, repaired_at: at(0) };
        let elsewhere = |url| Registration {
            elsewhere_since: Some(at(1)),
            competing: Some(competing(url)),
            ..Registration::default()
        };
        let mut state = elsewhere(OTHER);
        assert!(contested(&mut state, Some(OTHER), at(2)).is_some_and(|entry| entry.kind == ChangeKind::Contested));
        assert!(contested(&mut state, Some(OTHER), at(3)).is_none());
        assert_eq!(state.contested_since, Some(at(2)));
        let ours = Registration { elsewhere_since: None, ..elsewhere(OTHER) };
        for (mut state, url) in [(ours, Some(OTHER)), (elsewhere(THIRD), Some(OTHER)), (elsewhere(OTHER), None)] {
            assert!(contested(&mut state, url, at(2)).is_none());
            assert_eq!(state.contested_since, None);
        }
    }

    #[test]
    fn another_partner_account_starts_over_but_leaves_the_deletion_and_the_leases() {
        let stack = Registration {
            version: 7,
            deleted_stack: Some(DeletedStack { stack_id: "arn:stack/1".to_owned(), at: at(1) }),
            set_leases: [(shared::EventId::new(at(1), [1; 8]), at(2))].into(),
            ..Registration::default()
        };
        let in_account = |account: &str, registered, minute| Sighting {
            account: Some(account.to_owned()),
            ..sighting(registered, minute)
        };
        let mut state = stack.clone();
        saw(&mut state, sighting(Some(OURS), 0), SetReason::Repair);
        saw(&mut state, in_account("one", Some(OURS), 1), SetReason::NotSet);
        saw(&mut state, sighting(Some(OURS), 2), SetReason::NotSet);
        assert_eq!((state.ours_at, state.account.as_deref()), (Some(at(2)), Some("one")), "an unknown one is the same");
        let mut renewed = state.clone();
        saw(&mut renewed, in_account("two", Some(OURS), 3), SetReason::NotSet);
        assert_eq!((renewed.ours_at, renewed.account.as_deref()), (Some(at(3)), Some("two")), "new credentials");
        let step = saw(&mut renewed, in_account("three", Some(OURS), 4), SetReason::NotSet);
        assert!(step.entry.is_none());
        let step = saw(&mut state, in_account("two", Some(OTHER), 3), SetReason::NotSet);
        assert_eq!((step.entry, step.not_ours_for), (None, Duration::ZERO));
        let account = Some("two".to_owned());
        let (checked_at, registered) = (Some(at(3)), Some(OTHER.to_owned()));
        assert_eq!(state, Registration { account, checked_at, registered, ..stack });
    }

    #[test]
    fn a_new_stack_undoes_no_deletion_but_the_one_that_it_has_read() {
        let deleted = |minute| DeletedStack { stack_id: "arn:stack/1".to_owned(), at: at(minute) };
        let before = Registration {
            version: 7,
            ours_at: Some(at(0)),
            deleted_stack: Some(deleted(1)),
            ..Registration::default()
        };
        let mut state = before.clone();
        new_stack(&mut state, &deleted(2));
        assert_eq!(state, before);
        new_stack(&mut state, &deleted(1));
        assert_eq!(state, Registration { version: 7, ..Registration::default() });
    }

    #[test]
    fn failures_are_remembered_from_the_first_one_until_the_provider_answers() {
        let mut state = Registration::default();
        saw(&mut state, sighting(Some(OURS), 0), SetReason::Repair);
        failed(&mut state, "PartnerUnreachable", at(1));
        failed(&mut state, "AddressBlocked", at(2));
        assert_eq!((state.failing_since, state.failure.as_deref()), (Some(at(1)), Some("AddressBlocked")));
        let step = saw(&mut state, sighting(None, 3), SetReason::NotSet);
        assert_eq!(step.entry.unwrap().not_ours, Some(at(0)..at(3)), "the time between two checks is unknown");
        assert_eq!((state.failing_since, state.failure), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn the_time_not_ours_is_that_of_the_windows_once_each(looks in proptest::collection::vec(0u8..4, 1..40)) {
            let look = |look: &u8| match look {
                0 => (OURS, SetReason::NotSet),
                1 => (OURS, SetReason::Repair),
                2 => (OTHER, SetReason::NotSet),
                _ => ("", SetReason::NotSet),
            };
            let steps: Vec<_> = looks.iter().map(look).collect();
            let (_, _, minutes) = transitions(&steps);
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
