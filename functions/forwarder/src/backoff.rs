//! The pause after an internal fault, which says nothing about the endpoint and does not count as an attempt.

use std::time::Duration;

/// The number of receipts after which SQS itself moves a message to the dead-letter queue: `maxReceiveCount` in template.yaml.
pub const MAX_RECEIVES: u32 = 1_000;

/// Maximum time in the queue during internal faults: SQS deletes a message after 14 days.
pub(crate) const LONGEST_STAY: Duration = Duration::from_hours(13 * 24);

const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(20);

/// Returns the pause after an internal fault, by the number of receipts. The pauses of [`MAX_RECEIVES`] receipts outlast [`LONGEST_STAY`], so
/// that SQS moves no message without a record of the reason.
pub(crate) fn pause(receives: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << receives.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_30_seconds_to_20_minutes_and_outlast_the_longest_stay() {
        let pauses: Vec<u64> = (1..=8).map(|receives| pause(receives).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1200, 1200]);
        assert_eq!((pause(0), pause(u32::MAX)), (FIRST_PAUSE, LONGEST_PAUSE));
        assert!((1..MAX_RECEIVES).map(pause).sum::<Duration>() > LONGEST_STAY);
    }
}
