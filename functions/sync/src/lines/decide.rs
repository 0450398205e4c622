//! Compares the webhook of a line with the configured one, decides, and derives the next record of the line. It does no I/O.

use std::time::Duration;

use partner::LineWebhook;
use shared::{EventId, FingerprintKey, RegisteredUrl, Timestamp, WebhookUrl};
use store::{LineAction, LineChange, LineRecord, LineStatus, SetLease};

use crate::{config::LineMode, line_url::LineUrl};

/// The cause when the provider shows another URL right after it has accepted ours.
pub(crate) const NOT_SHOWN: &str = "the provider accepted the setting but shows another one";
/// The cause in later checks, while the provider shows that one.
const NOT_TAKEN: &str = "the provider did not take our URL when it was last set, and shows another one";

/// Maximum number of URLs of a line that are remembered as ours.
const OUR_URLS: usize = 8;
/// Minimum time between two questions to the provider about a line with the same lasting fault.
const DAILY: Duration = Duration::from_hours(23);
/// Time for which a number or a key is new: the provider may not know it yet, so every pass asks again.
const NEW_FOR: Duration = Duration::from_hours(24);

/// The configured webhook of a line.
pub(crate) struct Wanted {
    /// The URL, or the reason why there is none.
    pub(crate) url: Result<LineUrl, String>,
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
        /// The URL as it is recorded: of ours what [`LineUrl`] shows, of any other only the host.
        url: Option<String>,
        /// The reason why it is not as configured, if the standing does not tell.
        cause: Option<String>,
    },
    /// The status is known without the webhook.
    Status(LineStatus),
    /// The line's entity names no number that the provider can be asked about.
    NotANumber,
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
    /// Fingerprint of the configured URL, if there is one.
    pub(crate) url: Option<String>,
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
        if self.url.as_ref().is_ok_and(|url| registered.means(url.url())) {
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
    pub(crate) fn to_set(&self, standing: Standing) -> Option<&LineUrl> {
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
            // In our own spelling, so that another spelling by the provider is not a change.
            (Standing::Ours { .. }, Ok(ours)) => ours.to_string(),
            _ => url.masked_host(),
        });
        let cause = match (standing, &self.url) {
            (Standing::Ours { as_configured: true }, _) => None,
            (Standing::Ours { as_configured: false }, _) => fault.or_else(|| {
                Some("the provider's values of retry and readStatus differ from the configured ones".to_owned())
            }),
            // It is left, whatever ours would be.
            (Standing::Foreign, _) if self.mode != LineMode::Enforce => fault,
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
    /// Returns the finding with these settings, which are not ours and have changed together with our URL, in its cause.
    pub(crate) fn with_changed_settings(mut self, settings: &[&str]) -> Self {
        if let Self::Webhook { cause, .. } = &mut self
            && !settings.is_empty()
        {
            let told =
                format!("the provider has changed other settings together with the URL: {}", settings.join(", "));
            *cause = Some(cause.take().map_or_else(|| told.clone(), |cause| format!("{cause}; {told}")));
        }
        self
    }

    /// Returns the status; `None` when the provider did not answer.
    fn concluded(&self) -> Option<LineStatus> {
        match self {
            Self::Webhook { standing: Standing::Ours { .. }, .. } => Some(LineStatus::Live),
            Self::Webhook { standing: Standing::Nothing, .. } => Some(LineStatus::Empty),
            Self::Webhook { standing: Standing::Outdated | Standing::Foreign, .. } => Some(LineStatus::Foreign),
            Self::Status(status) => Some(*status),
            Self::NotANumber => Some(LineStatus::UnknownNumber),
            Self::Failed(_) => None,
        }
    }

    pub(crate) fn status(&self) -> LineStatus {
        self.concluded().unwrap_or(LineStatus::Unreachable)
    }
}

/// The person or rule that wants a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A pass over all lines.
    Pass,
    /// A request for this line.
    OneLine,
    /// A person who wants an answer from the provider in any case.
    Again,
}

