//! Keeps the webhook URL that is registered with the provider true: gets what is registered, compares it by meaning with
//! what it should be, sets it if it differs, reads back what is registered then, and takes down what it found and did.
//!
//! One event, one careful pass: nothing here tries again, the next run of the schedule does. The one exception is an
//! access token that has expired, for which a new one is asked once.
//!
//! No secret, no body of the provider's and no URL with its token is in any report, error, log line or `Debug` output.

mod action;
mod base_url;
mod book;
mod compare;
mod config;
mod credentials;
mod custom_resource;
mod decide;
mod error;
mod guard;
mod history;
mod invocation;
mod kept_access_token;
mod limits;
mod partner;
mod report;
mod run;
mod secrets;
mod session;

pub use action::{Action, BadRequest};
pub use base_url::{ApiBaseUrl, InvalidApiBaseUrl};
pub use config::{Config, SyncMode};
pub use custom_resource::{BadCustomResource, Resolved};
pub use error::{Answered, SecretFault, SyncError};
pub use invocation::{Invocation, RANDOM};
pub use limits::{AWS, Limits};
pub use partner::{Call, Unreached};
pub use report::{Outcome, Report};
pub use secrets::SecretId;
use serde::Serialize;
use shared::Timestamp;
use store::{AcceptedTokens, RegistrationLedger, UrlBeforeOurs};

use crate::{
    custom_resource::{CustomResource, Wish},
    decide::Intent,
    guard::guarded,
    invocation::{Clock, Randomness},
    kept_access_token::KeptAccessToken,
    partner::PartnerApi,
    run::Run,
    secrets::Secrets,
    session::Session,
};

/// The function: what its handler needs from one event to the next.
pub struct WebhookSync {
    config: Config,
    limits: Limits,
    secrets: Secrets,
    partner: PartnerApi,
    kept: KeptAccessToken,
    accepted: AcceptedTokens,
    ledger: RegistrationLedger,
    url_before_ours: UrlBeforeOurs,
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a person, or the schedule.
    Report(Report),
    /// To CloudFormation, which has been told already; this is what its log shows.
    Resolved(Resolved),
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
            secrets: Secrets::new(secrets, &config),
            partner: PartnerApi::new(config.partner_api.clone(), limits),
            kept: KeptAccessToken::default(),
            accepted: AcceptedTokens::new(dynamodb.clone(), &config.events_table),
            ledger: RegistrationLedger::new(dynamodb.clone(), &config.events_table),
            url_before_ours: UrlBeforeOurs::new(dynamodb, &config.sealed_table),
            config,
            limits,
        }
    }

    /// Carries out what an event asks for, and logs the outcome as one line.
    ///
    /// # Errors
    /// One per cause, see [`SyncError`].
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, SyncError> {
        // Boxed: what waits in a run is nested deeper than the compiler follows in one piece.
        if CustomResource::is_one(&invocation.event) {
            Box::pin(self.resolve(invocation)).await.map(Answer::Resolved)
        } else {
            Box::pin(self.act(invocation)).await.map(Answer::Report)
        }
    }

    /// What a person or the schedule asks for.
    async fn act(&self, invocation: Invocation) -> Result<Report, SyncError> {
        let action = match Action::read(&invocation.event) {
            Ok(action) => action,
            Err(refused) => return Err(log_failure(refused.into())),
        };
        let name = action.name();
        match action {
            Action::Get => guarded(invocation.for_the_run(), self.look(name, Outcome::Reported, invocation.now)).await,
            Action::Plan => {
                guarded(invocation.for_the_run(), self.look(name, Outcome::WouldUpdate, invocation.now)).await
            }
            Action::Sync => self.run(name, invocation, async |run| run.keep_true(Intent::Sync).await).await,
            Action::Rotate => self.run(name, invocation, async |run| run.keep_true(Intent::Rotate).await).await,
            Action::Set(url) => self.run(name, invocation, async |run| run.set(url).await).await,
        }
        .inspect(report::log)
        .map_err(log_failure)
    }

    /// What CloudFormation asks for. It is told how it ended, whatever happens.
    async fn resolve(&self, invocation: Invocation) -> Result<Resolved, SyncError> {
        let request = match CustomResource::read(&invocation.event) {
            Ok(request) => request,
            Err(refused) => return Err(log_failure(BadRequest::CustomResource(refused).into())),
        };
        let result = match request.wish {
            Wish::LeaveAlone => Ok(Resolved::without_asking("left_alone")),
            Wish::Register => self.run("register", invocation, async |run| run.register_for_stack().await).await,
            Wish::Restore => self.run("restore", invocation, async |run| run.restore_for_stack().await).await,
        };
        if let Err(fault) = request.answer(&result).await {
            tracing::error!(%fault, "the stack waits until its own time is over");
        }
        result.inspect(custom_resource::log).map_err(log_failure)
    }

    /// Looks at what is registered, and does nothing.
    async fn look(&self, action: &'static str, outcome: Outcome, now: Timestamp) -> Result<Report, SyncError> {
        let ours = self.secrets.our_urls().await?;
        let registered = self.open_session(now).await?.get().await?;
        let mut report = Report::new(action, outcome, ours.goal().url.clone(), registered);
        if outcome == Outcome::WouldUpdate && report.verified {
            report.outcome = Outcome::UpToDate;
        }
        Ok(report)
    }

    /// Carries out a run, within its time and whatever happens, and takes down how it ended.
    async fn run<T>(
        &self,
        action: &'static str,
        invocation: Invocation,
        steps: impl AsyncFnOnce(&mut Run<'_>) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let (clock, time) = (Clock::starting(invocation.now), invocation.for_the_run());
        let mut run = Run::open(self, action, clock, Randomness::new(invocation.random)).await?;
        let result = guarded(time, steps(&mut run)).await;
        let _summary = run.close(&result).await;
        result
    }

    async fn open_session(&self, now: Timestamp) -> Result<Session<'_>, SyncError> {
        let credentials = self.secrets.credentials().await?;
        Session::open(&self.partner, &self.kept, credentials, now).await
    }
}

fn log_failure(error: SyncError) -> SyncError {
    report::log_failure(&error);
    error
}
