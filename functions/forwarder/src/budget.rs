//! The time limits for a message.

use std::time::Duration;

use lambda::Patience;

/// Timeout of the function in template.yaml. The queue hides a message for 6 times that time, as Lambda recommends.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum of `ForwardTimeoutSeconds`.
pub(crate) const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);

/// Maximum time of a single call to DynamoDB or SQS, and for reading the secret. A message takes at most four of these in a row
/// besides its attempt.
pub(crate) const CALL: Duration = Duration::from_secs(6);

const _: () = {
    let steps = LONGEST_ATTEMPT.saturating_add(CALL.saturating_mul(4)).as_secs();
    assert!(steps + 5 <= TIMEOUT.as_secs(), "a message takes longer than the function may");
};

/// Retries of a single call to DynamoDB, SQS and Secrets Manager.
pub const AWS: Patience =
    Patience { connect: Duration::from_secs(1), attempt: Duration::from_secs(2), attempts: 3, call: CALL };
