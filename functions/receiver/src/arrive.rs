use shared::{Event, EventId, FingerprintKey};
use store::{Content, Delivery};

use crate::{authenticate::Verified, handler::Arrival};

/// The largest body that is taken, in bytes: 256 KB. With its typed fields beside it, it fits into one DynamoDB item.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;

/// Makes a delivery of a call; every body gives one.
pub(crate) fn decode(call: Verified, key: &FingerprintKey, arrival: Arrival) -> Delivery {
    Delivery {
        id: EventId::new(arrival.received_at, arrival.random),
        received_at: arrival.received_at,
        source_ip: call.source_ip,
        request_id: call.request_id,
        fingerprint: key.fingerprint(&call.body),
        content: match Event::decode(&call.body) {
            Ok(event) => Content::Event(event),
            Err(cause) => Content::Undecodable { bytes: call.body, cause },
        },
    }
}
