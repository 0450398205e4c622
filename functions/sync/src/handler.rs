use lambda::Metrics;

use crate::{
    action::{Action, BadRequest},
    config::Config,
    error::SyncError,
    invocation::{Clock, Invocation},
    limits::Limits,
    metrics,
    registration::{self, Summary},
    report::{self, Answer},
    resource_answer,
    resource_request::ResourceEvent,
    services::Services,
};

/// The function `sync`, from one invocation to the next.
pub struct WebhookSync {
    services: Services,
    metrics: Metrics,
}

impl WebhookSync {
    /// Returns the function; nothing is called yet.
    pub fn new(
        config: Config,
        limits: Limits,
        secrets: aws_sdk_secretsmanager::Client,
        dynamodb: aws_sdk_dynamodb::Client,
        metrics: Metrics,
    ) -> Self {
        Self { services: Services::new(config, limits, secrets, dynamodb), metrics }
    }

    /// Carries out an event, logs the outcome as one line, and writes one document of metrics, whatever the outcome.
    ///
    /// # Errors
    /// One per cause, see [`SyncError`].
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, SyncError> {
        let clock = Clock::starting(invocation.now);
        let mut summary = Summary::default();
        // Boxed, because the futures in it are nested deeper than the compiler follows in one piece.
        let result = Box::pin(self.carry_out(&invocation, clock, &mut summary)).await;
        report::log(&result);
        metrics::write(self.metrics.document(invocation.now), &summary, &result, clock.elapsed());
        result
    }

    async fn carry_out(
        &self,
        invocation: &Invocation,
        clock: Clock,
        summary: &mut Summary,
    ) -> Result<Answer, SyncError> {
        if !ResourceEvent::is_one(&invocation.event) {
            let action = Action::read(&invocation.event)?;
            summary.is_check = action == Action::Sync;
            return registration::act(&self.services, action, invocation, clock, summary).await.map(Answer::Report);
        }
        let event = ResourceEvent::read(&invocation.event).map_err(BadRequest::ResourceRequest)?;
        let result = registration::answer_stack(&self.services, &event, invocation, clock, summary).await;
        if let Err(fault) = resource_answer::send(&event, &result).await {
            tracing::error!(%fault, "CloudFormation did not get the answer and waits until it times out");
        }
        result.map(Answer::Resolved)
    }
}
