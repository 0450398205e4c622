//! The forward queue, and the dead-letter queue for its failed messages.

use std::{sync::OnceLock, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, Config as SqsConfig};
use lambda::Message;
use shared::{Causes, QueueUrl};

use crate::config::Config;

/// Maximum time for which a message is hidden. SQS counts its 12 hours from the receipt.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60 - 120);

/// The forward queue and its dead-letter queue.
pub(crate) struct Queues {
    sqs: SqsConfig,
    /// Created on first use, because Lambda itself deletes the messages of accepted events: 0.52 of the 11.7 million instructions of a start
    /// and its first event.
    client: OnceLock<Client>,
    forward: QueueUrl,
    dead_letter: QueueUrl,
}

impl Queues {
    pub(crate) fn new(config: &SdkConfig, settings: &Config) -> Self {
        Self {
            sqs: SqsConfig::new(config),
            client: OnceLock::new(),
            forward: settings.queue.clone(),
            dead_letter: settings.dead_letter_queue.clone(),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::from_conf(self.sqs.clone()))
    }

    /// Hides a message for a time, and with it all later ones of its group.
    ///
    /// # Errors
    /// Fails when SQS does not answer; the queue then shows the message after its visibility timeout.
    pub(crate) async fn hide(&self, message: &Message, wait: Duration) -> Result<(), String> {
        // Rounding down would show it too early.
        let seconds = wait.min(LONGEST).as_millis().div_ceil(1_000);
        let change = self
            .client()
            .change_message_visibility()
            .queue_url(self.forward.as_str())
            .receipt_handle(&message.receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX));
        change.send().await.map(|_| ()).map_err(|error| Causes(&error).to_string())
    }

    /// Puts a message into the dead-letter queue.
    ///
    /// # Errors
    /// Fails when SQS does not accept it; the message must then stay in its queue.
    pub(crate) async fn bury(&self, message: &Message) -> Result<(), String> {
        let send = self
            .client()
            .send_message()
            .queue_url(self.dead_letter.as_str())
            .message_body(&message.body)
            .message_group_id(&message.attributes.group)
            .message_deduplication_id(&message.message_id);
        send.send().await.map(|_| ()).map_err(|error| Causes(&error).to_string())
    }
}
