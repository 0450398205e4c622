//! Keeps the webhook URL that is registered with the provider true: gets what is registered, compares it by meaning with
//! what it should be, sets it if it differs, and reads back what is registered then.
//!
//! One event, one careful pass: nothing here tries again, the next run of the schedule does. The one exception is an
//! access token that has expired, for which a new one is asked once.
//!
//! No secret, no body of the provider's and no URL with its token is in any report, error, log line or `Debug` output.

mod action;
mod base_url;
mod compare;
mod config;
mod credentials;
mod error;
mod kept_access_token;
mod limits;
mod partner;
mod report;
mod secrets;
mod session;

pub use action::{Action, BadRequest};
pub use base_url::{ApiBaseUrl, InvalidApiBaseUrl};
pub use compare::{Comparison, compare};
pub use config::Config;
pub use error::{Answered, SecretFault, SyncError};
pub use limits::{AWS, Limits};
pub use partner::{Call, Unreached};
pub use report::{Outcome, Report};
pub use secrets::SecretId;
use serde_json::Value;
use shared::{Timestamp, WebhookUrl};
use store::AcceptedTokens;

use crate::{kept_access_token::KeptAccessToken, partner::PartnerApi, secrets::Secrets, session::Session};

/// The function: what its handler needs from one event to the next.
pub struct WebhookSync {
    secrets: Secrets,
    partner: PartnerApi,
    kept: KeptAccessToken,
    accepted: AcceptedTokens,
    limits: Limits,
}

impl WebhookSync {
    /// Puts the function together; nothing is called yet.
    pub fn new(
        config: Config,
        limits: Limits,
        secrets: aws_sdk_secretsmanager::Client,
        dynamodb: aws_sdk_dynamodb::Client,
    ) -> Self {
        Self {
            accepted: AcceptedTokens::new(dynamodb, &config.events_table),
            partner: PartnerApi::new(config.partner_api.clone(), limits),
            kept: KeptAccessToken::default(),
            secrets: Secrets::new(secrets, config),
            limits,
        }
    }

    /// Carries out what an event asks for, and logs the outcome as one line.
    ///
    /// # Errors
    /// One per cause, see [`SyncError`].
    pub async fn handle(&self, event: Value, now: Timestamp) -> Result<Report, SyncError> {
        let result = match Action::read(&event) {
            Ok(action) => self.run(action, now).await,
            Err(refused) => Err(refused.into()),
        };
        report::log(&result);
        result
    }

    /// Carries out an action. `now` is when it begins.
    ///
    /// # Errors
    /// One per cause, see [`SyncError`].
    pub async fn run(&self, action: Action, now: Timestamp) -> Result<Report, SyncError> {
        let token = self.secrets.webhook_token().await?;
        let ours = self.secrets.webhook_url(&token)?;
        match &action {
            Action::Get => {
                let found = compare(self.open_session(now).await?.get().await?, ours);
                Ok(Report::new(&action, Outcome::Reported, &found))
            }
            Action::Plan => {
                let found = compare(self.open_session(now).await?.get().await?, ours);
                let outcome = if found.is_up_to_date() { Outcome::UpToDate } else { Outcome::WouldUpdate };
                Ok(Report::new(&action, outcome, &found))
            }
            Action::Sync => {
                // First of all, and also when nothing will have to be set: at no time is a URL of ours registered whose
                // token the receiver refuses.
                let accepted_since = self.accepted.accept(&token.hash(), now).await?;
                let mut session = self.open_session(now).await?;
                match compare(session.get().await?, ours) {
                    found @ Comparison::UpToDate { .. } => Ok(Report::new(&action, Outcome::UpToDate, &found)),
                    found @ (Comparison::NothingRegistered { .. } | Comparison::Elsewhere { .. }) => {
                        tracing::info!(%found, "the webhook will be set");
                        self.settle(accepted_since, now).await;
                        register(&action, found.desired(), session).await
                    }
                }
            }
            Action::Set(url) if compare::mean_the_same(url, &ours) => {
                let accepted_since = self.accepted.accept(&token.hash(), now).await?;
                let session = self.open_session(now).await?;
                self.settle(accepted_since, now).await;
                register(&action, url, session).await
            }
            Action::Set(url) => {
                // Whether the place that a person has chosen lets the provider in is not ours to know.
                register(&action, url, self.open_session(now).await?).await
            }
        }
    }

    async fn open_session(&self, now: Timestamp) -> Result<Session<'_>, SyncError> {
        let credentials = self.secrets.credentials().await?;
        Session::open(&self.partner, &self.kept, credentials, now).await
    }

    /// Waits until every receiver takes a token that is accepted since then. One that has read the accepted tokens just
    /// before does not read them again at once: until it does it refuses the new one, and what it refuses the provider does
    /// not send again.
    async fn settle(&self, accepted_since: Timestamp, now: Timestamp) {
        tokio::time::sleep(accepted_since.plus(self.limits.settle).since(now)).await;
    }
}

async fn register(action: &Action, url: &WebhookUrl, mut session: Session<'_>) -> Result<Report, SyncError> {
    session.set(url).await?;
    // The provider's OK alone does not show that the URL was taken.
    let registered = session.get().await?;
    Ok(Report::new(action, Outcome::Updated, &compare(registered, url.clone())))
}
