use std::pin::Pin;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, or for a request to terminate.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for a future, unless [`interrupted`] ends first.
///
/// # Errors
/// Fails when it does.
pub async fn unless<T>(
    interrupted: Pin<&mut impl Future<Output = ()>>,
    something: impl Future<Output = T>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted => bail!("interrupted"),
        done = something => Ok(done),
    }
}
