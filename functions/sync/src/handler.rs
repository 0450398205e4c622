use lambda::Metrics;

use crate::{
    action::{Action, BadRequest, PassMode, Request},
    answer::{self, Answer},
    config::Config,
    error::SyncError,
    inventory::{self, InventoryServices},
    invocation::{Clock, Invocation},
    limits::Limits,
    lines::{self, LinesServices},
    metrics,
    registration::{self, Summary},
    resource_answer,
    resource_request::ResourceEvent,
    services::Services,
};

/// The function `sync`, from one invocation to the next.
pub struct WebhookSync {
    services: Services,
    /// `None` when the environment does not configure the inventory and the lines.
    inventory: Option<InventoryServices>,
    lines: LinesServices,
    metrics: Metrics,
}

impl WebhookSync {
    /// Returns the function; nothing is called yet.
    pub fn new(
        mut config: Config,
        limits: Limits,
        secrets: aws_sdk_secretsmanager::Client,
        dynamodb: aws_sdk_dynamodb::Client,
        sqs: aws_sdk_sqs::Client,
        metrics: Metrics,
    ) -> Self {
        let lines = std::mem::replace(&mut config.lines, Ok(None));
        let lines = LinesServices::new(lines, limits.partner, dynamodb.clone(), &config.events_table);
        let inventory = config.inventory.take().map(|config| InventoryServices::new(config, &dynamodb, sqs));
        Self { services: Services::new(config, limits, secrets, dynamodb), inventory, lines, metrics }
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
        answer::log(&result);
        metrics::write(self.metrics.document(invocation.now), &summary, &result, clock.elapsed());
        result.map(Answer::shortened)
    }

    async fn carry_out(
        &self,
        invocation: &Invocation,
        clock: Clock,
        summary: &mut Summary,
    ) -> Result<Answer, SyncError> {
        if !ResourceEvent::is_one(&invocation.event) {
            return match Request::read(&invocation.event)? {
                Request::Registration(action) => {
                    summary.is_check = action == Action::Sync;
                    registration::act(&self.services, action, invocation, clock, summary).await.map(Answer::Report)
                }
                Request::Inventory(mode) => {
                    summary.is_inventory = mode == PassMode::Apply;
                    inventory::act(&self.services, self.inventory.as_ref(), mode, invocation, clock, summary)
                        .await
                        .map(Answer::Inventory)
                }
                Request::Lines(request) => {
                    summary.is_lines = request.mode == PassMode::Apply;
                    summary.is_all_lines = summary.is_lines && request.entity.is_none();
                    lines::act(self.inventory.as_ref(), &self.lines, &request, invocation, clock)
                        .await
                        .map(Answer::Lines)
                }
            };
        }
        let event = ResourceEvent::read(&invocation.event).map_err(BadRequest::ResourceRequest)?;
        let result = registration::answer_stack(&self.services, &event, invocation, clock, summary).await;
        if let Err(fault) = resource_answer::send(&event, &result).await {
            tracing::error!(%fault, "CloudFormation did not get the answer and waits until it times out");
        }
        result.map(Answer::Resolved)
    }
}
