use std::ops::Range;

use serde::{Serialize, Serializer, ser::SerializeStruct};
use shared::{RegisteredUrl, Timestamp, WebhookUrl};

/// The answer to a successful run, with the tokens in its URLs masked.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the action.
    pub action: &'static str,
    /// The result of the run.
    pub outcome: Outcome,
    /// The URL that should be registered. Before a rotation it still has the old token.
    #[serde(serialize_with = "masked")]
    pub desired: WebhookUrl,
    /// The URL that the provider last showed as registered.
    #[serde(serialize_with = "masked_if_any")]
    pub registered: Option<RegisteredUrl>,
    /// True if the registered URL is the desired one.
    pub verified: bool,
    /// True if the events that go to the registered URL reach us, with whichever token. Only in reports of `get` and `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
    /// True if our URL has been seen registered in this partner account. Only in reports of `get` and `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours_seen: Option<bool>,
    /// Period in which the webhook may have pointed elsewhere, if this run found that it did: from the last check that found ours
    /// registered to the last one of this run.
    #[serde(serialize_with = "window", skip_serializing_if = "Option::is_none")]
    pub not_ours: Option<Range<Timestamp>>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The registered URL is the desired one.
    UpToDate,
    /// A URL was set.
    Updated,
    /// A sync would set our URL, with a new token if the current one is too old, or finish a rotation.
    WouldUpdate,
    /// The registered URL was looked up.
    Reported,
}

/// The result of a stack's request, as the stack shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resolved {
    /// `up_to_date` or `updated`, as in a report; `left_alone` when a person takes care of the registration, or there was
    /// nothing to restore; `waiting_for_credentials` when the partner secret has none yet.
    pub outcome: &'static str,
    /// The registered URL, masked; empty when the provider was not asked.
    pub registered: String,
}

impl Resolved {
    pub(crate) fn by(report: &Report) -> Self {
        let registered = report.registered.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { outcome: report.outcome.name(), registered }
    }

    pub(crate) fn without_asking(outcome: &'static str) -> Self {
        Self { outcome, registered: String::new() }
    }
}

impl Outcome {
    /// Returns the name in the answer and in the log.
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
    /// Returns the report of a run that last saw this URL registered.
    pub(crate) fn new(
        action: &'static str,
        outcome: Outcome,
        desired: WebhookUrl,
        registered: Option<RegisteredUrl>,
    ) -> Self {
        let verified = registered.as_ref().is_some_and(|registered| registered.means(&desired));
        Self { action, outcome, desired, registered, verified, ours: None, ours_seen: None, not_ours: None }
    }
}

/// Logs how an action of the registration ended, as one line.
pub(crate) fn log(report: &Report) {
    let Report { action, outcome, desired, registered, verified, not_ours, .. } = report;
    let not_taken = *outcome == Outcome::Updated && !verified;
    let outcome = outcome.name();
    let registered = registered.as_ref().map(tracing::field::display);
    let not_ours_from = not_ours.as_ref().map(|window| tracing::field::display(window.start));
    let not_ours_until = not_ours.as_ref().map(|window| tracing::field::display(window.end));
    if not_taken {
        tracing::error!(
            action,
            outcome,
            %desired,
            registered,
            verified,
            not_ours_from,
            not_ours_until,
            "the provider accepted the URL but shows another one as registered"
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
