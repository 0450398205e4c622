use std::time::Duration;

use shared::Kind;
use store::Recorded;

/// The result of processing a message.
pub(crate) enum MessageOutcome {
    /// It is recorded, now or by an earlier try, and leaves the queue.
    Recorded {
        /// The kind of its event; unnamed when it is quarantined.
        kind: Kind,
        recorded: Recorded,
        /// Set when it is held because its source address is not on the list.
        held: bool,
    },
    /// It came with a token that is not accepted, and is dropped from the queue.
    Forged,
    /// It stays in the queue and is tried again after a pause.
    Stays(Duration),
}
