use std::time::Duration;

use lambda::Patience;
use store::REREAD_INTERVAL;

/// Time limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the partner API.
    pub partner: partner::Limits,
    /// Time between accepting a new webhook token and registering the URL with it: longer than [`REREAD_INTERVAL`].
    pub settle: Duration,
    /// Maximum time between the start of a lease and its call. It covers the write in between and the difference between two
    /// clocks.
    pub lease_margin: Duration,
}

impl Limits {
    /// The limits in production.
    pub const DEPLOYED: Self = Self {
        partner: partner::Limits { connect: Duration::from_secs(3), call: Duration::from_secs(10) },
        settle: REREAD_INTERVAL.saturating_add(Duration::from_secs(1)),
        lease_margin: AWS.call.saturating_add(Duration::from_secs(2)),
    };

    /// Returns the time for which a lease is taken. It covers the call that sets a URL when its access token has expired: set, a new
    /// token, set.
    pub(crate) const fn lease(&self) -> Duration {
        self.partner.call.saturating_mul(3).saturating_add(self.lease_margin)
    }
}

/// Time limits of a call to AWS.
pub const AWS: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(3),
    attempts: 2,
    call: Duration::from_secs(6),
};

/// Time reserved at the end of an invocation, to record a failure and to answer CloudFormation. A run that is not done by then is
/// ended, so that every run ends with a report or an error that names the cause, and not with a bare timeout.
pub(crate) const CLOSING: Duration = AWS.call.saturating_add(ANSWERING).saturating_add(MARGIN);
/// Maximum time of the answer to CloudFormation, with all its attempts.
pub(crate) const ANSWERING: Duration = Duration::from_secs(11);
const MARGIN: Duration = Duration::from_secs(1);

/// `Timeout` of the function in template.yaml.
pub(crate) const FUNCTION_TIMEOUT: Duration = Duration::from_secs(120);

/// Maximum time between the sending of a CloudFormation request and the start of its run. Lambda drops an event after a minute, and
/// CloudFormation gives up after `ServiceTimeout`, which is this.
pub(crate) const LATE_REQUEST: Duration = Duration::from_secs(180);

/// Maximum number of partner calls of a run: access token and get, both again after an expired token, set, and get to read
/// back.
const PARTNER_CALLS: u32 = 6;

const _: () = {
    // A run that registers waits for receivers; a run that restores waits for leases, which is longer.
    let calls = Limits::DEPLOYED.partner.call.saturating_mul(PARTNER_CALLS);
    assert!(Limits::DEPLOYED.settle.as_secs() < Limits::DEPLOYED.lease().as_secs());
    let run = calls.saturating_add(Limits::DEPLOYED.lease()).saturating_add(CLOSING);
    assert!(run.as_secs() < FUNCTION_TIMEOUT.as_secs());
};
