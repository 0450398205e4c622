//! The pause before a message that stays in the queue is tried again. The queue itself would show it after its visibility
//! timeout.

use std::time::Duration;

/// The number of receipts after which a message goes to the dead-letter queue: `maxReceiveCount` in template.yaml.
pub const MAX_RECEIVES: u32 = 100;

/// The longest outage of DynamoDB that does not fill the dead-letter queue: the pauses of [`MAX_RECEIVES`] receipts add up to more.
const OUTAGE: Duration = Duration::from_secs(23 * 60 * 60);

const FIRST_PAUSE: u64 = 15;
const LONGEST_PAUSE: u64 = 15 * 60;

/// A message that cannot be read now cannot be read later either, so it need not wait a day for the dead-letter queue.
pub(crate) const UNREADABLE: Duration = Duration::from_secs(5);

/// Returns the pause after this number of receipts of a message that could not be recorded.
pub(crate) const fn pause(receives: u32) -> Duration {
    let doublings = if receives > 7 { 6 } else { receives.saturating_sub(1) };
    let seconds = FIRST_PAUSE << doublings;
    Duration::from_secs(if seconds < LONGEST_PAUSE { seconds } else { LONGEST_PAUSE })
}

const _: () = {
    let (mut receives, mut all) = (1, 0);
    while receives <= MAX_RECEIVES {
        all += pause(receives).as_secs();
        receives += 1;
    }
    assert!(all >= OUTAGE.as_secs(), "messages are given up before a long outage is over");
};

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
