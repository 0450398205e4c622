use std::{collections::HashSet, time::Duration};

use aws_config::SdkConfig;
use lambda::{FailedItems, Message, MessageBatch, Metrics, within};
use outbound::{Answer, Endpoint, ForwardMessage, Next, Progress, Refusal};
use shared::Timestamp;
use store::{ForwardFailure, ForwardLookup, ForwardRecords, ForwardTaken};

use crate::{
    backoff::{LONGEST_STAY, pause},
    budget,
    config::Config,
    event::Ready,
    log,
    metrics::{self, Outcome},
    queue::Queues,
    secret::Secrets,
};

/// Maximum time after its receipt in which the publisher repeats an event: the table's stream keeps it for a day.
const REPEATED: Duration = Duration::from_hours(25);

/// Maximum time before its due time at which a message is still sent.
const EARLY: Duration = Duration::from_secs(2);

/// Maximum difference between the clocks of SQS and of the function.
const CLOCKS: Duration = Duration::from_secs(5);

/// The forwarder, ready for messages.
pub struct Forwarder {
    records: ForwardRecords,
    /// `None` when events are sent without their API keys.
    sealed_table: Option<String>,
    secrets: Secrets,
    endpoint: Endpoint,
    queues: Queues,
    metrics: Metrics,
}

impl Forwarder {
    /// Creates a forwarder. `aws` has the retries of [`crate::AWS`].
    pub fn new(config: Config, aws: &SdkConfig, metrics: Metrics) -> Self {
        Self {
            queues: Queues::new(aws, &config),
            records: ForwardRecords::new(aws_sdk_dynamodb::Client::new(aws), config.events_table),
            sealed_table: config.sealed_table,
            secrets: Secrets::new(aws, config.secret_id),
            endpoint: Endpoint::new(config.endpoint, config.timeout),
            metrics,
        }
    }

