use std::net::IpAddr;

use shared::{Timestamp, TokenHash};
use thiserror::Error;

use crate::{
    known_tokens::{KnownTokens, Standing},
    route::Call,
    source_ips::SourceIps,
};

/// A call that came from an allowed address with an accepted token. Only [`Gate::authenticate`] makes one.
pub(crate) struct Verified {
    pub(crate) body: Vec<u8>,
    pub(crate) source_ip: IpAddr,
    pub(crate) request_id: String,
}

/// A call that is not let in.
pub(crate) struct Refused {
    pub(crate) cause: Refusal,
    /// As the gateway saw it, if it did.
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) request_id: String,
}

/// Why a call is not let in. The caller never learns which.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum Refusal {
    #[error("the gateway gave no source address")]
    NoSourceAddress,
    #[error("the source address is not among the allowed ones")]
    SourceAddress,
    #[error("there is no token in the path")]
    NoToken,
    #[error("the token in the path is not an accepted one")]
    Token,
}

/// Neither let in nor refused: it came from an allowed address, and the accepted tokens cannot be read.
pub(crate) struct CannotTell {
    pub(crate) body: Vec<u8>,
    pub(crate) source_ip: IpAddr,
    pub(crate) request_id: String,
    /// Of the token that it came with.
    pub(crate) presented: TokenHash,
}

/// What became of a call at the gate.
pub(crate) enum Verdict {
    Verified(Verified),
    Refused(Refused),
    CannotTell(CannotTell),
}

/// Lets calls in: first by the address they come from, then by the token in their path.
pub(crate) struct Gate {
    pub(crate) allowed: SourceIps,
    pub(crate) tokens: KnownTokens,
}

impl Gate {
    /// Checks the address before the token, so that nobody from elsewhere can make us read the tokens.
    pub(crate) async fn authenticate(&self, call: Call, now: Timestamp) -> Verdict {
        let Call { presented_token, source_ip, request_id, body } = call;
        let refused = |cause, request_id| Verdict::Refused(Refused { cause, source_ip, request_id });
        let Some(source_ip) = source_ip else { return refused(Refusal::NoSourceAddress, request_id) };
        if !self.allowed.allow(source_ip) {
            return refused(Refusal::SourceAddress, request_id);
        }
        if presented_token.is_empty() {
            return refused(Refusal::NoToken, request_id);
        }
        let presented = TokenHash::of(&presented_token);
        match self.tokens.check(&presented, now).await {
            Standing::Accepted => Verdict::Verified(Verified { body, source_ip, request_id }),
            Standing::Unknown => refused(Refusal::Token, request_id),
            Standing::CannotTell => Verdict::CannotTell(CannotTell { body, source_ip, request_id, presented }),
        }
    }
}
