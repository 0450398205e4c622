//! The time that a request has. The provider waits 5 s for a 200 and does not try again (provider's page: Webhook, V2), so
//! every request is answered within [`ANSWER`], whatever is down.

use std::time::Duration;

use startup::Patience;

/// Within this a request is answered. The function's own timeout is 5 s.
const ANSWER: Duration = Duration::from_millis(4_000);

/// For reading the accepted tokens, at start and when an unknown one comes.
pub(crate) const READ_TOKENS: Duration = Duration::from_millis(1_000);

/// For recording a delivery, conflicts and retries included.
pub(crate) const RECORD: Duration = Duration::from_millis(2_200);

/// For everything else: the runtime, decoding, logging, a busy processor.
const REST: Duration = Duration::from_millis(800);

const _: () = assert!(
    READ_TOKENS.as_millis() + RECORD.as_millis() + REST.as_millis() <= ANSWER.as_millis(),
    "the steps of a request take longer than its answer may"
);

/// How a single call to DynamoDB is tried: three attempts and their pauses fit into its time if each is cut off.
pub const DYNAMODB: Patience =
    Patience { connect: Duration::from_millis(400), attempt: Duration::from_millis(650), attempts: 3, call: RECORD };
