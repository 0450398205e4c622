use std::time::Duration;

use shared::{Timestamp, TokenHash};
use store::{AcceptedToken, AcceptedTokens, REREAD_INTERVAL};
use tokio::sync::Mutex;

use crate::budget;

/// How long the accepted tokens are relied on without being read again. A token that was replaced can be used for so long
/// after its end at most, by whoever calls an instance of the receiver that has not heard of it.
const RELIED_ON: Duration = Duration::from_secs(10 * 60);

/// The accepted tokens as this instance of the receiver last read them.
pub(crate) struct KnownTokens {
    table: AcceptedTokens,
    last: Mutex<LastRead>,
}

struct LastRead {
    tokens: Vec<AcceptedToken>,
    at: Timestamp,
    succeeded: bool,
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is one of the accepted ones.
    Accepted,
    /// It is none of them.
    Unknown,
    /// It is none of those that could be read, and they cannot be read now: it may have been accepted since.
    CannotTell,
}

impl KnownTokens {
    /// Reads the tokens, which also opens the connection that the first event will use. When that fails, the start is not
    /// held up any longer: of the first events it cannot be told whether their token is accepted.
    pub(crate) async fn start(table: AcceptedTokens, now: Timestamp) -> Self {
        let mut last = LastRead { tokens: Vec::new(), at: now, succeeded: false };
        last.read(&table, now).await;
        Self { table, last: Mutex::new(last) }
    }

    /// Checks a token. The accepted ones are read anew when it is unknown, at most every [`REREAD_INTERVAL`], and every
    /// [`RELIED_ON`]. What was known is relied on as long as it cannot be read anew.
    pub(crate) async fn check(&self, presented: &TokenHash, now: Timestamp) -> Standing {
        let mut last = self.last.lock().await;
        let good_for = if last.lets_in(presented, now) { RELIED_ON } else { REREAD_INTERVAL };
        if age(last.at, now) >= good_for {
            last.read(&self.table, now).await;
        }
        match (last.lets_in(presented, now), last.succeeded) {
            (true, _) => Standing::Accepted,
            (false, true) => Standing::Unknown,
            (false, false) => Standing::CannotTell,
        }
    }
}

impl LastRead {
    async fn read(&mut self, table: &AcceptedTokens, now: Timestamp) {
        self.at = now;
        let fault = match tokio::time::timeout(budget::READ_TOKENS, table.read()).await {
            Ok(Ok(tokens)) => {
                self.tokens = tokens;
                self.succeeded = true;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", budget::READ_TOKENS.as_millis()),
        };
        self.succeeded = false;
        tracing::error!(error = fault, "the accepted webhook tokens cannot be read");
    }

    /// Compares with every token, whichever matches, so that the time does not tell which one is close.
    fn lets_in(&self, presented: &TokenHash, now: Timestamp) -> bool {
        self.tokens.iter().fold(false, |found, token| found | token.lets_in(presented, now))
    }
}

/// The time between two moments, whichever was first: a clock that was set back must not stop the reading.
fn age(a: Timestamp, b: Timestamp) -> Duration {
    Duration::from_micros(a.as_micros().abs_diff(b.as_micros()))
}
