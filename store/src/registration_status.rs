//! Judges the registration by its state and its ledger: the URL that the webhook points to, and the time that it was not ours.

use std::{ops::Range, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use shared::Timestamp;

use crate::{
    error::StoreError,
    read::{Listing, Order, PAGE},
    registration::{Change, ChangeKind, Registration, RegistrationLedger},
};

/// Maximum time since the last check in which its result still holds: the longest pause of a schedule that checks once a day.
const KNOWN_FOR: Duration = Duration::from_hours(25);

/// The state of the registration, and its ledger within a range of times.
pub struct RegistrationStatus {
    registration: Registration,
    /// Latest first; includes earlier changes that are needed to judge the present.
    changes: Vec<Change>,
    times: Range<Timestamp>,
}

impl RegistrationStatus {
    /// Reads the status for a range of times that ends now: the changes within it, and at most `before` earlier ones.
    ///
    /// # Errors
    /// Fails as [`RegistrationLedger::changes`] does.
    pub async fn read(ledger: &RegistrationLedger, times: Range<Timestamp>, before: u16) -> Result<Self, StoreError> {
        let registration = ledger.read().await?;
        let start = Self::start(&registration, times.start);
        // The times of the changes come from another clock.
        let end = Timestamp::from_micros(i64::MAX);
        let listing = Listing { times: start..end, order: Order::NewestFirst, after: None, page_size: PAGE };
        let mut changes: Vec<Change> = ledger.changes(&listing).try_collect().await?;
        let listing = Listing { times: Timestamp::from_micros(0)..start, page_size: before, ..listing };
        let earlier: Vec<Change> = ledger.changes(&listing).take(before.into()).try_collect().await?;
        changes.extend(earlier);
        Ok(Self::new(registration, changes, times))
    }

    /// Creates the status from the state and the changes, latest first: those in the range, and those since the webhook
    /// points elsewhere.
    pub fn new(registration: Registration, changes: Vec<Change>, times: Range<Timestamp>) -> Self {
        Self { registration, changes, times }
    }

    /// Returns the earliest time from which the changes must be read to show those since `since`.
    fn start(registration: &Registration, since: Timestamp) -> Timestamp {
        registration.elsewhere_since.map_or(since, |elsewhere| elsewhere.min(since))
    }

    /// Returns the state of the registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Returns the range of times that the status covers.
    pub fn times(&self) -> &Range<Timestamp> {
        &self.times
    }

    /// Returns the total time in the range in which the webhook may have pointed elsewhere. An ongoing drift counts until the end of the
    /// range.
    pub fn not_ours(&self) -> Duration {
        united(self.windows(), &self.times)
    }

    /// Returns the periods in which the webhook may have pointed elsewhere.
    fn windows(&self) -> impl Iterator<Item = Range<Timestamp>> {
        // For an ongoing drift the ledger has only the first window; the state knows how long it has lasted.
        let Registration { elsewhere_since, ours_at, .. } = self.registration;
        let present = elsewhere_since.and(ours_at).map(|from| from..self.times.end);
        self.changes.iter().filter_map(|change| change.not_ours.clone()).chain(present)
    }

    /// Splits the range into periods by ownership.
    pub fn segments(&self) -> Vec<Segment> {
        // From the first sign of our URL on the webhook was ours, except in the windows. The time before is unknown, and so is the time
        // since the last check when checks fail or are no longer made. A first registration ends what an earlier stack or partner account
        // says.
        let first = self.changes.iter().position(|change| change.kind == ChangeKind::Registered);
        let changes = first.map_or(&*self.changes, |first| &self.changes[..=first]);
        let signs = changes.iter().filter_map(|change| match (&change.not_ours, change.kind) {
            (Some(window), _) => Some(window.start),
            (None, ChangeKind::Registered | ChangeKind::Returned | ChangeKind::Repaired | ChangeKind::Rotated) => {
                Some(change.at)
            }
            (None, _) => None,
        });
        let ours_at = self.registration.ours_at;
        let is_ours = matches!(self.present(), Whereabouts::Ours);
        let until = if is_ours { Some(self.times.end) } else { ours_at };
        let ours = ours_at.and(signs.chain(ours_at).min()).zip(until).map(|(from, until)| from..until);
        divided(&self.times, ours.as_ref(), &self.windows().collect::<Vec<_>>())
    }

    /// Returns the changes within the range.
    pub fn in_time(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| self.times.start <= change.at)
    }

    /// Returns the earliest known time of the present registration; `None` when it is before the range.
    pub fn since(&self) -> Option<Timestamp> {
        if self.registration.elsewhere_since.is_some() {
            return self.registration.elsewhere_since;
        }
        let seen = self.changes.iter().filter(|change| change.kind != ChangeKind::Failed);
        let same = seen.take_while(|change| change.registered == self.registration.registered);
        same.last().map(|change| change.at)
    }

    /// Returns whether sync has given up because a competing URL came back after every repair.
    pub fn is_contested(&self) -> bool {
        self.registration.contested_since.is_some()
    }

    /// Returns the target of the webhook at the last check that succeeded.
    pub fn whereabouts(&self) -> Whereabouts {
        self.registration.whereabouts()
    }

    /// Returns the target of the webhook at the end of the range, as [`Registration::whereabouts_at`].
    pub fn present(&self) -> Whereabouts {
        self.registration.whereabouts_at(self.times.end)
    }
}

