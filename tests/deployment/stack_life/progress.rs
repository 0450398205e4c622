//! Progress messages, and waiting.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Prints what happens, with the time since the first line.
pub fn say(what: &str) {
    println!("{:7.1} s  {what}", START.elapsed().as_secs_f64());
}

/// Polls until there is an answer.
///
/// # Panics
/// Panics if there is no answer in time.
pub async fn wait_for<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", within.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
