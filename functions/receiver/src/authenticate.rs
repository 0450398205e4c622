use std::net::IpAddr;

use shared::{FingerprintKey, QueuedDelivery, Received, SourceIps, Timestamp, TokenCheck, TokenHash, UnlistedSource};
use store::Delivery;
use thiserror::Error;

use crate::{
    arrive::Arrival,
    gateway::GatewayRequest,
    known_tokens::{KnownTokens, Standing},
};

/// An authenticated call. Only [`Gate::authenticate`] can create it.
pub(crate) struct Admitted {
    call: QueuedDelivery,
    listed: bool,
}

impl Admitted {
    /// Returns the call as received.
    pub(crate) fn received(&self) -> &Received {
        &self.call.received
    }

    /// Returns the call as a message for the fallback queue.
    pub(crate) fn queued(&self) -> &QueuedDelivery {
        &self.call
    }

    /// Returns whether the token has been checked. If not, redrive checks it before it records anything.
    pub(crate) fn is_checked(&self) -> bool {
        matches!(self.call.token, TokenCheck::Accepted)
    }

    /// Returns whether the delivery must be held in quarantine because its address is unlisted.
    pub(crate) fn is_held(&self) -> bool {
        !self.listed
    }

    /// Returns the delivery to record: an event if the body is one and the address is listed.
    pub(crate) fn delivery(&self, key: &FingerprintKey) -> Delivery {
        if self.listed { Delivery::decode(self.received(), key) } else { Delivery::hold(self.received(), key) }
    }
}

/// A refused call.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) cause: Refusal,
    /// The caller's address as the gateway saw it, if it did.
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) request_id: String,
}

/// The reason why a call is refused. The caller never learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("the gateway gave no source address")]
    NoSourceAddress,
    #[error("the source address is not on the list")]
    SourceAddress,
    #[error("there is no token in the path")]
    NoToken,
    #[error("the token in the path is not an accepted one")]
    Token,
}

/// Authenticates calls by the token in their path and by their source address.
pub(crate) struct Gate {
    pub(crate) source_ips: SourceIps,
    pub(crate) unlisted_source: UnlistedSource,
    pub(crate) tokens: KnownTokens,
}

impl Gate {
    /// Authenticates a call.
    ///
    /// A receiver that refuses unlisted addresses checks the address before the token, so that callers from elsewhere cannot make it read
    /// the tokens. A receiver that holds their deliveries decides by the token alone.
    pub(crate) async fn authenticate(
        &self,
        request: GatewayRequest,
        presented_token: &str,
        arrival: Arrival,
    ) -> Result<Admitted, Refused> {
        let listed = request.source_ip.is_some_and(|address| self.source_ips.contains(address));
        let refusal = match request.source_ip {
            _ if listed || self.unlisted_source == UnlistedSource::Hold => None,
            Some(_) => Some(Refusal::SourceAddress),
            None => Some(Refusal::NoSourceAddress),
        };
        let token = match refusal {
            None => self.check(presented_token, arrival.received_at).await,
            Some(refusal) => Err(refusal),
        };
        let GatewayRequest { source_ip, request_id, content_type, content_encoding, body, .. } = request;
        match token {
            Err(cause) => Err(Refused { cause, source_ip, request_id }),
            Ok(token) => {
                let (id, received_at) = (arrival.id(), arrival.received_at);
                let received =
                    Received { id, received_at, source_ip, request_id, content_type, content_encoding, body };
                Ok(Admitted { call: QueuedDelivery { received, token }, listed })
            }
        }
    }

    async fn check(&self, presented_token: &str, now: Timestamp) -> Result<TokenCheck, Refusal> {
        if presented_token.is_empty() {
            return Err(Refusal::NoToken);
        }
        let presented = TokenHash::of(presented_token);
        match self.tokens.check(&presented, now).await {
            Standing::Accepted => Ok(TokenCheck::Accepted),
            Standing::Unknown => Err(Refusal::Token),
            Standing::Unchecked => Ok(TokenCheck::Pending(presented)),
        }
    }
}
