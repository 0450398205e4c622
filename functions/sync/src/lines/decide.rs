//! Compares the webhook of a line with the configured one, decides, and derives the next record of the line. It does no I/O.

use std::time::Duration;

use partner::LineWebhook;
use shared::{EventId, FingerprintKey, RegisteredUrl, Timestamp, WebhookUrl};
use store::{LineAction, LineChange, LineRecord, LineStatus, SetLease};

use crate::config::LineMode;

/// Maximum number of URLs of a line that are remembered as ours.
const OUR_URLS: usize = 8;
/// Minimum time until the provider is asked again about a number that it does not know.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(23 * 60 * 60);

/// The configured webhook of a line.
pub(crate) struct Wanted {
    /// The URL; else the reason why there is none.
    pub(crate) url: Result<WebhookUrl, String>,
    pub(crate) retry: bool,
    pub(crate) read_status: bool,
    pub(crate) mode: LineMode,
}

/// The relation of a registered webhook to the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The configured URL, with or without the configured settings.
    Ours { as_configured: bool },
    /// No URL.
    Nothing,
    /// A URL that this stack has set earlier.
    Outdated,
    /// Any other URL.
    Foreign,
}

/// The finding of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The provider answered with the webhook.
    Webhook {
        standing: Standing,
        /// The URL as it is recorded: masked, and of a foreign one the host alone.
        url: Option<String>,
        /// Why it is not as configured, if the standing does not say it.
        cause: Option<String>,
    },
    /// The status is known without the webhook.
    Status(LineStatus),
    /// The provider did not answer, for this cause.
    Failed(String),
}

/// The circumstances of a check, for the record.
pub(crate) struct Check {
    pub(crate) now: Timestamp,
    /// Id of the change, if there is one.
    pub(crate) id: EventId,
    /// Fingerprint of the line's key.
    pub(crate) key: Option<String>,
    /// Time since which the line's key is known.
    pub(crate) known_since: Option<Timestamp>,
}

/// Returns the fingerprint under which a URL is remembered as ours.
pub(crate) fn url_fingerprint(url: &WebhookUrl, key: &FingerprintKey) -> String {
    // A WebhookUrl has a scheme and is not blank.
    let canonical = RegisteredUrl::new(url.expose()).map(|url| url.canonical("https"));
    key.fingerprint(canonical.as_ref().map_or("", |url| url.expose()).as_bytes()).to_string()
}

impl Wanted {
    /// Compares a webhook with the configured one.
    pub(crate) fn standing(&self, webhook: &LineWebhook, our_urls: &[String], key: &FingerprintKey) -> Standing {
        let Some(registered) = &webhook.url else { return Standing::Nothing };
        if self.url.as_ref().is_ok_and(|url| registered.means(url)) {
            // A setting that the provider does not report cannot be compared.
            let as_configured = webhook.retry.is_none_or(|retry| retry == self.retry)
                && webhook.read_status.is_none_or(|read_status| read_status == self.read_status);
            return Standing::Ours { as_configured };
        }
        let is_ours = |scheme| {
            let fingerprint = key.fingerprint(registered.canonical(scheme).expose().as_bytes()).to_string();
            our_urls.contains(&fingerprint)
        };
        if ["https", "http"].into_iter().any(is_ours) { Standing::Outdated } else { Standing::Foreign }
    }

    /// Returns the URL to set; `None` when the webhook is left as it is.
    pub(crate) fn to_set(&self, standing: Standing) -> Option<&WebhookUrl> {
        let sets = match (self.mode, standing) {
            (LineMode::Observe, _) | (_, Standing::Ours { as_configured: true }) => false,
            (LineMode::Fill, Standing::Foreign) => false,
            (LineMode::Fill | LineMode::Enforce, _) => true,
        };
        self.url.as_ref().ok().filter(|_| sets)
    }

    /// Describes a webhook for the record. `fault` is the fault of the setting before, if there was one.
    pub(crate) fn finding(&self, webhook: &LineWebhook, standing: Standing, fault: Option<String>) -> Finding {
        let url = webhook.url.as_ref().map(|url| match (standing, &self.url) {
            (Standing::Foreign, _) => url.masked_host(),
            // In our own spelling: another one of the provider's is no change.
            (Standing::Ours { .. }, Ok(ours)) => ours.to_string(),
            _ => url.to_string(),
        });
        let cause = match (standing, &self.url) {
            (Standing::Ours { as_configured: true }, _) => None,
            (Standing::Ours { as_configured: false }, _) => fault.or_else(|| {
                Some("the provider has other values of retry and readStatus than the configured ones".to_owned())
            }),
            (_, Err(cause)) => Some(cause.clone()),
            (Standing::Outdated, _) => {
                fault.or_else(|| Some("an earlier URL of this stack is still registered".to_owned()))
            }
            (Standing::Nothing | Standing::Foreign, _) => fault,
        };
        Finding::Webhook { standing, url, cause }
    }
}

