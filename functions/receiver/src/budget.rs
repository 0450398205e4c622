//! The time limits of a request. The provider waits 5 s for a 200 and does not try again (provider's page: Webhook, V2), so
//! every request is answered within [`ANSWER`], whatever is down.

use std::time::Duration;

use lambda::Patience;

/// Maximum time from a request to its answer. The function's own timeout is 5 s.
const ANSWER: Duration = Duration::from_millis(4_000);

/// Maximum time for reading the accepted tokens, at start or when an unknown token comes. A request never waits for both, as
/// the second reading is at least [`store::REREAD_INTERVAL`] after the first.
pub(crate) const READ_TOKENS: Duration = Duration::from_millis(800);

/// Maximum time for recording a delivery, conflicts and retries included.
pub(crate) const RECORD: Duration = Duration::from_millis(1_600);

/// An error of DynamoDB that took at least this long counts as a timeout: one attempt of three was not answered.
pub(crate) const TIMEOUT: Duration = DYNAMODB.attempt;

/// Maximum time for handing a delivery to the fallback queue, retries included.
pub(crate) const SEND: Duration = Duration::from_millis(1_200);

/// Time for everything else: the runtime, decoding, logging, a busy processor.
const REST: Duration = Duration::from_millis(400);

const _: () = {
    let steps = READ_TOKENS.saturating_add(RECORD).saturating_add(SEND).saturating_add(REST);
    assert!(steps.as_millis() <= ANSWER.as_millis(), "the steps of a request take longer than its answer may");
    assert!(READ_TOKENS.as_millis() < store::REREAD_INTERVAL.as_millis(), "a cold request may read the tokens twice");
    assert!(longest(&DYNAMODB) <= RECORD.as_millis(), "the last attempt at DynamoDB would be cut off");
    assert!(longest(&QUEUE) <= SEND.as_millis(), "the last attempt at SQS would be cut off");
};

/// Retries of a single call to DynamoDB.
pub const DYNAMODB: Patience =
    Patience { connect: Duration::from_millis(300), attempt: Duration::from_millis(480), attempts: 3, call: RECORD };

/// Retries of a single call to SQS.
pub const QUEUE: Patience =
    Patience { connect: Duration::from_millis(300), attempt: Duration::from_millis(560), attempts: 2, call: SEND };

/// Returns the maximum time of all attempts and the pauses between them, in milliseconds.
const fn longest(patience: &Patience) -> u128 {
    // The pauses are random, up to 50 ms at first and twice as much each time.
    let pauses = 50 * ((1 << (patience.attempts - 1)) - 1);
    patience.attempt.as_millis() * patience.attempts as u128 + pauses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_call_has_all_its_attempts_and_the_longest_pauses() {
        assert_eq!([longest(&DYNAMODB), longest(&QUEUE)], [3 * 480 + 50 + 100, 2 * 560 + 50]);
    }
}
