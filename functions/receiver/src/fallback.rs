use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, Config};
use lambda::within;
use shared::{Causes, QueueUrl, QueuedDelivery};

use crate::budget;

/// The queue that takes a delivery when DynamoDB does not.
pub(crate) struct FallbackQueue {
    config: Config,
    /// Made on first use, which most processes never come to: it takes 0.55 of the 5.9 million instructions of a start.
    client: OnceLock<Client>,
    url: QueueUrl,
}

impl FallbackQueue {
    pub(crate) fn new(aws: &SdkConfig, url: QueueUrl) -> Self {
        Self { config: Config::new(aws), client: OnceLock::new(), url }
    }

    /// Hands a delivery to the queue. When this fails, the queue may have it all the same: if it then comes in once more, that
    /// is a delivery of its own, and recorded as a duplicate.
    pub(crate) async fn send(&self, delivery: &QueuedDelivery) -> Result<(), String> {
        let client = self.client.get_or_init(|| Client::from_conf(self.config.clone()));
        let send = client.send_message().queue_url(self.url.as_str()).message_body(delivery.to_message());
        let sent = async { send.send().await.map_err(|error| format!("SQS: {}", Causes(&error))) };
        within(budget::SEND, "SQS", sent).await.map(|_| ())
    }
}