impl Registration {
    /// Returns the present target of the webhook. That it is our URL is only known while checks succeed and the last one is at most 25 hours
    /// old; that it is not holds until a check finds otherwise.
    pub fn whereabouts_at(&self, now: Timestamp) -> Whereabouts {
        let holds = self.failing_since.is_none() && self.checked_at.is_some_and(|at| now.since(at) <= KNOWN_FOR);
        match self.whereabouts() {
            Whereabouts::Ours if !holds => Whereabouts::Unknown,
            whereabouts => whereabouts,
        }
    }

    /// Returns the target of the webhook at the last check that succeeded.
    pub fn whereabouts(&self) -> Whereabouts {
        match self {
            Self { checked_at: None, .. } => Whereabouts::Unknown,
            Self { registered: None, .. } => Whereabouts::Nowhere,
            Self { ours_at: Some(_), elsewhere_since: None, .. } => Whereabouts::Ours,
            _ => Whereabouts::Elsewhere,
        }
    }
}

/// The ownership of the registered URL, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Our URL was registered.
    Ours,
    /// Another URL, or none, was registered.
    NotOurs,
    /// The registration was not checked.
    Unknown,
}

/// A period in which the ownership did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The period.
    pub times: Range<Timestamp>,
    /// The ownership in the period.
    pub ownership: Ownership,
}

/// The target of the webhook, as far as known.
pub enum Whereabouts {
    /// The registration was never checked, or the last check does not hold any more.
    Unknown,
    /// No URL is registered.
    Nowhere,
    /// Our URL is registered.
    Ours,
    /// Another URL is registered.
    Elsewhere,
}

