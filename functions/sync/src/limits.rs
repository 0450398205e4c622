use std::time::Duration;

use startup::Patience;
use store::REREAD_INTERVAL;

/// How long a run waits for what. The function's timeout in template.yaml is longer than all of it together, so that every
/// run ends with a report or an error that names the cause, and not with a bare timeout.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection to the partner API: its name, TCP and TLS.
    pub connect: Duration,
    /// For a whole call of the partner API, from its start to the last byte of the answer.
    pub call: Duration,
    /// Between accepting a new webhook token and registering the URL with it: longer than [`REREAD_INTERVAL`].
    pub settle: Duration,
}

impl Limits {
    /// What holds in production.
    pub const DEPLOYED: Self = Self {
        connect: Duration::from_secs(3),
        call: Duration::from_secs(10),
        settle: REREAD_INTERVAL.saturating_add(Duration::from_secs(1)),
    };
}

/// The same for AWS.
pub const AWS: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(3),
    attempts: 2,
    call: Duration::from_secs(6),
};

/// A run of the function at its longest: access token, get, once more access token and get because the first token had
/// expired, set, get to read back.
const PARTNER_CALLS: u64 = 6;

/// Both secrets, and accepting the webhook token.
const AWS_CALLS: u64 = 3;

/// `Timeout` of the function in template.yaml, in seconds.
const FUNCTION_TIMEOUT: u64 = 90;

const _: () = {
    let longest = PARTNER_CALLS * Limits::DEPLOYED.call.as_secs()
        + AWS_CALLS * AWS.call.as_secs()
        + Limits::DEPLOYED.settle.as_secs();
    assert!(longest + 5 < FUNCTION_TIMEOUT);
};
