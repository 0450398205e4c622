use std::time::Duration;

use serde_json::Value;
use shared::{EventId, Timestamp};
use tokio::time::Instant;

use crate::limits;

/// Number of random bytes of an invocation.
pub const RANDOM: usize = IDS + TOKEN;
const IDS: usize = 8;
pub(crate) const TOKEN: usize = 36;

/// One invocation, with the time and the randomness that it needs. It has no `Debug`: a URL in the event may have a token in it, and
/// the random bytes become a token.
pub struct Invocation {
    /// The event.
    pub event: Value,
    /// Time of its start.
    pub now: Timestamp,
    /// Time until Lambda ends it.
    pub time_left: Duration,
    /// Random bytes, new for every invocation: for the ids of ledger entries and the token of a rotation.
    pub random: [u8; RANDOM],
}

impl Invocation {
    /// Returns the time that the run may take; the rest is for recording how it ended, and for the answer.
    pub(crate) fn for_the_run(&self) -> Duration {
        // A deadline that has passed when the invocation begins is ignored.
        let time = if self.time_left.is_zero() { limits::FUNCTION_TIMEOUT } else { self.time_left };
        time.saturating_sub(limits::CLOSING).max(time / 2)
    }
}

/// The time of day, counted from the start of the invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began_at: Timestamp,
    began: Instant,
}

impl Clock {
    pub(crate) fn starting(now: Timestamp) -> Self {
        Self { began_at: now, began: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.began_at.plus(self.elapsed())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The random bytes of an invocation, by their use.
pub(crate) struct Randomness {
    ids: [u8; IDS],
    token: [u8; TOKEN],
}

impl Randomness {
    pub(crate) fn new(random: [u8; RANDOM]) -> Self {
        let (mut ids, mut token) = ([0; IDS], [0; TOKEN]);
        ids.copy_from_slice(&random[..IDS]);
        token.copy_from_slice(&random[IDS..]);
        // Room to count up, so that the ids of one run are in order even within a microsecond.
        ids[IDS - 1] &= 0x7f;
        Self { ids, token }
    }

    /// Returns the id of the next ledger entry.
    pub(crate) fn event_id(&mut self, at: Timestamp) -> EventId {
        let id = EventId::new(at, self.ids);
        self.ids[IDS - 1] = self.ids[IDS - 1].saturating_add(1);
        id
    }

    /// Returns the random part of the ids, for changes whose times differ.
    pub(crate) fn ids(&self) -> [u8; IDS] {
        self.ids
    }

    /// Returns the bytes of a new token.
    pub(crate) fn token(&self) -> &[u8; TOKEN] {
        &self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_one_run_are_in_the_order_in_which_they_are_made() {
        let mut random = Randomness::new([0xff; RANDOM]);
        let ids: Vec<EventId> = (0..100).map(|_| random.event_id(Timestamp::from_micros(1))).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn the_random_bytes_are_used_once() {
        let random: [u8; RANDOM] = std::array::from_fn(|n| 200 + u8::try_from(n).unwrap());
        let split = Randomness::new(random);
        assert_eq!((&split.ids()[..7], split.ids()[7]), (&random[..7], random[7] & 0x7f));
        assert_eq!(split.token(), &random[8..]);
    }

    #[test]
    fn a_run_has_the_time_that_is_left_but_for_its_end_and_at_least_half_of_it() {
        let (event, now, random) = (Value::Null, Timestamp::from_micros(0), [0; RANDOM]);
        let of = |seconds| Invocation { event: event.clone(), now, time_left: Duration::from_secs(seconds), random };
        for (seconds, expected) in [(120, 102), (37, 19), (36, 18), (20, 10), (0, 102)] {
            assert_eq!(of(seconds).for_the_run(), Duration::from_secs(expected), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_goes_on_from_the_start_of_the_invocation() {
        let clock = Clock::starting(Timestamp::from_micros(5));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((clock.elapsed(), clock.now()), (Duration::from_secs(3), Timestamp::from_micros(3_000_005)));
    }
}
