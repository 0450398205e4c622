use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::join_all;
use lambda::{FailedItems, Message, MessageBatch, Metrics, RecordingConfig, within};
use shared::{Causes, FingerprintKey, Kind, QueueUrl, QueuedDelivery, SourceIps, Timestamp, UnreadableMessage};
use store::{AcceptedTokens, Content, QuarantineCause, Recorder};

use crate::{
    authenticate::{Authentication, Gate},
    backoff, budget,
    config::Config,
    log,
    message_outcome::MessageOutcome,
    metrics,
};

/// Redrive, ready for batches.
pub struct Redrive {
    tokens: AcceptedTokens,
    source_ips: Option<SourceIps>,
    fingerprint_key: FingerprintKey,
    recorder: Recorder,
    queue: aws_sdk_sqs::Client,
    queue_url: QueueUrl,
    metrics: Metrics,
}

impl Redrive {
    /// Creates the clients. `dynamodb` has the time limits and retries of [`crate::DYNAMODB`], `queue` those of [`crate::QUEUE`].
    pub fn new(config: Config, dynamodb: &SdkConfig, queue: &SdkConfig, metrics: Metrics) -> Self {
        let Config { recording: RecordingConfig { store, fallback_queue, fingerprint_key }, source_ips } = config;
        let client = aws_sdk_dynamodb::Client::new(dynamodb);
        Self {
            tokens: AcceptedTokens::new(client.clone(), &store.events_table),
            source_ips,
            fingerprint_key,
            recorder: Recorder::new(client, store),
            queue: aws_sdk_sqs::Client::new(queue),
            queue_url: fallback_queue,
            metrics,
        }
    }

    /// Records the deliveries of a batch received at `now`, writes its metrics, and answers with the messages that must stay in
    /// the queue.
    pub async fn handle(&self, batch: &MessageBatch, now: Timestamp) -> FailedItems {
        let read: Vec<_> = batch.messages.iter().map(|message| QueuedDelivery::from_message(&message.body)).collect();
        let gate = &Gate::open(&self.tokens, read.iter().flatten()).await;
        let processed = batch.messages.iter().zip(read).map(async |(message, read)| {
            let outcome = self.process(message, read, gate).await;
            if let MessageOutcome::Stays(pause) = outcome {
                self.hide(message, pause).await;
            }
            (message, outcome)
        });
        let processed = join_all(processed).await;
        metrics::write(self.metrics.document(now), processed.iter().map(|(_, outcome)| outcome));
        let stays = |(message, outcome)| matches!(outcome, MessageOutcome::Stays(_)).then_some(message);
        processed.into_iter().filter_map(stays).collect()
    }

    async fn process(
        &self,
        message: &Message,
        read: Result<QueuedDelivery, UnreadableMessage>,
        gate: &Gate,
    ) -> MessageOutcome {
        let stays = MessageOutcome::Stays(backoff::pause(message.attributes.receives));
        let delivery = match read {
            Ok(delivery) => delivery,
            Err(cause) => {
                log::unreadable(message, cause);
                return MessageOutcome::Stays(backoff::UNREADABLE);
            }
        };
        let verified = match gate.authenticate(delivery) {
            Authentication::Verified(verified) => verified,
            Authentication::Forged(received) => {
                log::forged(&received);
                return MessageOutcome::Forged;
            }
            Authentication::Unchecked(received) => {
                log::unchecked(&received, message);
                return stays;
            }
        };
        let delivery = verified.delivery(&self.fingerprint_key, self.source_ips.as_ref());
        match within(budget::RECORD, "DynamoDB", self.recorder.record(&delivery)).await {
            Ok(recorded) => {
                log::recorded(&delivery, recorded);
                let (kind, held) = match delivery.content {
                    Content::Event(event) => (event.kind, false),
                    Content::Quarantined { cause, .. } => (Kind::Unnamed, cause == QuarantineCause::UnlistedSource),
                };
                MessageOutcome::Recorded { kind, recorded, held }
            }
            Err(error) => {
                log::not_recorded(&delivery, message, &error);
                stays
            }
        }
    }

    /// Hides a message from the next batches. When this fails, the queue shows it again after its visibility timeout.
    async fn hide(&self, message: &Message, pause: Duration) {
        let change = self
            .queue
            .change_message_visibility()
            .queue_url(self.queue_url.as_str())
            .receipt_handle(&message.receipt_handle)
            .visibility_timeout(i32::try_from(pause.as_secs()).unwrap_or(i32::MAX));
        let changed = async { change.send().await.map_err(|error| format!("SQS: {}", Causes(&error))) };
        if let Err(error) = within(budget::HIDE, "SQS", changed).await {
            log::not_hidden(message, &error);
        }
    }
}
