//! Moves unpublishable records into a queue of their own, so that they do not block later ones.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use shared::{Causes, QueueUrl};

use crate::batch::Unpublishable;

/// The queue of unpublishable records.
pub(crate) struct Aside {
    client: Client,
    url: QueueUrl,
}

impl Aside {
    pub(crate) fn new(config: &SdkConfig, url: QueueUrl) -> Self {
        Self { client: Client::new(config), url }
    }

    /// Moves a record into the queue: its keys and the cause, without its item.
    ///
    /// # Errors
    /// Fails when SQS does not accept it.
    pub(crate) async fn put(&self, record: &Unpublishable) -> Result<(), String> {
        let body = shared::json::to_string(record).map_err(|error| error.to_string())?;
        let send = self.client.send_message().queue_url(self.url.as_str()).message_body(body);
        send.send().await.map(|_| ()).map_err(|error| Causes(&error).to_string())
    }
}