/// Returns the status that a line has without asking the provider, whose answer would probably be the same. The key has been known since
/// `key_since`.
pub(crate) fn without_asking(
    record: Option<&LineRecord>,
    key: &str,
    key_since: Timestamp,
    now: Timestamp,
    caller: Caller,
) -> Option<LineStatus> {
    let record = record.filter(|record| record.key.as_deref() == Some(key) && caller != Caller::Again)?;
    match record.concluded {
        // The refusal of a key that is not new any more and never worked is final.
        Some(LineStatus::WrongKey) if !has_worked(record, key) => {
            (now.since(key_since) >= NEW_FOR).then_some(LineStatus::WrongKey)
        }
        Some(LineStatus::WrongKey) if record.checked_at.is_some_and(|at| now.since(at) < DAILY) => {
            Some(LineStatus::WrongKey)
        }
        Some(LineStatus::UnknownNumber)
            if record.status == LineStatus::UnknownNumber
                && caller == Caller::Pass
                && now.since(record.since) >= NEW_FOR
                && now.since(record.attempted_at) < DAILY =>
        {
            Some(LineStatus::UnknownNumber)
        }
        _ => None,
    }
}

/// Returns whether this key has worked: the provider has answered it with the line's webhook. A refusal of it may be the provider's fault.
pub(crate) fn has_worked(record: &LineRecord, key: &str) -> bool {
    record.worked_key.as_deref() == Some(key)
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
        if before.status != LineStatus::Unreachable {
            next.concluded_since = Some(before.since);
        }
        // Nothing new is known about the webhook. A set without an answer may still be in progress.
        if let Finding::Failed(cause) = finding {
            next.cause = Some(cause.clone());
        }
        return (next, None);
    };
    // A time without answers does not end a result that is the same before and after it.
    let concluded_since = next.concluded_since.take().filter(|_| before.concluded == Some(concluded));
    next.since = concluded_since.unwrap_or(next.since);
    next.concluded = Some(concluded);
    next.key = check.key.clone();
    next.lease = None;
    next.cause = None;
    // Without an answer about the webhook, the last known URL may be outdated.
    next.url = None;
    let mut is_set = false;
    let mut not_live = None;
    match finding {
        Finding::Webhook { standing, url, cause } => {
            next.checked_at = Some(now);
            next.worked_key.clone_from(&check.key);
            next.url.clone_from(url);
            next.cause.clone_from(cause);
            // A mode that leaves the other URL does not try again, so no later check would tell. The answer to the set may have been lost.
            let is_after_set = set || before.lease.is_some();
            next.not_taken = match (standing, url) {
                (Standing::Foreign, Some(url)) if is_after_set || before.not_taken.as_ref() == Some(url) => {
                    next.cause.get_or_insert_with(|| NOT_TAKEN.to_owned());
                    Some(url.clone())
                }
                _ => None,
            };
            if let Standing::Ours { as_configured } = standing {
                // Even if somebody else has set it: it is replaced once another one is configured.
                if let Some(url) = &check.url {
                    remember(&mut next, url.clone());
                }
                // A run that was killed has set the URL, but could not record it. Settings that the provider does not accept are set at
                // every check, and are not recorded again.
                is_set = is_after_set && (*as_configured || before.concluded != Some(LineStatus::Live));
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
        Finding::NotANumber => {
            next.cause = Some("the line's name is not a number in digits, so the provider cannot be asked".to_owned());
        }
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
    remember(&mut record, url.clone());
    record.lease = Some(SetLease { url, until });
    record
}

/// Remembers a URL as ours, by its fingerprint.
fn remember(record: &mut LineRecord, url: String) {
    record.our_urls.retain(|ours| *ours != url);
    record.our_urls.push(url);
    let surplus = record.our_urls.len().saturating_sub(OUR_URLS);
    record.our_urls.drain(..surplus);
}

/// Returns whether another run may be setting another URL at this moment.
pub(crate) fn is_leased_to_another_url(record: &LineRecord, url: &str, now: Timestamp) -> bool {
    record.lease.as_ref().is_some_and(|lease| lease.url != url && lease.until > now)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use shared::{Entity, Secret};

    use super::*;
    use crate::line_url::LineUrlTemplate;

    const HOUR: Duration = Duration::from_secs(3600);
    const OURS: &str = "https://bot.example/in";
    const NEW: &str = "https://new.example/in";
    const FOREIGN: &str = "https://other.example/in/secret";

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse().unwrap()
    }

    fn fingerprint_key() -> FingerprintKey {
        FingerprintKey::new(Secret::new("a key for tests only")).unwrap()
    }

    fn wanted(url: &str, mode: LineMode) -> Wanted {
        let webhook = WebhookUrl::parse("https://hooks.example/v1/webhook").unwrap();
        let url = LineUrlTemplate::parse(url, &[], webhook.url()).unwrap().url("972501234567", None).unwrap();
        Wanted { url: Ok(url), retry: true, read_status: false, mode }
    }

    fn webhook(url: &str) -> LineWebhook {
        let url = RegisteredUrl::new(url);
        LineWebhook { url, retry: Some(true), read_status: Some(false), others: Default::default() }
    }

    #[test]
    fn a_registered_url_is_ours_outdated_or_foreign() {
        let (wanted, key) = (wanted(OURS, LineMode::Fill), fingerprint_key());
        let set = [url_fingerprint(&WebhookUrl::parse("https://Old.example:443/in/").unwrap(), &key)];
        let as_configured = Standing::Ours { as_configured: true };
        for (url, standing) in [
            ("", Standing::Nothing),
            (OURS, as_configured),
            ("BOT.example:443/in/", as_configured),
            ("https://bot.example/IN", Standing::Foreign),
            ("http://bot.example/in", Standing::Foreign),
            ("https://bot.example/in?a", Standing::Foreign),
            ("old.example/in", Standing::Outdated),
            ("https://old.example/in/", Standing::Outdated),
            ("https://old.example/other", Standing::Foreign),
            ("not a url", Standing::Foreign),
        ] {
            assert_eq!(wanted.standing(&webhook(url), &set, &key), standing, "{url}");
        }
        for (retry, read_status, as_configured) in [
            (Some(false), Some(false), false),
            (Some(true), Some(true), false),
            (None, None, true),
            (None, Some(true), false),
        ] {
            let webhook = LineWebhook { retry, read_status, ..webhook(OURS) };
            assert_eq!(wanted.standing(&webhook, &set, &key), Standing::Ours { as_configured });
        }
    }

    #[test]
    fn only_what_the_mode_allows_is_set() {
        let standings = [
            Standing::Ours { as_configured: true },
            Standing::Ours { as_configured: false },
            Standing::Nothing,
            Standing::Outdated,
            Standing::Foreign,
        ];
        for (mode, sets) in [
            (LineMode::Observe, [false; 5]),
            (LineMode::Fill, [false, true, true, true, false]),
            (LineMode::Enforce, [false, true, true, true, true]),
        ] {
            let wanted = wanted(OURS, mode);
            assert_eq!(standings.map(|standing| wanted.to_set(standing).is_some()), sets, "{mode:?}");
            let unbuilt = Wanted { url: Err("no reference".to_owned()), ..wanted };
            assert!(standings.iter().all(|standing| unbuilt.to_set(*standing).is_none()));
        }
    }

    #[test]
    fn the_last_urls_that_were_set_are_remembered() {
        let mut record = LineRecord::new(Entity::named("whatsapp#1"), LineStatus::Empty, noon());
        for n in [0, 1, 2, 3, 4, 5, 6, 7, 8, 2] {
            record = about_to_set(record, n.to_string(), noon());
        }
        assert_eq!(record.our_urls, ["1", "3", "4", "5", "6", "7", "8", "2"]);
        assert!(is_leased_to_another_url(&record, "3", noon().minus(HOUR)));
        assert!(!is_leased_to_another_url(&record, "2", noon().minus(HOUR)));
        assert!(!is_leased_to_another_url(&record, "3", noon()));
    }

    fn record(status: LineStatus) -> LineRecord {
        LineRecord { key: Some("key".to_owned()), ..LineRecord::new(Entity::named("whatsapp#1"), status, noon()) }
    }

    #[test]
    fn the_provider_is_not_asked_while_its_answer_would_probably_be_the_same() {
        let micro = Duration::from_micros(1);
        let known = |status, worked, since: Duration, attempted: Duration| LineRecord {
            concluded: Some(status),
            worked_key: worked,
            since: noon().minus(since),
            attempted_at: noon().minus(attempted),
            checked_at: Some(noon().minus(attempted)),
            ..record(status)
        };
        let wrong = |attempted| known(LineStatus::WrongKey, None, DAILY, attempted);
        let worked = |attempted| known(LineStatus::WrongKey, Some("key".to_owned()), DAILY, attempted);
        let unknown = |since, attempted| known(LineStatus::UnknownNumber, None, since, attempted);
        let unanswered = LineRecord { status: LineStatus::Unreachable, ..unknown(NEW_FOR, HOUR) };
        let never_answered = LineRecord { checked_at: None, ..worked(HOUR) };
        let of_another_key = LineRecord { worked_key: Some("another".to_owned()), ..wrong(HOUR) };
        for (what, record, key_since, caller, is_known) in [
            ("a key that is not new", wrong(HOUR), NEW_FOR, Caller::Pass, true),
            ("a key that is not new, for a person", wrong(HOUR), NEW_FOR, Caller::OneLine, true),
            ("a key that is not new, again", wrong(HOUR), NEW_FOR, Caller::Again, false),
            ("a key that is new", wrong(HOUR), NEW_FOR - micro, Caller::Pass, false),
            ("another key has worked", of_another_key, NEW_FOR, Caller::Pass, true),
            ("a key that worked", worked(DAILY - micro), HOUR, Caller::OneLine, true),
            ("a key that worked, a day later", worked(DAILY), NEW_FOR, Caller::OneLine, false),
            ("a key that worked, without an answer since", never_answered, NEW_FOR, Caller::Pass, false),
            ("a number", unknown(NEW_FOR, DAILY - micro), HOUR, Caller::Pass, true),
            ("a number, for a person", unknown(NEW_FOR, HOUR), HOUR, Caller::OneLine, false),
            ("a number that is new", unknown(NEW_FOR - micro, HOUR), HOUR, Caller::Pass, false),
            ("a number, a day later", unknown(NEW_FOR, DAILY), HOUR, Caller::Pass, false),
            ("a number, without an answer since", unanswered, HOUR, Caller::Pass, false),
            ("a line that is live", known(LineStatus::Live, None, NEW_FOR, HOUR), NEW_FOR, Caller::Pass, false),
        ] {
            let status = record.concluded.filter(|_| is_known);
            let ask = |key| without_asking(Some(&record), key, noon().minus(key_since), noon(), caller);
            assert_eq!((ask("key"), ask("another")), (status, None), "{what}");
        }
        assert_eq!(without_asking(None, "key", noon().minus(NEW_FOR), noon(), Caller::Pass), None);
    }

    #[test]
    fn a_finding_has_a_cause_if_its_standing_does_not_tell() {
        let differ = Some("the provider's values of retry and readStatus differ from the configured ones");
        let earlier = Some("an earlier URL of this stack is still registered");
        let (fault, none) = (Some("fault"), Some("no reference"));
        for (standing, mode, is_built, before, cause) in [
            (Standing::Ours { as_configured: true }, LineMode::Fill, true, fault, None),
            (Standing::Ours { as_configured: false }, LineMode::Fill, true, None, differ),
            (Standing::Ours { as_configured: false }, LineMode::Fill, true, fault, fault),
            (Standing::Outdated, LineMode::Fill, true, None, earlier),
            (Standing::Outdated, LineMode::Fill, true, fault, fault),
            (Standing::Outdated, LineMode::Fill, false, fault, none),
            (Standing::Nothing, LineMode::Fill, true, None, None),
            (Standing::Nothing, LineMode::Fill, true, fault, fault),
            (Standing::Nothing, LineMode::Fill, false, None, none),
            (Standing::Foreign, LineMode::Fill, true, None, None),
            (Standing::Foreign, LineMode::Fill, false, None, None),
            (Standing::Foreign, LineMode::Observe, false, fault, fault),
            (Standing::Foreign, LineMode::Enforce, true, None, None),
            (Standing::Foreign, LineMode::Enforce, false, None, none),
        ] {
            let mut wanted = wanted(OURS, mode);
            if !is_built {
                wanted.url = Err("no reference".to_owned());
            }
            let finding = wanted.finding(&webhook(FOREIGN), standing, before.map(str::to_owned));
            let Finding::Webhook { url, cause: found, .. } = finding.clone() else { panic!("{finding:?}") };
            assert_eq!(found.as_deref(), cause, "{standing:?} {mode:?} {is_built} {before:?}");
            let shown =
                if matches!(standing, Standing::Ours { .. }) { "https://bot.example/***" } else { "other.example" };
            assert_eq!(url.as_deref(), Some(shown), "{standing:?}");
            assert_eq!(finding.clone().with_changed_settings(&[]), finding);
            let told = "the provider has changed other settings together with the URL: a, b";
            let expected = cause.map_or_else(|| told.to_owned(), |cause| format!("{cause}; {told}"));
            let Finding::Webhook { cause: Some(found), .. } = finding.with_changed_settings(&["a", "b"]) else {
                panic!()
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_record_shows_since_when_and_why_and_only_a_change_is_recorded() {
        let later = noon().plus(HOUR);
        let check = Check {
            now: later,
            id: EventId::new(later, [0; 8]),
            key: Some("key".to_owned()),
            url: Some("ours".to_owned()),
            known_since: Some(noon().minus(HOUR)),
        };
        let webhook = |standing, url: &str| Finding::Webhook { standing, url: Some(url.to_owned()), cause: None };
        let (ours, foreign) =
            (webhook(Standing::Ours { as_configured: true }, "ours"), webhook(Standing::Foreign, "a"));
        let failed = Finding::Failed("no answer".to_owned());
        let written = |status| LineRecord { version: 1, concluded: Some(status), ..record(status) };

        let (first, change) = next(record(LineStatus::Unreachable), &failed, false, &check);
        assert_eq!((first.since, first.cause.as_deref(), change), (later, Some("no answer"), None));
        let again = next(written(LineStatus::Unreachable), &failed, false, &check).0;
        assert_eq!((again.since, again.attempted_at, again.checked_at), (noon(), later, None));

        let without_answer = LineRecord {
            concluded: Some(LineStatus::Live),
            concluded_since: Some(noon().minus(HOUR)),
            ..written(LineStatus::Unreachable)
        };
        for (finding, since) in [(&ours, noon().minus(HOUR)), (&foreign, later)] {
            let next = next(without_answer.clone(), finding, false, &check).0;
            assert_eq!((next.since, next.concluded_since), (since, None));
        }

        let live = LineRecord { url: Some("ours".to_owned()), live_at: Some(noon()), ..written(LineStatus::Live) };
        let (same, change) = next(live.clone(), &ours, false, &check);
        assert_eq!((same.since, same.live_at, same.set_at, change), (noon(), Some(later), None, None));
        let (lost, change) = next(live.clone(), &foreign, false, &check);
        assert_eq!((lost.since, lost.cause, lost.not_taken), (later, None, None));
        assert_eq!(change.map(|change| change.not_live), Some(Some(noon()..later)), "since the last proof");
        let renamed = next(live.clone(), &webhook(Standing::Ours { as_configured: true }, "new"), false, &check).1;
        assert_eq!(renamed.map(|change| (change.action, change.not_live)), Some((LineAction::Found, None)));
        let set_again = next(live.clone(), &ours, true, &check).1;
        assert_eq!(set_again.map(|change| change.action), Some(LineAction::Set));
        let not_as_configured = webhook(Standing::Ours { as_configured: false }, "ours");
        let (record_after, change) = next(live, &not_as_configured, true, &check);
        assert_eq!((record_after.set_at, change), (None, None), "it was live before, and is set at every check");
        let set = next(written(LineStatus::Empty), &not_as_configured, true, &check).1;
        assert_eq!(set.map(|change| change.action), Some(LineAction::Set));

        let not_taken = |record: LineRecord, set, finding: &Finding| next(record, finding, set, &check).0.not_taken;
        let empty = written(LineStatus::Empty);
        let lease = Some(SetLease { url: "ours".to_owned(), until: noon() });
        let leased = LineRecord { lease, ..empty.clone() };
        let told = LineRecord { not_taken: Some("a".to_owned()), ..empty.clone() };
        assert_eq!(not_taken(empty.clone(), false, &foreign), None);
        assert_eq!(not_taken(empty, true, &foreign).as_deref(), Some("a"));
        assert_eq!(not_taken(leased, false, &foreign).as_deref(), Some("a"), "the answer to the set may be lost");
        assert_eq!(not_taken(told.clone(), false, &foreign).as_deref(), Some("a"));
        assert_eq!(not_taken(told.clone(), false, &webhook(Standing::Foreign, "b")), None);
        assert_eq!(not_taken(told, false, &ours), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Somebody else registers this URL, or none.
        Register(&'static str),
        /// The configuration changes.
        Configure(&'static str, LineMode),
        /// Another key is sealed.
        Seal(u8),
        /// The provider accepts another key from now on.
        Accept(u8),
        Check(Trouble),
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Trouble {
        None,
        /// The first get has no answer.
        NoAnswer,
        /// The set is answered and not carried out.
        Ignored,
        /// The set is carried out, and the get after it has no answer.
        NoAnswerAfterSet,
        /// The run is killed before the set.
        KilledBefore,
        /// The run is killed after the set.
        KilledAfter,
    }

    struct World {
        now: Timestamp,
        registered: String,
        accepted: u8,
        sealed: u8,
        sealed_at: Timestamp,
        wanted: Wanted,
        record: Option<LineRecord>,
        changes: Vec<LineChange>,
        /// The URLs that this stack has set.
        set: BTreeSet<String>,
        /// Number of URLs set by the last check.
        sets: usize,
        /// The keys that the provider was asked with and has refused, with the time.
        refused: BTreeMap<u8, Timestamp>,
        /// The last key that the provider has accepted.
        worked: Option<u8>,
    }

    impl World {
        fn get(&mut self) -> Result<LineWebhook, Finding> {
            if let Some(at) = self.refused.get(&self.sealed) {
                if self.worked == Some(self.sealed) {
                    assert!(self.now.since(*at) >= DAILY, "one that has worked is tried once a day");
                } else {
                    assert!(
                        self.now.since(self.sealed_at) < NEW_FOR,
                        "a wrong key is tried again only while it is new"
                    );
                }
            }
            if self.sealed != self.accepted {
                self.refused.insert(self.sealed, self.now);
                return Err(Finding::Status(LineStatus::WrongKey));
            }
            self.worked = Some(self.sealed);
            Ok(webhook(&self.registered))
        }

        fn write(&mut self, record: LineRecord, change: Option<LineChange>) {
            self.record = Some(LineRecord { version: record.version + 1, ..record });
            self.changes.extend(change);
        }

        /// The steps of a pass for one line.
        fn check(&mut self, trouble: Trouble) {
            self.sets = 0;
            self.now = self.now.plus(HOUR);
            let (now, key) = (self.now, fingerprint_key());
            let sealed = self.sealed.to_string();
            let check = Check {
                now,
                id: EventId::new(now, [0; 8]),
                key: Some(sealed.clone()),
                url: self.wanted.url.as_ref().ok().map(|url| url_fingerprint(url.url(), &key)),
                known_since: Some(self.sealed_at),
            };
            let record = self.record.clone();
            let record =
                record.unwrap_or_else(|| LineRecord::new(Entity::named("whatsapp#1"), LineStatus::Unreachable, now));
            if let Some(status) = without_asking(self.record.as_ref(), &sealed, self.sealed_at, now, Caller::Pass) {
                if record.status != status {
                    let (record, change) = next(record, &Finding::Status(status), false, &check);
                    self.write(record, change);
                }
                return;
            }
            let failed = Finding::Failed("no answer".to_owned());
            let got = if trouble == Trouble::NoAnswer { Err(failed.clone()) } else { self.get() };
            let (finding, url) = match got {
                Err(finding) => (finding, None),
                Ok(webhook) => {
                    let standing = self.wanted.standing(&webhook, &record.our_urls, &key);
                    (self.wanted.finding(&webhook, standing, None), self.wanted.to_set(standing).cloned())
                }
            };
            let (record, change) = next(record, &finding, false, &check);
            let Some(url) = url else { return self.write(record, change) };
            self.write(about_to_set(record, url_fingerprint(url.url(), &key), now), change);
            if trouble == Trouble::KilledBefore {
                return;
            }
            self.sets += 1;
            if trouble != Trouble::Ignored {
                url.url().expose().clone_into(&mut self.registered);
                self.set.insert(self.registered.clone());
            }
            if trouble == Trouble::KilledAfter {
                return;
            }
            let record = self.record.clone().unwrap();
            let finding = match (trouble, self.get()) {
                (Trouble::NoAnswerAfterSet, _) => failed,
                (_, Err(finding)) => finding,
                (_, Ok(webhook)) => {
                    let standing = self.wanted.standing(&webhook, &record.our_urls, &key);
                    self.wanted.finding(&webhook, standing, Some("not taken".to_owned()))
                }
            };
            let (record, change) = next(record, &finding, true, &check);
            self.write(record, change);
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let mode = prop::sample::select(vec![LineMode::Fill, LineMode::Enforce, LineMode::Observe]);
        let trouble = prop::sample::select(vec![
            Trouble::None,
            Trouble::None,
            Trouble::NoAnswer,
            Trouble::Ignored,
            Trouble::NoAnswerAfterSet,
            Trouble::KilledBefore,
            Trouble::KilledAfter,
        ]);
        let step = prop_oneof![
            2 => prop::sample::select(vec!["", FOREIGN, OURS, "new.example/in/"]).prop_map(Step::Register),
            2 => (prop::sample::select(vec![OURS, NEW]), mode).prop_map(|(url, mode)| Step::Configure(url, mode)),
            1 => (0..3_u8).prop_map(Step::Seal),
            1 => (0..3_u8).prop_map(Step::Accept),
            6 => trouble.prop_map(Step::Check),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn nothing_foreign_is_replaced_but_by_enforce_and_every_line_comes_to_rest(steps in steps()) {
            let mut world = World {
                now: noon(),
                registered: String::new(),
                accepted: 0,
                sealed: 0,
                sealed_at: noon(),
                wanted: wanted(OURS, LineMode::Fill),
                record: None,
                changes: Vec::new(),
                set: BTreeSet::new(),
                sets: 0,
                refused: BTreeMap::new(),
                worked: None,
            };
            for step in steps {
                match step {
                    Step::Register(url) => url.clone_into(&mut world.registered),
                    Step::Configure(url, mode) => world.wanted = wanted(url, mode),
                    // A key that was refused may be right later; only another one shows that.
                    Step::Seal(key) if world.refused.contains_key(&key) => {}
                    Step::Seal(key) => (world.sealed, world.sealed_at) = (key, world.now),
                    Step::Accept(key) if world.refused.contains_key(&key) => {}
                    Step::Accept(key) => world.accepted = key,
                    Step::Check(trouble) => {
                        let before = world.registered.clone();
                        world.check(trouble);
                        prop_assert!(world.sets <= 1);
                        let mode = world.wanted.mode;
                        prop_assert!(world.sets == 0 || mode != LineMode::Observe);
                        if before == FOREIGN && mode != LineMode::Enforce {
                            prop_assert_eq!(world.registered.as_str(), FOREIGN);
                        }
                    }
                }
            }
            // The key is right from now on, and the provider answers.
            world.refused.clear();
            (world.sealed, world.sealed_at, world.accepted) = (9, world.now, 9);
            world.check(Trouble::None);
            let (status, changes) = (world.record.clone().unwrap().status, world.changes.len());
            for _ in 0..3 {
                world.check(Trouble::None);
                prop_assert_eq!((world.sets, world.changes.len()), (0, changes), "nothing changes any more");
            }
            let record = world.record.clone().unwrap();
            let is_ours = webhook(&world.registered).url.is_some_and(|url| url.means(world.wanted.url.as_ref().unwrap().url()));
            let expected = match () {
                () if is_ours => LineStatus::Live,
                () if world.registered.is_empty() => LineStatus::Empty,
                () => LineStatus::Foreign,
            };
            prop_assert_eq!((record.status, status), (expected, expected));
            prop_assert_eq!(record.not_live_since.is_none(), is_ours);
            prop_assert_eq!(&record.lease, &None);
            prop_assert!(is_ours || world.wanted.mode == LineMode::Observe || world.registered == FOREIGN || !world.set.contains(&world.registered));
            // Each change begins where the one before has ended.
            let mut last = None;
            for change in &world.changes {
                prop_assert_eq!(change.from, last);
                prop_assert!(change.not_live.as_ref().is_none_or(|period| period.start <= period.end));
                last = Some(change.to);
            }
        }
    }
}
