//! The schedule for retrying an event that an endpoint has not accepted.

use std::time::Duration;

use shared::Timestamp;

use crate::answer::Refusal;

/// Waits after the first, second … failed attempt; the last one repeats.
const WAITS: [Duration; 7] =
    [secs(5), secs(5 * 60), secs(30 * 60), secs(2 * 3_600), secs(5 * 3_600), secs(10 * 3_600), LONGEST_WAIT];

/// Maximum wait between two attempts, even when the endpoint requests a longer one: SQS cannot hide a message for longer.
const LONGEST_WAIT: Duration = secs(12 * 3_600);

/// Maximum time from the first attempt to the next. An event whose next attempt would come later becomes a dead letter.
pub const GIVE_UP_AFTER: Duration = secs(3 * 24 * 3_600);

/// Maximum number of attempts when the endpoint refuses the event itself, which another attempt will hardly change.
const ATTEMPTS_WHEN_REFUSED: u32 = 5;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The failed attempts of an event so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of failed attempts, at least 1.
    pub attempts: u32,
    /// Start of the first attempt.
    pub first_attempt_at: Timestamp,
}

/// The next step for an event after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Retry after this time.
    RetryAfter(Duration),
    /// Give up: the event becomes a dead letter.
    GiveUp,
}

impl Progress {
    /// Decides the next step after the attempt that failed at `now`.
    pub fn next(&self, refusal: &Refusal, now: Timestamp) -> Next {
        if refusal.is_gone() || (refusal.is_final() && self.attempts >= ATTEMPTS_WHEN_REFUSED) {
            return Next::GiveUp;
        }
        let place = usize::try_from(self.attempts).unwrap_or(usize::MAX).clamp(1, WAITS.len());
        let scheduled = WAITS[place - 1];
        let wait = scheduled.max(refusal.retry_after().unwrap_or_default()).min(LONGEST_WAIT);
        if now.plus(wait).since(self.first_attempt_at) > GIVE_UP_AFTER { Next::GiveUp } else { Next::RetryAfter(wait) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::Answer;

    fn start() -> Timestamp {
        Timestamp::from_micros(1_795_339_800_000_000)
    }

    fn refusal(status: u16, retry_after: Option<&str>) -> Refusal {
        match Answer::of(status, retry_after, start()) {
            Answer::Refused(refusal) => refusal,
            Answer::Taken => panic!("{status} is no refusal"),
        }
    }

    /// Returns the waits until an endpoint that always answers the same is given up.
    fn waits(refusal: &Refusal) -> Vec<u64> {
        let (mut now, mut waits) = (start(), Vec::new());
        for attempts in 1.. {
            match (Progress { attempts, first_attempt_at: start() }).next(refusal, now) {
                Next::GiveUp => break,
                Next::RetryAfter(wait) => {
                    waits.push(wait.as_secs());
                    now = now.plus(wait);
                }
            }
        }
        waits
    }

    #[test]
    fn an_endpoint_that_is_down_is_tried_for_three_days() {
        let hours = |hours: u64| hours * 3_600;
        let expected =
            [5, 300, 1_800, hours(2), hours(5), hours(10), hours(12), hours(12), hours(12), hours(12)].to_vec();
        assert_eq!(waits(&refusal(503, None)), expected);
        for status in [408, 425, 429, 500, 302] {
            assert_eq!(waits(&refusal(status, None)), expected, "{status}");
        }
    }

    #[test]
    fn a_refused_event_is_given_up_after_5_attempts_and_a_gone_endpoint_at_once() {
        assert_eq!(waits(&refusal(400, None)).len(), 4);
        assert_eq!(waits(&refusal(404, Some("1"))).len(), 4);
        assert_eq!(waits(&refusal(410, None)), [0_u64; 0]);
    }

    #[test]
    fn retry_after_is_a_lower_bound_up_to_12_hours() {
        let next = |retry_after| {
            Progress { attempts: 1, first_attempt_at: start() }.next(&refusal(429, Some(retry_after)), start())
        };
        assert_eq!(next("60"), Next::RetryAfter(secs(60)));
        assert_eq!(next("1"), Next::RetryAfter(secs(5)));
        assert_eq!(next("9999999999"), Next::RetryAfter(LONGEST_WAIT));
        assert_eq!(next("soon"), Next::RetryAfter(secs(5)));
    }

    proptest! {
        #[test]
        fn no_event_waits_longer_than_12_hours_or_is_tried_after_3_days(
            attempts in 1..10_000_u32,
            status in 300..=599_u16,
            retry_after in proptest::option::of("[0-9]{1,12}"),
            late in 0..400_000_u64,
        ) {
            let now = start().plus(secs(late));
            if let Next::RetryAfter(wait) =
                (Progress { attempts, first_attempt_at: start() }).next(&refusal(status, retry_after.as_deref()), now)
            {
                prop_assert!(wait <= LONGEST_WAIT && wait >= secs(5));
                prop_assert!(now.plus(wait).since(start()) <= GIVE_UP_AFTER);
            }
        }
    }
}
