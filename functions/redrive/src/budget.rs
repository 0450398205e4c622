//! The time limits of a batch. Its messages are recorded side by side, so it takes as long as its slowest message.

use std::time::Duration;

use lambda::Patience;

/// The function's own timeout in template.yaml. The queue hides a message for 6 times as long, as Lambda recommends.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time for reading the accepted tokens, when a message has a token to be checked.
pub(crate) const READ_TOKENS: Duration = Duration::from_secs(6);

/// Maximum time for recording a delivery, conflicts and retries included.
pub(crate) const RECORD: Duration = Duration::from_secs(10);

/// Maximum time for hiding a message that stays in the queue.
pub(crate) const HIDE: Duration = Duration::from_secs(5);

const _: () = {
    let steps = READ_TOKENS.saturating_add(RECORD).saturating_add(HIDE).as_secs();
    assert!(steps + 5 <= TIMEOUT.as_secs(), "a batch takes longer than the function may");
};

/// Retries of a single call to DynamoDB.
pub const DYNAMODB: Patience =
    Patience { connect: Duration::from_secs(1), attempt: Duration::from_secs(2), attempts: 3, call: RECORD };

/// Retries of a single call to SQS.
pub const QUEUE: Patience =
    Patience { connect: Duration::from_secs(1), attempt: Duration::from_secs(2), attempts: 2, call: HIDE };