    /// Sends the events of a batch to the endpoint, writes the metrics, and returns the messages that stay in the queue.
    pub async fn handle(&self, batch: &MessageBatch, clock: &impl Fn() -> Timestamp) -> FailedItems {
        let mut document = self.metrics.document(clock());
        let mut waiting = HashSet::new();
        let mut stay = Vec::new();
        for message in &batch.messages {
            // No event overtakes an earlier one of its group.
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
                let (sent_at, now) = (message.attributes.sent_at, clock());
                if now.since(sent_at) > LONGEST_STAY {
                    log::too_old(&named);
                    let failure = ForwardFailure {
                        id: *named.id(),
                        entity: named.entity().clone(),
                        attempts: 0,
                        first_attempt_at: sent_at,
                        last_attempt_at: now,
                        next_attempt_at: None,
                        answer: "not sent: a fault in the stack held it up for 13 days".to_owned(),
                    };
                    return self.give_up(message, Some(failure)).await;
                }
                self.hide(message, pause(message.attributes.receives)).await;
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
        let read = self.records.look_up(named.entity(), named.id(), self.sealed_table.as_deref());
        // Reading what DynamoDB left out takes further requests.
        let ForwardLookup { event, taken, failure, original } = within(budget::CALL, "DynamoDB", read).await?;
        let now = clock();
        if taken.is_some() && !named.is_again() {
            // The publisher queues an event again when it is not sure that the first message arrived.
            log::taken_before(named);
            if failure.is_some() {
                // The record of the failure was left behind when the event was accepted.
                self.records.forget_failure(named.id()).await.map_err(|error| error.to_string())?;
            }
            return Ok(Outcome::NothingToSend);
        }
        // Only the publisher's messages have this deduplication id. A later one is of an event that was put back into the table.
        let is_publishers = message.attributes.deduplication_id == named.id().to_string()
            && message.attributes.sent_at < named.id().received_at().plus(REPEATED);
        let is_buried = failure.as_ref().is_some_and(|failure| {
            let is_older = message.attributes.sent_at.plus(CLOCKS) < failure.last_attempt_at;
            failure.next_attempt_at.is_none() && (is_publishers || is_older)
        });
        if is_buried {
            // The event is a dead letter, and this message is the one that became it, or a repetition by the publisher.
            log::given_up_before(named);
            return Ok(Outcome::NothingToSend);
        }
        let Some(event) = event.and_then(|event| Ready::new(event, original)) else {
            log::gone(named);
            let answer = "not sent: the event is no longer in the events table".to_owned();
            let failure = failure.map(|failure| ForwardFailure {
                last_attempt_at: now,
                next_attempt_at: None,
                answer,
                ..failure
            });
            return Ok(self.give_up(message, failure).await);
        };
        let has_failed = failure.is_some();
        // A dead letter that was put back into the queue starts from zero, and so does an event whose message was lost with its queue: the
        // attempts of this message did not begin before it was sent.
        let is_its_own = |failure: &ForwardFailure| message.attributes.sent_at <= failure.first_attempt_at.plus(CLOCKS);
        let earlier = failure.filter(|failure| failure.next_attempt_at.is_some() && is_its_own(failure));
        if let Some(next) = earlier.as_ref().and_then(|earlier| earlier.next_attempt_at)
            && next.since(now) > EARLY
        {
            self.hide(message, next.since(now)).await;
            return Ok(Outcome::Early);
        }
        let signer = self.secrets.signer(now).await?;
        let progress = Progress {
            attempts: earlier.as_ref().map_or(1, |earlier| earlier.attempts.saturating_add(1)),
            // Time behind an earlier event of the entity counts too, so that no event waits until SQS deletes it.
            first_attempt_at: earlier.map_or(now.min(message.attributes.sent_at), |earlier| earlier.first_attempt_at),
        };
        let answer = self.endpoint.offer(&event.message, Some(&signer), now).await;
        Ok(match answer {
            Answer::Taken => self.taken(named, event, progress, has_failed, clock()).await,
            // An answer may repeat what was sent, now or with an earlier event.
            Answer::Refused(refusal) if self.sealed_table.is_some() => {
                self.refused(message, named, refusal.without_detail(), progress, clock()).await
            }
            Answer::Refused(refusal) => self.refused(message, named, refusal, progress, clock()).await,
        })
    }

    async fn taken(
        &self,
        named: &ForwardMessage,
        event: Ready,
        progress: Progress,
        has_failed: bool,
        now: Timestamp,
    ) -> Outcome {
        let taken = ForwardTaken { taken_at: now, attempts: progress.attempts };
        let recorded = self.records.record_taken(named.entity(), named.id(), taken, event.expires_at, has_failed).await;
        if let Err(error) = recorded {
            // Another attempt would deliver the event twice, so the missing record is only logged.
            log::not_recorded(named.id(), &error.to_string());
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
        log::refused(named, &refusal.clone().without_detail(), progress.attempts, next);
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
        let is_recorded = self.record(&failure).await;
        match next {
            Next::RetryAfter(wait) if is_recorded => {
                self.hide(message, wait).await;
                Outcome::Refused(refusal)
            }
            Next::RetryAfter(wait) => {
                // The next attempt counts as this one, so the wait would never grow.
                self.hide(message, wait.max(pause(message.attributes.receives))).await;
                Outcome::OwnFault
            }
            Next::GiveUp => Outcome::DeadLetter,
        }
    }

    /// Gives up an event that is not sent, and must not disappear unnoticed.
    async fn give_up(&self, message: &Message, failure: Option<ForwardFailure>) -> Outcome {
        let outcome = self.bury(message).await;
        if let Some(failure) = failure.filter(|_| outcome == Outcome::DeadLetter) {
            self.record(&failure).await;
        }
        outcome
    }

    /// Records a failure. Returns false when that fails.
    async fn record(&self, failure: &ForwardFailure) -> bool {
        let recorded = self.records.record_failure(failure).await;
        recorded.inspect_err(|error| log::not_recorded(&failure.id, &error.to_string())).is_ok()
    }

    async fn bury(&self, message: &Message) -> Outcome {
        match self.queues.bury(message).await {
            Ok(()) => Outcome::DeadLetter,
            Err(fault) => {
                log::not_buried(message, &fault);
                self.hide(message, pause(message.attributes.receives)).await;
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
