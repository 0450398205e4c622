use std::{sync::OnceLock, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, Config};
use shared::{Causes, QueueUrl, QueuedDelivery};

/// The queue that takes a delivery when DynamoDB does not.
pub(crate) struct FallbackQueue {
    config: Config,
    /// Made when it is needed, which in most processes is never: to make it takes 0.55 of the 5.9 million instructions of a start.
    client: OnceLock<Client>,
    url: QueueUrl,
}

impl FallbackQueue {
    pub(crate) fn new(aws: &SdkConfig, url: QueueUrl) -> Self {
        Self { config: Config::new(aws), client: OnceLock::new(), url }
    }

    /// Hands a delivery to the queue. When this fails it may be there all the same; should it then come in again, it is a
    /// delivery of its own, and recorded as a duplicate.
    pub(crate) async fn send(&self, delivery: &QueuedDelivery, within: Duration) -> Result<(), String> {
        let client = self.client.get_or_init(|| Client::from_conf(self.config.clone()));
        let send = client.send_message().queue_url(self.url.as_str()).message_body(delivery.to_message());
        match tokio::time::timeout(within, send.send()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("SQS: {}", Causes(&error))),
            Err(_) => Err(format!("SQS: no answer within {} ms", within.as_millis())),
        }
    }
}
