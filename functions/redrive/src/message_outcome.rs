use std::time::Duration;

use shared::Kind;
use store::Recorded;

/// The result of processing a message.
pub(crate) enum MessageOutcome {
    /// It is recorded, now or by an earlier attempt, and leaves the queue.
    Recorded {
        /// The kind of its event; unnamed when it is quarantined.
        kind: Kind,
        recorded: Recorded,
        /// Set when it is held because its source address is not on the list.
        held: bool,
    },
    /// Its token is not accepted; it is deleted from the queue.
    Forged,
    /// It stays in the queue and is tried again after a pause.
    Stays(Duration),
}
