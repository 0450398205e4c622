use shared::{EventId, Timestamp};

/// Maximum size of a body, in bytes: 256 KB. With its typed fields beside it, it fits into one DynamoDB item; in base64 and
/// with its id beside it, it fits into one message of the fallback queue.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;

/// The time and the random bytes from which a request's id is made.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Time of receipt.
    pub received_at: Timestamp,
    /// Fresh random bytes.
    pub random: [u8; 8],
}

impl Arrival {
    /// Returns the id of the request's delivery.
    pub(crate) fn id(&self) -> EventId {
        EventId::new(self.received_at, self.random)
    }
}
