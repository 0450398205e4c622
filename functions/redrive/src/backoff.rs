//! The pause before a message that stays in the queue is tried again. The queue itself would show it after its visibility
//! timeout.

use std::time::Duration;

/// The number of receipts after which a message goes to the dead-letter queue: `maxReceiveCount` in template.yaml.
pub const MAX_RECEIVES: u32 = 100;

const FIRST_PAUSE: u64 = 15;
const LONGEST_PAUSE: u64 = 15 * 60;

/// A message that cannot be read now cannot be read later either, so it need not wait a day for the dead-letter queue.
pub(crate) const UNREADABLE: Duration = Duration::from_secs(5);

/// Returns the pause before the next attempt to record a message that was received this number of times. The pauses of [`MAX_RECEIVES`]
/// receipts outlast 23 hours without DynamoDB.
pub(crate) fn pause(receives: u32) -> Duration {
    let seconds = FIRST_PAUSE << receives.saturating_sub(1).min(6);
    Duration::from_secs(seconds.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_15_seconds_to_15_minutes_and_outlast_23_hours() {
        let pauses: Vec<u64> = (1..=9).map(|receives| pause(receives).as_secs()).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!((pause(0), pause(u32::MAX)), (Duration::from_secs(15), Duration::from_secs(900)));
        let all: Duration = (1..=MAX_RECEIVES).map(pause).sum();
        assert_eq!(all, Duration::from_secs(23 * 3600 + 45 * 60 + 45));
    }
}
