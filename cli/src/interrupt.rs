use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, or for a request to terminate.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
