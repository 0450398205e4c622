//! Moves unpublishable records into a queue of their own, so that they do not block later ones.

use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, Config};
use shared::{Causes, QueueUrl};

use crate::batch::Unpublishable;

/// The queue of unpublishable records.
pub(crate) struct Aside {
    config: Config,
    /// Created on first use: it takes half a million instructions, and most processes never need it.
    client: OnceLock<Client>,
    url: QueueUrl,
}

impl Aside {
    pub(crate) fn new(config: &SdkConfig, url: QueueUrl) -> Self {
        Self { config: Config::new(config), client: OnceLock::new(), url }
    }

    /// Moves a record into the queue: its keys and the cause, without its item.
    ///
    /// # Errors
    /// Fails when SQS does not accept it.
    pub(crate) async fn put(&self, record: &Unpublishable) -> Result<(), String> {
        let body = shared::json::to_string(record).map_err(|error| error.to_string())?;
        let client = self.client.get_or_init(|| Client::from_conf(self.config.clone()));
        let send = client.send_message().queue_url(self.url.as_str()).message_body(body);
        send.send().await.map(|_| ()).map_err(|error| Causes(&error).to_string())
    }
}
