//! The forms in which an event is sent to the partner's own systems: an entry on the event bus, and a signed POST to an
//! HTTPS endpoint. The publisher and the forwarder share them.

mod answer;
mod bus_entry;
mod endpoint;
mod endpoint_url;
mod forward_message;
mod retry;
mod signing;
mod stored_secret;
mod without_sealed;

pub use answer::{Answer, Refusal};
pub use bus_entry::{BusEntry, SOURCE};
pub use endpoint::{Endpoint, Message};
pub use endpoint_url::{EndpointUrl, InvalidEndpointUrl};
pub use forward_message::{ForwardMessage, InvalidForwardMessage};
pub use retry::{GIVE_UP_AFTER, Next, Progress};
pub use signing::{InvalidSigningSecret, Signer, SigningSecret};
pub use stored_secret::{CurrentSecret, OVERLAP, SecretFault, StoredSecret};
pub use without_sealed::without_sealed;

/// Returns whether an event is published: duplicates, quarantined deliveries and the doctor's test events are not.
pub fn is_handed_on(delivery: &store::StoredDelivery) -> bool {
    delivery.duplicate_of.is_none() && delivery.body.is_some() && delivery.kind != shared::DOCTOR
}
