//! Keeps the webhook URL that is registered with the provider true: gets what is registered, compares it by meaning with
//! what it should be, sets it if it differs, reads back what is registered then, and takes down what it found and did.
//!
//! One event, one careful pass: nothing here tries again, the next run of the schedule does. The one exception is an
//! access token that has expired, for which a new one is asked once.
//!
//! No secret, no body of the provider's and no URL with its token is in any report, error, log line or `Debug` output.

mod action;
mod book;
mod compare;
mod config;
mod custom_resource;
mod decide;
mod error;
mod guard;
mod history;
mod invocation;
mod limits;
mod metrics;
mod report;
mod run;
mod secrets;
mod set;
mod stack;

pub use action::{Action, BadRequest};
pub use config::{Config, SyncMode};
pub use custom_resource::{BadCustomResource, Resolved};
pub use error::{SecretFault, SyncError};
pub use invocation::{Invocation, RANDOM};
use lambda::Metrics;
pub use limits::{AWS, Limits};
use partner::{PartnerApi, Session};
pub use report::{Outcome, Report};
pub use secrets::SecretId;
use serde::Serialize;
use shared::{RegisteredUrl, Timestamp};
use store::{AcceptedTokens, RegistrationLedger, UrlBeforeOurs};

use crate::{
    book::Summary,
    compare::OurUrls,
    custom_resource::{CustomResource, Wish},
    decide::Intent,
    invocation::{Clock, Randomness},
    run::Run,
    secrets::Secrets,
};

/// The function: what its handler needs from one event to the next.
pub struct WebhookSync {
    config: Config,
    limits: Limits,
    secrets: Secrets,
    partner: PartnerApi,
    accepted: AcceptedTokens,
    ledger: RegistrationLedger,
    url_before_ours: UrlBeforeOurs,
    metrics: Metrics,
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
        metrics: Metrics,
    ) -> Self {
        Self {
            secrets: Secrets::new(secrets, &config),
            partner: PartnerApi::new(config.partner_api.clone(), limits.partner),
            accepted: AcceptedTokens::new(dynamodb.clone(), &config.events_table),
            ledger: RegistrationLedger::new(dynamodb.clone(), &config.events_table),
            url_before_ours: UrlBeforeOurs::new(dynamodb, &config.sealed_table),
            config,
            limits,
            metrics,
        }
    }

    /// Carries out what an event asks for; logs the outcome as one line, and writes the metrics.
    ///
    /// # Errors
    /// One per cause, see [`SyncError`].
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, SyncError> {
        let clock = Clock::starting(invocation.now);
        let mut summary = Summary::default();
        // Boxed: what waits in a run is nested deeper than the compiler follows in one piece.
        let result = if CustomResource::is_one(&invocation.event) {
            Box::pin(self.resolve(&invocation, clock, &mut summary)).await.map(Answer::Resolved)
        } else {
            Box::pin(self.act(&invocation, clock, &mut summary)).await.map(Answer::Report)
        };
        match &result {
            Ok(Answer::Report(report)) => report::log(report),
            Ok(Answer::Resolved(resolved)) => custom_resource::log(resolved),
            Err(error) => report::log_failure(error),
        }
        metrics::write(self.metrics.document(invocation.now), &summary, &result, clock.elapsed());
        result
    }

    /// What a person or the schedule asks for.
    async fn act(&self, invocation: &Invocation, clock: Clock, summary: &mut Summary) -> Result<Report, SyncError> {
        let action = Action::read(&invocation.event)?;
        let run = Pass { sync: self, action: action.name(), invocation, clock };
        match action {
            Action::Get => run.guarded(self.look(run.action, Outcome::Reported, clock.now())).await,
            Action::Plan => run.guarded(self.look(run.action, Outcome::WouldUpdate, clock.now())).await,
            Action::Sync => run.noted(summary, async |run, ours| run.keep_true(Intent::Sync, ours?).await).await,
            Action::Rotate => run.noted(summary, async |run, ours| run.keep_true(Intent::Rotate, ours?).await).await,
            Action::Set(url) => run.noted(summary, async |run, ours| run.set(url, ours?).await).await,
        }
    }

    /// What CloudFormation asks for. It is told how it ended, whatever happens.
    async fn resolve(
        &self,
        invocation: &Invocation,
        clock: Clock,
        summary: &mut Summary,
    ) -> Result<Resolved, SyncError> {
        let request = CustomResource::read(&invocation.event).map_err(BadRequest::CustomResource)?;
        let run = |action| Pass { sync: self, action, invocation, clock };
        let result = match request.wish {
            Wish::LeaveAlone => Ok(Resolved::without_asking("left_alone")),
            Wish::Register => {
                run("register").noted(summary, async |run, ours| run.register_for_stack(ours).await).await
            }
            Wish::Restore => run("restore").noted(summary, async |run, ours| run.restore_for_stack(ours).await).await,
        };
        if let Err(fault) = request.answer(&result).await {
            tracing::error!(%fault, "the stack waits until its own time is over");
        }
        result
    }

    /// Looks at what is registered, and does nothing.
    async fn look(&self, action: &'static str, outcome: Outcome, now: Timestamp) -> Result<Report, SyncError> {
        let ours = self.secrets.our_urls().await?;
        let registered = self.ask(now).await?.1;
        let mut report = Report::new(action, outcome, ours.goal().url.clone(), registered);
        if outcome == Outcome::WouldUpdate && report.verified {
            report.outcome = Outcome::UpToDate;
        }
        Ok(report)
    }

    /// Opens a session, and gets what is registered.
    async fn ask(&self, now: Timestamp) -> Result<(Session<'_>, Option<RegisteredUrl>), SyncError> {
        let mut session = self.open_session(now).await?;
        let registered = session.get_webhook().await?;
        Ok((session, registered))
    }

    async fn open_session(&self, now: Timestamp) -> Result<Session<'_>, SyncError> {
        let credentials = self.secrets.credentials().await?;
        Ok(self.partner.session(credentials, now).await?)
    }
}

/// What the runs of an invocation have in common.
struct Pass<'a> {
    sync: &'a WebhookSync,
    action: &'static str,
    invocation: &'a Invocation,
    clock: Clock,
}

impl<'a> Pass<'a> {
    /// Ends within the time of the invocation, and with a result whatever happens.
    async fn guarded<T>(&self, run: impl Future<Output = Result<T, SyncError>>) -> Result<T, SyncError> {
        let left = self.invocation.for_the_run().saturating_sub(self.clock.elapsed());
        guard::guarded(left, run).await
    }

    /// The same with a run that takes down what it finds and does. Our URLs are read while the ledger is; a run that does not need
    /// them after all does not fail when they cannot be.
    async fn noted<T>(
        &self,
        summary: &mut Summary,
        steps: impl AsyncFnOnce(&mut Run<'a>, Result<OurUrls, SyncError>) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let random = Randomness::new(self.invocation.random);
        let (run, ours) = tokio::join!(
            Run::open(self.sync, self.action, self.clock, random),
            self.guarded(self.sync.secrets.our_urls()),
        );
        let mut run = run?;
        let result = self.guarded(steps(&mut run, ours)).await;
        *summary = run.close(&result).await;
        result
    }
}
