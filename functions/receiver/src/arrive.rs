use shared::{EventId, QueuedDelivery, Received, Timestamp, TokenCheck};

use crate::authenticate::{CannotTell, Verified};

/// The largest body that is taken, in bytes: 256 KB. With its typed fields beside it, it fits into one DynamoDB item; in
/// base64 and with its id beside it, it fits into one message of the fallback queue.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;

/// What a request's id is made of.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When the request came in.
    pub received_at: Timestamp,
    /// Fresh random bytes.
    pub random: [u8; 8],
}

impl Arrival {
    fn id(&self) -> EventId {
        EventId::new(self.received_at, self.random)
    }
}

/// A call that was let in gets its id.
pub(crate) fn verified(call: Verified, arrival: Arrival) -> Received {
    Received {
        id: arrival.id(),
        received_at: arrival.received_at,
        source_ip: Some(call.source_ip),
        request_id: call.request_id,
        content_type: None,
        content_encoding: None,
        body: call.body,
    }
}

/// A call that could not be checked gets its id, and takes the hash of its token along.
pub(crate) fn unchecked(call: CannotTell, arrival: Arrival) -> QueuedDelivery {
    QueuedDelivery {
        received: Received {
            id: arrival.id(),
            received_at: arrival.received_at,
            source_ip: Some(call.source_ip),
            request_id: call.request_id,
            content_type: None,
            content_encoding: None,
            body: call.body,
        },
        token: TokenCheck::Pending(call.presented),
    }
}