impl Whereabouts {
    /// Returns the machine-readable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Nowhere => "nowhere",
            Self::Ours => "ours",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Returns the total time within a range that the windows cover, each moment counted once.
fn united(windows: impl Iterator<Item = Range<Timestamp>>, within: &Range<Timestamp>) -> Duration {
    let mut windows: Vec<_> = windows.collect();
    windows.sort_by_key(|window| window.start);
    let mut counted_until = within.start;
    let mut sum = Duration::ZERO;
    for window in windows {
        let until = window.end.min(within.end);
        sum += until.since(window.start.max(counted_until));
        counted_until = counted_until.max(until);
    }
    sum
}

/// Splits a range of times by ownership: not ours within the windows, ours in the given range otherwise, unknown elsewhere.
/// The segments cover the range without gaps, and adjacent ones differ in ownership.
fn divided(times: &Range<Timestamp>, ours: Option<&Range<Timestamp>>, windows: &[Range<Timestamp>]) -> Vec<Segment> {
    let mut cuts: Vec<Timestamp> = windows.iter().chain(ours).flat_map(|range| [range.start, range.end]).collect();
    cuts.retain(|cut| times.contains(cut));
    cuts.extend([times.start, times.end]);
    cuts.sort();
    cuts.dedup();
    let mut segments: Vec<Segment> = Vec::new();
    for (&start, &end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let ownership = if windows.iter().any(|window| window.contains(&start)) {
            Ownership::NotOurs
        } else if ours.is_some_and(|ours| ours.contains(&start)) {
            Ownership::Ours
        } else {
            Ownership::Unknown
        };
        match segments.last_mut().filter(|last| last.ownership == ownership) {
            Some(last) => last.times.end = end,
            None => segments.push(Segment { times: start..end, ownership }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::EventId;

    use super::*;

    const OURS: &str = "https://ours.example/***1111";
    const OTHER: &str = "https://other.example/***2222";

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_micros(1_795_339_800_000_000).plus(Duration::from_secs(minute * 60))
    }

    fn change(minute: u64, kind: ChangeKind, registered: &str, not_ours: Option<(u64, u64)>) -> Change {
        Change {
            id: EventId::new(at(minute), [0; 8]),
            at: at(minute),
            kind,
            action: "sync".to_owned(),
            registered: Some(registered.to_owned()),
            not_ours: not_ours.map(|(from, until)| at(from)..at(until)),
            cause: (kind == ChangeKind::Failed).then(|| "PartnerUnreachable".to_owned()),
        }
    }

    /// Changes, latest first.
    fn changes() -> Vec<Change> {
        vec![
            change(180, ChangeKind::Repaired, OURS, Some((60, 180))),
            change(120, ChangeKind::Drift, OTHER, Some((60, 120))),
            change(0, ChangeKind::Registered, OURS, None),
        ]
    }

    fn ours() -> Registration {
        let registered = Some(OURS.to_owned());
        Registration { checked_at: Some(at(240)), ours_at: Some(at(240)), registered, ..Registration::default() }
    }

    #[test]
    fn a_drift_that_lasts_counts_until_now() {
        let registration = Registration {
            checked_at: Some(at(240)),
            registered: None,
            ours_at: Some(at(60)),
            elsewhere_since: Some(at(120)),
            ..Registration::default()
        };
        let changes = vec![change(120, ChangeKind::Drift, OTHER, Some((60, 120)))];
        let status = RegistrationStatus::new(registration, changes, at(0)..at(270));
        assert_eq!((status.not_ours(), status.since()), (Duration::from_secs(210 * 60), Some(at(120))));
        assert_eq!(status.whereabouts().name(), "nowhere");
    }

    #[test]
    fn changes_before_the_range_are_read_to_judge_the_present_and_not_listed() {
        let registration = Registration { elsewhere_since: Some(at(200)), ..ours() };
        let changes =
            vec![change(250, ChangeKind::Failed, OTHER, None), change(200, ChangeKind::Drift, OTHER, Some((180, 200)))];
        assert_eq!(RegistrationStatus::start(&registration, at(210)), at(200));
        let status = RegistrationStatus::new(registration, changes, at(210)..at(270));
        let listed: Vec<Timestamp> = status.in_time().map(|change| change.at).collect();
        assert_eq!(listed, [at(250)]);
    }

    /// Returns the end of each segment, in minutes, with its ownership.
    fn pieces(status: &RegistrationStatus) -> Vec<(u64, Ownership)> {
        let minute = |time: Timestamp| time.since(at(0)).as_secs() / 60;
        status.segments().iter().map(|segment| (minute(segment.times.end), segment.ownership)).collect()
    }

    #[test]
    fn the_range_is_split_by_ownership() {
        let status = RegistrationStatus::new(ours(), changes(), at(0)..at(270));
        let expected = [(60, Ownership::Ours), (180, Ownership::NotOurs), (270, Ownership::Ours)];
        assert_eq!(pieces(&status), expected, "it was ours at the last check");
        let failing = Registration { failing_since: Some(at(250)), ..ours() };
        let status = RegistrationStatus::new(failing, changes(), at(0)..at(270));
        let expected =
            [(60, Ownership::Ours), (180, Ownership::NotOurs), (240, Ownership::Ours), (270, Ownership::Unknown)];
        assert_eq!(pieces(&status), expected, "it was last checked at 240");
        let once = Registration { ours_at: Some(at(250)), checked_at: Some(at(250)), ..ours() };
        let first = vec![change(250, ChangeKind::Registered, OURS, None)];
        let status = RegistrationStatus::new(once, first, at(0)..at(270));
        assert_eq!(pieces(&status), [(250, Ownership::Unknown), (270, Ownership::Ours)], "it was checked only once");
        let unchecked = RegistrationStatus::new(ours(), changes(), at(0)..at(240 + 25 * 60 + 1));
        assert_eq!(pieces(&unchecked).last(), Some(&(240 + 25 * 60 + 1, Ownership::Unknown)), "nobody checks any more");
        let later = RegistrationStatus::new(ours(), changes(), at(100)..at(240));
        assert_eq!(pieces(&later), [(180, Ownership::NotOurs), (240, Ownership::Ours)]);

        let again = [vec![change(200, ChangeKind::Registered, OURS, None)], changes()].concat();
        let status = RegistrationStatus::new(ours(), again, at(0)..at(270));
        let expected =
            [(60, Ownership::Unknown), (180, Ownership::NotOurs), (200, Ownership::Unknown), (270, Ownership::Ours)];
        assert_eq!(pieces(&status), expected, "another partner account since 200");

        let lasting = Registration { ours_at: Some(at(60)), elsewhere_since: Some(at(120)), ..ours() };
        let drift = vec![change(120, ChangeKind::Drift, OTHER, Some((60, 120)))];
        let status = RegistrationStatus::new(lasting, drift, at(0)..at(270));
        let expected = [(60, Ownership::Unknown), (270, Ownership::NotOurs)];
        assert_eq!(pieces(&status), expected, "the time before the first sign of ours is unknown");

        let never = RegistrationStatus::new(Registration::default(), Vec::new(), at(0)..at(60));
        assert_eq!(pieces(&never), [(60, Ownership::Unknown)]);
    }

    proptest! {
        #[test]
        fn segments_cover_the_range_once_and_each_has_the_right_ownership(
            windows in proptest::collection::vec((0u64..60, 0u64..60), 0..8),
            ours in proptest::option::of((0u64..60, 0u64..60)),
            (start, length) in (0u64..60, 1u64..60),
        ) {
            let range = |(from, until): &(u64, u64)| at(*from)..at(*until);
            let (times, ours) = (at(start)..at(start + length), ours.as_ref().map(range));
            let windows: Vec<_> = windows.iter().map(range).collect();
            let segments = divided(&times, ours.as_ref(), &windows);
            prop_assert_eq!(segments[0].times.start, times.start);
            prop_assert_eq!(segments[segments.len() - 1].times.end, times.end);
            for (one, next) in segments.iter().zip(segments.iter().skip(1)) {
                prop_assert_eq!(one.times.end, next.times.start);
                prop_assert_ne!(one.ownership, next.ownership);
            }
            for minute in start..start + length {
                let ownership: Vec<Ownership> =
                    segments.iter().filter(|one| one.times.contains(&at(minute))).map(|one| one.ownership).collect();
                let expected = match () {
                    () if windows.iter().any(|window| window.contains(&at(minute))) => Ownership::NotOurs,
                    () if ours.as_ref().is_some_and(|ours| ours.contains(&at(minute))) => Ownership::Ours,
                    () => Ownership::Unknown,
                };
                prop_assert_eq!(ownership, vec![expected]);
            }
        }

        #[test]
        fn every_minute_of_the_range_within_a_window_counts_once(
            windows in proptest::collection::vec((0u64..60, 0u64..60), 0..8),
            (start, end) in (0u64..60, 0u64..60),
        ) {
            let expected = (start..end).filter(|minute| windows.iter().any(|(from, until)| (from..until).contains(&minute)));
            let sum = united(windows.iter().map(|(from, until)| at(*from)..at(*until)), &(at(start)..at(end)));
            prop_assert_eq!(sum.as_secs(), expected.count() as u64 * 60);
        }
    }
}
