use std::time::Duration;

use lambda::within;
use shared::{Timestamp, TokenHash};
use store::{AcceptedToken, AcceptedTokens, REREAD_INTERVAL};
use tokio::sync::Mutex;

use crate::budget;

/// Maximum age of the accepted tokens before they are read again. For at most this long after its end, a replaced token is
/// still accepted by an execution environment that has not read the tokens since.
const RELIED_ON: Duration = Duration::from_mins(10);

/// The accepted tokens as this execution environment last read them.
pub(crate) struct KnownTokens {
    table: AcceptedTokens,
    last: Mutex<LastRead>,
}

struct LastRead {
    tokens: Vec<AcceptedToken>,
    at: Timestamp,
    succeeded: bool,
}

/// The result of checking a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is an accepted token.
    Accepted,
    /// It is not an accepted token.
    Unknown,
    /// It is not among the tokens read earlier, and they cannot be read now: it may be a new one.
    Unchecked,
}

impl KnownTokens {
    /// Reads the tokens, which also opens the connection for the first event. If that fails, the start continues, and the tokens
    /// of the first events are [`Standing::Unchecked`].
    pub(crate) async fn start(table: AcceptedTokens, now: Timestamp) -> Self {
        let mut last = LastRead { tokens: Vec::new(), at: now, succeeded: false };
        last.read(&table, now).await;
        Self { table, last: Mutex::new(last) }
    }

    /// Checks a token. The accepted tokens are read again when it is unknown, at most every [`REREAD_INTERVAL`], and every
    /// [`RELIED_ON`]. Tokens that were known are relied on as long as they cannot be read again.
    pub(crate) async fn check(&self, presented: &TokenHash, now: Timestamp) -> Standing {
        let mut last = self.last.lock().await;
        let good_for = if last.lets_in(presented, now) { RELIED_ON } else { REREAD_INTERVAL };
        // A clock that was set back must not stop the reading.
        if now.since(last.at).max(last.at.since(now)) >= good_for {
            last.read(&self.table, now).await;
        }
        match (last.lets_in(presented, now), last.succeeded) {
            (true, _) => Standing::Accepted,
            (false, true) => Standing::Unknown,
            (false, false) => Standing::Unchecked,
        }
    }
}

impl LastRead {
    async fn read(&mut self, table: &AcceptedTokens, now: Timestamp) {
        self.at = now;
        match within(budget::READ_TOKENS, "DynamoDB", table.read()).await {
            Ok(tokens) => (self.tokens, self.succeeded) = (tokens, true),
            Err(error) => {
                self.succeeded = false;
                tracing::error!(error, "the accepted webhook tokens cannot be read");
            }
        }
    }

    /// Compares with every token even after a match, so that the time reveals nothing.
    fn lets_in(&self, presented: &TokenHash, now: Timestamp) -> bool {
        self.tokens.iter().filter(|token| token.lets_in(presented, now)).count() > 0
    }
}