impl Finding {
    /// Returns the status; `None` when the provider did not answer.
    fn concluded(&self) -> Option<LineStatus> {
        match self {
            Self::Webhook { standing: Standing::Ours { .. }, .. } => Some(LineStatus::Live),
            Self::Webhook { standing: Standing::Nothing, .. } => Some(LineStatus::Empty),
            Self::Webhook { standing: Standing::Outdated | Standing::Foreign, .. } => Some(LineStatus::Foreign),
            Self::Status(status) => Some(*status),
            Self::Failed(_) => None,
        }
    }

    pub(crate) fn status(&self) -> LineStatus {
        self.concluded().unwrap_or(LineStatus::Unreachable)
    }
}

/// Returns the status that a line has without asking the provider, whose answer would be the same.
pub(crate) fn without_asking(
    record: Option<&LineRecord>,
    key: &str,
    now: Timestamp,
    is_asked_for: bool,
) -> Option<LineStatus> {
    let record = record.filter(|record| record.key.as_deref() == Some(key))?;
    match record.concluded {
        // Of this key it is known for good.
        Some(LineStatus::WrongKey) => Some(LineStatus::WrongKey),
        Some(LineStatus::UnknownNumber)
            if record.status == LineStatus::UnknownNumber
                && !is_asked_for
                && now.since(record.attempted_at) < UNKNOWN_AGAIN =>
        {
            Some(LineStatus::UnknownNumber)
        }
        _ => None,
    }
}

/// Returns the record after a check, and the change that it shows. `set` is true if the check has set the URL.
pub(crate) fn next(
    record: LineRecord,
    finding: &Finding,
    set: bool,
    check: &Check,
) -> (LineRecord, Option<LineChange>) {
    let before = record.clone();
    let now = check.now;
    let mut next = record;
    next.attempted_at = now;
    let status = finding.status();
    if before.version == 0 || before.status != status {
        next.since = now;
    }
    next.status = status;
    let Some(concluded) = finding.concluded() else {
        // Of the webhook nothing new is known. A set without an answer may still be under way.
        if let Finding::Failed(cause) = finding {
            next.cause = Some(cause.clone());
        }
        return (next, None);
    };
    next.concluded = Some(concluded);
    next.key = check.key.clone();
    next.lease = None;
    next.cause = None;
    // Without an answer about the webhook the last known URL is no longer known.
    next.url = None;
    let mut is_set = false;
    let mut not_live = None;
    match finding {
        Finding::Webhook { standing, url, cause } => {
            next.checked_at = Some(now);
            next.url.clone_from(url);
            next.cause.clone_from(cause);
            if let Standing::Ours { as_configured } = standing {
                // A run that was killed has set the URL, but could not write that down. Settings that the provider does not take are
                // set at every check, which is no news.
                is_set =
                    (set || before.lease.is_some()) && (*as_configured || before.concluded != Some(LineStatus::Live));
                if is_set {
                    next.set_at = Some(now);
                }
                next.live_at = Some(now);
                not_live = next.not_live_since.take().map(|since| since..now);
            } else {
                let since = *next.not_live_since.get_or_insert(before.live_at.or(check.known_since).unwrap_or(now));
                not_live = Some(since..now);
            }
        }
        Finding::Status(LineStatus::WrongKey | LineStatus::UnknownNumber) => next.checked_at = Some(now),
        Finding::Status(_) | Finding::Failed(_) => {}
    }
    let has_changed = before.concluded != Some(concluded) || before.url != next.url || is_set;
    let change = has_changed.then(|| LineChange {
        id: check.id,
        from: before.concluded,
        to: concluded,
        action: if is_set { LineAction::Set } else { LineAction::Found },
        url: next.url.clone(),
        cause: next.cause.clone(),
        not_live,
    });
    (next, change)
}

/// Returns the record of a line right before its URL is set.
pub(crate) fn about_to_set(record: LineRecord, url: String, until: Timestamp) -> LineRecord {
    let mut record = record;
    record.our_urls.retain(|ours| *ours != url);
    record.our_urls.push(url.clone());
    let surplus = record.our_urls.len().saturating_sub(OUR_URLS);
    record.our_urls.drain(..surplus);
    record.lease = Some(SetLease { url, until });
    record
}

/// Returns whether another run may be setting another URL at this moment.
pub(crate) fn is_leased_to_another_url(record: &LineRecord, url: &str, now: Timestamp) -> bool {
    record.lease.as_ref().is_some_and(|lease| lease.url != url && lease.until > now)
}
