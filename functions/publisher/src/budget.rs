//! The time limits for a batch.

use std::time::Duration;

use lambda::Patience;

/// Timeout of the function in template.yaml.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time for publishing a batch, and for moving records aside. Records that are not done by then are reported as failed.
pub(crate) const HAND_ON: Duration = Duration::from_secs(40);

/// The part of it that the forward queue may take. The rest is for the bus, so that a slow queue does not use up every batch's time.
pub(crate) const QUEUE: Duration = Duration::from_secs(20);

/// Maximum time for counting, and for a single call.
pub(crate) const CALL: Duration = Duration::from_secs(6);

const _: () = {
    let steps = HAND_ON.saturating_add(CALL).as_secs();
    assert!(steps + 5 <= TIMEOUT.as_secs(), "a batch takes longer than the function may");
    assert!(QUEUE.as_secs() * 2 <= HAND_ON.as_secs(), "too little is left for the bus");
};

/// Retries of a single call to EventBridge, SQS and DynamoDB.
pub const AWS: Patience =
    Patience { connect: Duration::from_secs(1), attempt: Duration::from_secs(2), attempts: 3, call: CALL };
