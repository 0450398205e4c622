use lambda::within;
use shared::{FingerprintKey, QueuedDelivery, Received, SourceIps, TokenCheck};
use store::{AcceptedToken, AcceptedTokens, Delivery};

use crate::budget;

/// A call with an accepted token. Only [`Gate::authenticate`] can create it.
pub(crate) struct Verified(Received);

impl Verified {
    /// Returns the delivery to record: an event if the body is one and the address is listed, or there is no list.
    pub(crate) fn delivery(&self, key: &FingerprintKey, source_ips: Option<&SourceIps>) -> Delivery {
        let listed = |list: &SourceIps| self.0.source_ip.is_some_and(|address| list.contains(address));
        if source_ips.is_none_or(listed) { Delivery::decode(&self.0, key) } else { Delivery::hold(&self.0, key) }
    }
}

/// The result of authenticating a queued call.
pub(crate) enum Authentication {
    Verified(Verified),
    /// Its token is not accepted.
    Forged(Received),
    /// The accepted tokens cannot be read.
    Unchecked(Received),
}

/// The accepted tokens as they are now; `None` when they cannot be read, or there are none.
pub(crate) struct Gate(Option<Vec<AcceptedToken>>);

impl Gate {
    /// Reads the accepted tokens if one of the deliveries has a token to be checked.
    pub(crate) async fn open(tokens: &AcceptedTokens, deliveries: impl IntoIterator<Item = &QueuedDelivery>) -> Self {
        if !deliveries.into_iter().any(|delivery| matches!(delivery.token, TokenCheck::Pending(_))) {
            return Self(None);
        }
        match within(budget::READ_TOKENS, "DynamoDB", tokens.read()).await {
            // A restored or new table has no token until sync accepts ours, so a missing token proves nothing about a call.
            Ok(accepted) if accepted.is_empty() => {
                tracing::error!("the table has no accepted webhook token: run sync");
                Self(None)
            }
            Ok(accepted) => Self(Some(accepted)),
            Err(error) => {
                tracing::error!(error, "the accepted webhook tokens cannot be read");
                Self(None)
            }
        }
    }

    /// Checks a token that the receiver could not check.
    pub(crate) fn authenticate(&self, delivery: QueuedDelivery) -> Authentication {
        match (delivery.token, &self.0) {
            (TokenCheck::Accepted, _) => Authentication::Verified(Verified(delivery.received)),
            (TokenCheck::Pending(_), None) => Authentication::Unchecked(delivery.received),
            (TokenCheck::Pending(presented), Some(accepted)) => {
                // The time of receipt counts: the token may have been replaced while the delivery waited.
                if accepted.iter().any(|token| token.lets_in(&presented, delivery.received.received_at)) {
                    Authentication::Verified(Verified(delivery.received))
                } else {
                    Authentication::Forged(delivery.received)
                }
            }
        }
    }
}
