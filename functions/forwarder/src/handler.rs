use std::{collections::HashSet, time::Duration};

use aws_config::SdkConfig;
use lambda::Metrics;
use outbound::{Answer, Endpoint, ForwardMessage, Next, Progress, Refusal};
use shared::Timestamp;
use store::{ForwardFailure, ForwardRecords, ForwardTaken};

use crate::{
    batch::{Batch, Failures, Message},
    config::Config,
    event::{Events, Ready},
    log,
    metrics::{self, Outcome},
    queue::Queues,
    secret::Secrets,
};

/// Wait after an internal fault: it says nothing about the endpoint, and does not count as an attempt.
const OWN_FAULT: Duration = Duration::from_secs(30);

/// Maximum time before its due time at which a message is still sent.
const EARLY: Duration = Duration::from_secs(2);

/// The forwarder, ready for messages.
pub struct Forwarder {
    events: Events,
    records: ForwardRecords,
    secrets: Secrets,
    endpoint: Endpoint,
    queues: Queues,
    metrics: Metrics,
}

impl Forwarder {
    /// Creates a forwarder. `aws` has the retries of [`crate::AWS`].
    pub fn new(config: Config, aws: &SdkConfig, metrics: Metrics) -> Self {
        let dynamodb = aws_sdk_dynamodb::Client::new(aws);
        Self {
            queues: Queues::new(aws, &config),
            records: ForwardRecords::new(dynamodb.clone(), &config.events_table),
            events: Events::new(dynamodb, &config.events_table, config.sealed_table),
            secrets: Secrets::new(aws, config.secret_id),
            endpoint: Endpoint::new(config.endpoint, config.timeout),
            metrics,
        }
    }

    /// Sends the events of a batch to the endpoint, writes the metrics, and returns the messages that stay in the queue.
    pub async fn handle(&self, batch: &Batch, clock: &impl Fn() -> Timestamp) -> Failures {
        let mut document = self.metrics.document(clock());
        let mut waiting = HashSet::new();
        let mut stay = Vec::new();
        for message in &batch.messages {
            // No event overtakes an earlier one of its entity.
            if waiting.contains(&message.attributes.group) {
                stay.push(message);
                continue;
            }
            let outcome = Box::pin(self.forward(message, clock)).await;
            if outcome.stays() {
                waiting.insert(&message.attributes.group);
                stay.push(message);
            }
            metrics::count(&mut document, &outcome);
        }
        document.write();
        stay.into_iter().collect()
    }

    async fn forward(&self, message: &Message, clock: &impl Fn() -> Timestamp) -> Outcome {
        let Ok(named) = ForwardMessage::parse(&message.body) else {
            log::unreadable(message);
            return self.bury(message).await;
        };
        match Box::pin(self.attempt(message, &named, clock)).await {
            Ok(outcome) => outcome,
            Err(fault) => {
                log::own_fault(&named, &fault);
                self.hide(message, OWN_FAULT).await;
                Outcome::OwnFault
            }
        }
    }

    /// Sends an event once.
    ///
    /// # Errors
    /// Fails for an internal fault before the event was sent.
    async fn attempt(
        &self,
        message: &Message,
        named: &ForwardMessage,
        clock: &impl Fn() -> Timestamp,
    ) -> Result<Outcome, String> {
        let earlier = self.earlier(message, named).await?;
        let now = clock();
        if let Some(next) = earlier.as_ref().and_then(|earlier| earlier.next_attempt_at)
            && next.since(now) > EARLY
        {
            self.hide(message, next.since(now)).await;
            return Ok(Outcome::Early);
        }
        let Some(event) = self.events.read(named).await.map_err(|error| error.to_string())? else {
            log::gone(named);
            return Ok(Outcome::Gone);
        };
        let signer = self.secrets.signer(now).await?;
        let progress = Progress {
            attempts: earlier.as_ref().map_or(1, |earlier| earlier.attempts.saturating_add(1)),
            first_attempt_at: earlier.map_or(now, |earlier| earlier.first_attempt_at),
        };
        let answer = self.endpoint.offer(&event.message, Some(&signer), now).await;
        Ok(match answer {
            Answer::Taken => self.taken(named, event, progress, clock()).await,
            Answer::Refused(refusal) => self.refused(message, named, refusal, progress, clock()).await,
        })
    }

    /// Returns the failed attempts so far. A dead letter that was put back into the queue starts from zero.
    async fn earlier(&self, message: &Message, named: &ForwardMessage) -> Result<Option<ForwardFailure>, String> {
        if message.attributes.receives <= 1 {
            return Ok(None);
        }
        let failure = self.records.failure(named.id()).await.map_err(|error| error.to_string())?;
        Ok(failure.filter(|failure| failure.next_attempt_at.is_some()))
    }

    async fn taken(&self, named: &ForwardMessage, event: Ready, progress: Progress, now: Timestamp) -> Outcome {
        let taken = ForwardTaken { taken_at: now, attempts: progress.attempts };
        if let Err(error) = self.records.record_taken(named.entity(), named.id(), taken, event.expires_at).await {
            // Sent again it would come twice, so the missing record is only logged.
            log::not_recorded(named, &error.to_string());
        }
        log::taken(named, progress.attempts);
        Outcome::Taken { kind: event.kind, lag: now.since(event.message.received_at) }
    }

    async fn refused(
        &self,
        message: &Message,
        named: &ForwardMessage,
        refusal: Refusal,
        progress: Progress,
        now: Timestamp,
    ) -> Outcome {
        let next = progress.next(&refusal, now);
        log::refused(named, &refusal, progress.attempts, next);
        let next_attempt_at = match next {
            Next::RetryAfter(wait) => Some(now.plus(wait)),
            Next::GiveUp => None,
        };
        if next == Next::GiveUp && self.bury(message).await == Outcome::OwnFault {
            return Outcome::OwnFault;
        }
        let failure = ForwardFailure {
            id: *named.id(),
            entity: named.entity().clone(),
            attempts: progress.attempts,
            first_attempt_at: progress.first_attempt_at,
            last_attempt_at: now,
            next_attempt_at,
            answer: refusal.to_string(),
        };
        if let Err(error) = self.records.record_failure(&failure).await {
            log::not_recorded(named, &error.to_string());
        }
        match next {
            Next::RetryAfter(wait) => {
                self.hide(message, wait).await;
                Outcome::Refused(refusal)
            }
            Next::GiveUp => Outcome::DeadLetter,
        }
    }

    async fn bury(&self, message: &Message) -> Outcome {
        match self.queues.bury(message).await {
            Ok(()) => Outcome::DeadLetter,
            Err(fault) => {
                log::not_buried(message, &fault);
                self.hide(message, OWN_FAULT).await;
                Outcome::OwnFault
            }
        }
    }

    /// Hides a message for a while. If this fails, the queue shows the message after its visibility timeout.
    async fn hide(&self, message: &Message, wait: Duration) {
        if let Err(fault) = self.queues.hide(message, wait).await {
            log::not_hidden(message, &fault);
        }
    }
}
