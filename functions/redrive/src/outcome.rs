use std::time::Duration;

use shared::Kind;
use store::Recorded;

/// What becomes of a message.
pub(crate) enum Outcome {
    /// It is recorded, now or by an earlier try: it leaves the queue.
    Recorded(Kind, Recorded),
    /// It came with a token that is none: it is dropped from the queue.
    Forged,
    /// It stays in the queue and is tried again after a pause.
    Again(Duration),
}
