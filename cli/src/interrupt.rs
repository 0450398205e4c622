use tokio::signal::unix::{SignalKind, signal};

/// Ctrl-C, or being asked to end.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
