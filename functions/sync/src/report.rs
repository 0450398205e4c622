use std::ops::Range;

use serde::{Serialize, Serializer, ser::SerializeStruct};
use shared::{RegisteredUrl, Timestamp, WebhookUrl};

use crate::SyncError;

/// What a run has found and done: the function's answer, with the tokens in its URLs masked.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the action.
    pub action: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What should be registered.
    #[serde(serialize_with = "masked")]
    pub desired: WebhookUrl,
    /// What the provider said last is registered.
    #[serde(serialize_with = "masked_if_any")]
    pub registered: Option<RegisteredUrl>,
    /// Whether what the provider said last means what should be registered.
    pub verified: bool,
    /// The time within which the webhook may have pointed elsewhere, if this run has found that it did: from the last check
    /// that found ours registered to the last one of this run.
    #[serde(serialize_with = "window", skip_serializing_if = "Option::is_none")]
    pub not_ours: Option<Range<Timestamp>>,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What is registered is what should be.
    UpToDate,
    /// A URL was set.
    Updated,
    /// A sync would set our URL.
    WouldUpdate,
    /// What is registered was looked up, and nothing else.
    Reported,
}

impl Outcome {
    /// Its name in the answer and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Updated => "updated",
            Self::WouldUpdate => "would_update",
            Self::Reported => "reported",
        }
    }
}

impl Report {
    /// Of a run whose last look at the provider showed this.
    pub(crate) fn new(
        action: &'static str,
        outcome: Outcome,
        desired: WebhookUrl,
        registered: Option<RegisteredUrl>,
    ) -> Self {
        let verified = registered.as_ref().is_some_and(|registered| registered.means(&desired));
        Self { action, outcome, desired, registered, verified, not_ours: None }
    }
}

/// Logs how a run ended, as one line.
pub(crate) fn log(report: &Report) {
    let Report { action, outcome, desired, registered, verified, not_ours } = report;
    let outcome = outcome.name();
    let registered = registered.as_ref().map(tracing::field::display);
    let not_ours_from = not_ours.as_ref().map(|window| tracing::field::display(window.start));
    let not_ours_until = not_ours.as_ref().map(|window| tracing::field::display(window.end));
    if outcome == Outcome::Updated.name() && !verified {
        tracing::error!(
            action,
            outcome,
            %desired,
            registered,
            verified,
            not_ours_from,
            not_ours_until,
            "the provider said OK, but the URL that was set is not the one that is registered"
        );
    } else {
        tracing::info!(
            action,
            outcome,
            %desired,
            registered,
            verified,
            not_ours_from,
            not_ours_until,
            "the registered webhook was checked"
        );
    }
}

/// Logs why a run ended without a report, as one line.
pub(crate) fn log_failure(error: &SyncError) {
    tracing::error!(cause = error.cause(), %error, "the registered webhook could not be checked");
}

fn window<S: Serializer>(window: &Option<Range<Timestamp>>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(window) = window else { return serializer.serialize_none() };
    let mut both = serializer.serialize_struct("Window", 2)?;
    both.serialize_field("from", &window.start.to_string())?;
    both.serialize_field("until", &window.end.to_string())?;
    both.end()
}

fn masked<S: Serializer>(url: &WebhookUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(url)
}

fn masked_if_any<S: Serializer>(url: &Option<RegisteredUrl>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.collect_str(url),
        None => serializer.serialize_none(),
    }
}
