use shared::{QueuedDelivery, Received, TokenCheck};
use store::{AcceptedToken, AcceptedTokens};

use crate::budget;

/// A call that the receiver let in, or would have. Only [`Gate::authenticate`] makes one.
pub(crate) struct Verified(Received);

impl Verified {
    pub(crate) fn received(&self) -> &Received {
        &self.0
    }
}

/// What became of a queued call at the gate.
pub(crate) enum Verdict {
    Verified(Verified),
    /// It came with a token that is none of the accepted ones.
    Forged(Received),
    /// The accepted tokens cannot be read.
    CannotTell(Received),
}

/// The accepted tokens as they are now; `None` when they cannot be read.
pub(crate) struct Gate(Option<Vec<AcceptedToken>>);

impl Gate {
    /// Reads the accepted tokens if one of the deliveries has a token to be checked.
    pub(crate) async fn open(tokens: &AcceptedTokens, deliveries: impl IntoIterator<Item = &QueuedDelivery>) -> Self {
        if !deliveries.into_iter().any(|delivery| matches!(delivery.token, TokenCheck::Pending(_))) {
            return Self(None);
        }
        let fault = match tokio::time::timeout(budget::READ_TOKENS, tokens.read()).await {
            Ok(Ok(accepted)) => return Self(Some(accepted)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", budget::READ_TOKENS.as_secs()),
        };
        tracing::error!(error = fault, "the accepted webhook tokens cannot be read");
        Self(None)
    }

    pub(crate) fn authenticate(&self, delivery: QueuedDelivery) -> Verdict {
        match (delivery.token, &self.0) {
            (TokenCheck::Accepted, _) => Verdict::Verified(Verified(delivery.received)),
            (TokenCheck::Pending(_), None) => Verdict::CannotTell(delivery.received),
            (TokenCheck::Pending(presented), Some(accepted)) => {
                // What counts is the time at which it came: the token may have been replaced while the delivery waited.
                if accepted.iter().any(|token| token.lets_in(&presented, delivery.received.received_at)) {
                    Verdict::Verified(Verified(delivery.received))
                } else {
                    Verdict::Forged(delivery.received)
                }
            }
        }
    }
}
