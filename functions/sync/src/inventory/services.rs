use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use shared::{Causes, FingerprintKey, QueueUrl};
use store::{Inventory, Quarantine, Reader, Recorder, SealedReader};

use crate::config::InventoryConfig;

/// The services that the inventory needs beside those of the registration.
pub(crate) struct InventoryServices {
    pub(crate) inventory: Inventory,
    pub(crate) reader: Reader,
    pub(crate) recorder: Recorder,
    pub(crate) sealed: SealedReader,
    pub(crate) quarantine: Quarantine,
    pub(crate) fingerprint_key: FingerprintKey,
    pub(crate) missed_after: Duration,
    pub(crate) stuck_after: Duration,
    sqs: aws_sdk_sqs::Client,
    queues: Vec<QueueUrl>,
}

impl InventoryServices {
    pub(crate) fn new(config: InventoryConfig, dynamodb: &aws_sdk_dynamodb::Client, sqs: aws_sdk_sqs::Client) -> Self {
        let InventoryConfig { recording, dead_letter_queue, missed_after, stuck_after } = config;
        let settings = recording.store;
        Self {
            inventory: Inventory::new(dynamodb.clone(), &settings.events_table),
            reader: Reader::new(dynamodb.clone(), &settings.events_table),
            sealed: SealedReader::new(dynamodb.clone(), &settings.sealed_table),
            quarantine: Quarantine::new(dynamodb.clone(), settings.clone()),
            recorder: Recorder::new(dynamodb.clone(), settings),
            fingerprint_key: recording.fingerprint_key,
            missed_after,
            stuck_after,
            sqs,
            queues: std::iter::once(recording.fallback_queue).chain(dead_letter_queue).collect(),
        }
    }

    /// Returns the reason why a received delivery may still wait to be recorded: the fallback queue or its dead-letter queue has messages,
    /// or cannot be read. `None` when both are empty.
    pub(crate) async fn waiting_deliveries(&self) -> Option<String> {
        let mut waiting = 0;
        for queue in &self.queues {
            match self.messages(queue).await {
                Ok(messages) => waiting += messages,
                Err(cause) => {
                    return Some(format!("the queues of deliveries that wait to be recorded cannot be read: {cause}"));
                }
            }
        }
        (waiting > 0)
            .then(|| format!("{waiting} deliveries wait to be recorded in the fallback queue or its dead-letter queue"))
    }

    async fn messages(&self, queue: &QueueUrl) -> Result<u64, String> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let get = self.sqs.get_queue_attributes().queue_url(queue.as_str());
        let answer = get.set_attribute_names(Some(counts.to_vec())).send().await;
        let answer = answer.map_err(|error| Causes(&error).to_string())?;
        let count = |name| answer.attributes().and_then(|attributes| attributes.get(name)?.parse::<u64>().ok());
        Ok(counts.iter().filter_map(count).sum())
    }
}
