//! A circuit breaker: keeps the receiver from waiting for a DynamoDB that does not answer.
//!
//! A call that waits for DynamoDB in vain occupies its execution environment for 1.6 s. If few environments may run at
//! once, Lambda throttles further calls, and they are lost. So after two timeouts in a row, deliveries go straight to the
//! fallback queue for some seconds. Then one delivery tries DynamoDB again, and its result decides how the next ones go.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use shared::Timestamp;

/// Number of consecutive timeouts that open the breaker.
const TIMEOUTS: u32 = 2;

/// Time for which an open breaker sends deliveries straight to the queue.
pub(crate) const OPEN: Duration = Duration::from_secs(10);

/// The breaker of one execution environment.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    timeouts_in_a_row: u32,
    /// The time of receipt of the last delivery that DynamoDB did not answer, while the breaker is open.
    open_since: Option<Timestamp>,
}

/// A change of the breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Deliveries go straight to the fallback queue from now on.
    Opened,
    /// Deliveries are recorded again.
    Closed,
}

impl Breaker {
    /// Returns whether a delivery received now should try DynamoDB.
    pub(crate) fn lets_through(&self, now: Timestamp) -> bool {
        // A clock that was set back must not keep the breaker open.
        self.lock().open_since.is_none_or(|since| since.since(now).max(now.since(since)) >= OPEN)
    }

    /// Notes a delivery's outcome at DynamoDB. A quick error is not a timeout.
    pub(crate) fn note(&self, timed_out: bool, received_at: Timestamp) -> Option<Change> {
        let mut state = self.lock();
        if !timed_out {
            state.timeouts_in_a_row = 0;
            return state.open_since.take().map(|_| Change::Closed);
        }
        state.timeouts_in_a_row = state.timeouts_in_a_row.saturating_add(1);
        if state.timeouts_in_a_row < TIMEOUTS {
            return None;
        }
        let was_open = state.open_since.replace(received_at).is_some();
        (!was_open).then_some(Change::Opened)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse::<Timestamp>().unwrap().plus(Duration::from_millis(millis))
    }

    #[test]
    fn it_opens_with_the_second_timeout_in_a_row_and_lets_one_through_after_ten_seconds() {
        let breaker = Breaker::default();
        assert_eq!(breaker.note(true, at(0)), None);
        assert!(breaker.lets_through(at(1)));
        assert_eq!(breaker.note(true, at(2_000)), Some(Change::Opened));
        assert!(!breaker.lets_through(at(2_001)));
        assert!(!breaker.lets_through(at(11_999)));
        assert!(breaker.lets_through(at(12_000)));
        assert_eq!(breaker.note(true, at(12_000)), None, "it stays open");
        assert!(!breaker.lets_through(at(21_999)));
        assert_eq!(breaker.note(false, at(22_000)), Some(Change::Closed));
        assert!(breaker.lets_through(at(22_001)));
        assert_eq!(breaker.note(true, at(23_000)), None, "it counts from zero again");
    }

    #[test]
    fn an_answer_between_two_timeouts_keeps_it_closed() {
        let breaker = Breaker::default();
        for second in 0..10 {
            assert_eq!(breaker.note(second % 2 == 0, at(second * 1_000)), None);
            assert!(breaker.lets_through(at(second * 1_000)));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = Breaker::default();
        breaker.note(true, at(100_000));
        breaker.note(true, at(100_000));
        assert!(!breaker.lets_through(at(90_001)));
        assert!(breaker.lets_through(at(90_000)));
    }
}
