use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;

use crate::error::SyncError;

/// Carries out a run so that it always ends with a result: before the function's time is over, and also when it panics.
pub(crate) async fn guarded<T>(
    time_left: Duration,
    run: impl Future<Output = Result<T, SyncError>>,
) -> Result<T, SyncError> {
    match tokio::time::timeout(time_left, AssertUnwindSafe(run).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(SyncError::Panicked),
        Err(_) => Err(SyncError::OutOfTime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_result() {
        let result: Result<(), SyncError> = guarded(Duration::from_secs(60), async { panic!("a fault") }).await;
        assert_eq!(result.unwrap_err().cause(), "Panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_takes_too_long_is_ended() {
        let result: Result<(), SyncError> = guarded(Duration::from_secs(60), std::future::pending()).await;
        assert_eq!(result.unwrap_err().cause(), "OutOfTime");
    }
}
