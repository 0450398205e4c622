use std::time::Duration;

use lambda::Patience;
use store::REREAD_INTERVAL;

use crate::custom_resource;

/// How long a run waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the partner API.
    pub partner: partner::Limits,
    /// Between accepting a new webhook token and registering the URL with it: longer than [`REREAD_INTERVAL`].
    pub settle: Duration,
}

impl Limits {
    /// What holds in production.
    pub const DEPLOYED: Self = Self {
        partner: partner::Limits { connect: Duration::from_secs(3), call: Duration::from_secs(10) },
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

/// How much of the function's time is kept for the end: to take a failure down, and to answer CloudFormation. A run that is
/// not done by then is ended: every run ends with a report or an error that names the cause, and not with a bare timeout.
pub(crate) const CLOSING: Duration = AWS.call.saturating_add(custom_resource::ANSWERING).saturating_add(MARGIN);
const MARGIN: Duration = Duration::from_secs(1);

/// `Timeout` of the function in template.yaml.
pub(crate) const FUNCTION_TIMEOUT: Duration = Duration::from_secs(120);

/// A run whose partner calls all take their longest: access token, get, once more access token and get because the first
/// token had expired, set, get to read back. There is time for that.
const PARTNER_CALLS: u64 = 6;

const _: () = {
    let longest = PARTNER_CALLS * Limits::DEPLOYED.partner.call.as_secs() + Limits::DEPLOYED.settle.as_secs();
    assert!(longest + CLOSING.as_secs() < FUNCTION_TIMEOUT.as_secs());
};
