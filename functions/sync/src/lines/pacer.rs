use std::{cell::Cell, time::Duration};

use tokio::time::{Instant, sleep_until};

/// Spreads calls evenly over time.
pub(crate) struct Pacer {
    interval: Duration,
    next: Cell<Option<Instant>>,
}

impl Pacer {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: Cell::new(None) }
    }

    /// Waits until the next call may be made.
    pub(crate) async fn turn(&self) {
        let now = Instant::now();
        let at = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(at + self.interval));
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_at_once_are_spread_and_a_pause_is_not_made_up_for() {
        let (pacer, began) = (Pacer::new(Duration::from_millis(200)), Instant::now());
        let turns = async |calls: usize| {
            join_all((0..calls).map(async |_| {
                pacer.turn().await;
                began.elapsed().as_millis()
            }))
            .await
        };
        assert_eq!(turns(3).await, [0, 200, 400]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(turns(2).await, [10_400, 10_600]);
    }
}
