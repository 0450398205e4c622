use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, Config};
use lambda::within;
use shared::{Causes, QueueUrl, QueuedDelivery};

use crate::budget;

/// The queue that takes a delivery when DynamoDB does not.
pub(crate) struct FallbackQueue {
    config: Config,
    /// Created on first use, because most processes never need it: it takes 0.55 of a start's 5.9 million instructions.
    client: OnceLock<Client>,
    url: QueueUrl,
}

impl FallbackQueue {
    pub(crate) fn new(aws: &SdkConfig, url: QueueUrl) -> Self {
        Self { config: Config::new(aws), client: OnceLock::new(), url }
    }

    /// Sends a delivery to the queue. After an error the queue may still have it; if the caller then retries, the second
    /// delivery is recorded as a duplicate.
    pub(crate) async fn send(&self, delivery: &QueuedDelivery) -> Result<(), String> {
        let client = self.client.get_or_init(|| Client::from_conf(self.config.clone()));
        let send = client.send_message().queue_url(self.url.as_str()).message_body(delivery.to_message());
        let sent = async { send.send().await.map_err(|error| format!("SQS: {}", Causes(&error))) };
        within(budget::SEND, "SQS", sent).await.map(|_| ())
    }
}
