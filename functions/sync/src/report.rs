use serde::{Serialize, Serializer};
use shared::{RegisteredUrl, WebhookUrl};

use crate::{Action, Comparison, SyncError};

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
    /// Of a run whose last look at the provider gave this comparison.
    pub(crate) fn new(action: &Action, outcome: Outcome, last: &Comparison) -> Self {
        Self {
            action: action.name(),
            outcome,
            desired: last.desired().clone(),
            registered: last.registered().cloned(),
            verified: last.is_up_to_date(),
        }
    }
}

/// Logs how a run ended, as one line.
pub(crate) fn log(result: &Result<Report, SyncError>) {
    match result {
        Ok(report) => {
            let Report { action, outcome, desired, registered, verified } = report;
            let outcome = outcome.name();
            let registered = registered.as_ref().map(tracing::field::display);
            if outcome == Outcome::Updated.name() && !verified {
                tracing::error!(
                    action,
                    outcome,
                    %desired,
                    registered,
                    verified,
                    "the provider said OK, but the URL that was set is not the one that is registered"
                );
            } else {
                tracing::info!(action, outcome, %desired, registered, verified, "the registered webhook was checked");
            }
        }
        Err(error) => tracing::error!(cause = error.cause(), %error, "the registered webhook could not be checked"),
    }
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
