use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::join_all;
use lambda::Metrics;
use shared::{Causes, FingerprintKey, Kind, QueueUrl, QueuedDelivery, Timestamp, UnreadableMessage};
use store::{AcceptedTokens, Content, Delivery, Recorder};

use crate::{
    authenticate::{Gate, Verdict},
    backoff,
    batch::{Batch, Failures, Message},
    budget,
    config::Config,
    log, metrics,
    outcome::Outcome,
};

/// Redrive, ready for batches.
pub struct Redrive {
    tokens: AcceptedTokens,
    fingerprint_key: FingerprintKey,
    recorder: Recorder,
    queue: aws_sdk_sqs::Client,
    queue_url: QueueUrl,
    metrics: Metrics,
}

impl Redrive {
    /// `dynamodb` has the patience [`crate::DYNAMODB`], `queue` has [`crate::QUEUE`].
    pub fn new(config: Config, dynamodb: &SdkConfig, queue: &SdkConfig, metrics: Metrics) -> Self {
        let client = aws_sdk_dynamodb::Client::new(dynamodb);
        Self {
            tokens: AcceptedTokens::new(client.clone(), &config.settings.events_table),
            fingerprint_key: config.fingerprint_key,
            recorder: Recorder::new(client, config.settings),
            queue: aws_sdk_sqs::Client::new(queue),
            queue_url: config.fallback_queue,
            metrics,
        }
    }

    /// Records the deliveries of a batch, which came in at `now`, writes its metrics, and answers which messages have to stay in
    /// the queue.
    pub async fn handle(&self, batch: &Batch, now: Timestamp) -> Failures {
        let read: Vec<_> = batch.messages.iter().map(|message| QueuedDelivery::from_message(&message.body)).collect();
        let gate = &Gate::open(&self.tokens, read.iter().flatten()).await;
        let messages = batch.messages.iter().zip(read);
        let dealt_with = messages.map(async |(message, read)| {
            let outcome = self.deal_with(message, read, gate).await;
            if let Outcome::Again(pause) = outcome {
                self.leave_alone(message, pause).await;
            }
            (message, outcome)
        });
        let dealt_with = join_all(dealt_with).await;
        metrics::write(self.metrics.document(now), dealt_with.iter().map(|(_, outcome)| outcome));
        let stays = |(message, outcome)| matches!(outcome, Outcome::Again(_)).then_some(message);
        dealt_with.into_iter().filter_map(stays).collect()
    }

    async fn deal_with(
        &self,
        message: &Message,
        read: Result<QueuedDelivery, UnreadableMessage>,
        gate: &Gate,
    ) -> Outcome {
        let again = Outcome::Again(backoff::pause(message.attributes.receives));
        let delivery = match read {
            Ok(delivery) => delivery,
            Err(cause) => {
                log::unreadable(message, cause);
                return Outcome::Again(backoff::UNREADABLE);
            }
        };
        let verified = match gate.authenticate(delivery) {
            Verdict::Verified(verified) => verified,
            Verdict::Forged(received) => {
                log::forged(&received);
                return Outcome::Forged;
            }
            Verdict::CannotTell(received) => {
                log::not_checked(&received, message);
                return again;
            }
        };
        let delivery = Delivery::decode(verified.received(), &self.fingerprint_key);
        let fault = match tokio::time::timeout(budget::RECORD, self.recorder.record(&delivery)).await {
            Ok(Ok(recorded)) => {
                log::recorded(&delivery, recorded);
                let kind = match delivery.content {
                    Content::Event(event) => event.kind,
                    Content::Quarantined { .. } => Kind::Unnamed,
                };
                return Outcome::Recorded(kind, recorded);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("DynamoDB: not recorded within {} s", budget::RECORD.as_secs()),
        };
        log::not_recorded(&delivery, message, &fault);
        again
    }

    /// Hides a message for a while. When this fails, the queue shows it again in its own time.
    async fn leave_alone(&self, message: &Message, pause: Duration) {
        let seconds = i32::try_from(pause.as_secs()).unwrap_or(i32::MAX);
        let change = self
            .queue
            .change_message_visibility()
            .queue_url(self.queue_url.as_str())
            .receipt_handle(&message.receipt_handle)
            .visibility_timeout(seconds);
        match tokio::time::timeout(budget::WAIT, change.send()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::not_left_alone(message, &Causes(&error).to_string()),
            Err(_) => log::not_left_alone(message, "no answer in time"),
        }
    }
}
