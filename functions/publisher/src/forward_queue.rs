//! The forward queue: one message for each event, in the order of its entity.

use std::collections::HashSet;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};
use outbound::ForwardMessage;
use shared::{Causes, QueueUrl};
use store::StoredDelivery;

use crate::rounds::rounds;

/// Maximum number of messages in a request.
const MOST: usize = 10;

/// The FIFO queue of the forwarder.
pub(crate) struct ForwardQueue {
    client: Client,
    url: QueueUrl,
}

impl ForwardQueue {
    pub(crate) fn new(config: &SdkConfig, url: QueueUrl) -> Self {
        Self { client: Client::new(config), url }
    }

    /// Sends a message for each event, and returns those that were not sent, with the cause. After a failure nothing more
    /// of the same entity is sent.
    pub(crate) async fn send(&self, events: &[StoredDelivery]) -> Vec<(usize, String)> {
        let entities: Vec<&str> = events.iter().map(|event| event.entity.as_str()).collect();
        let mut failed = Vec::new();
        let mut stopped = HashSet::new();
        for mut round in rounds(&entities, MOST) {
            round.retain(|index| {
                let goes = !stopped.contains(entities[*index]);
                if !goes {
                    failed.push((*index, "an earlier event of the entity was not sent".to_owned()));
                }
                goes
            });
            for (index, cause) in self.send_round(events, &round).await {
                stopped.insert(entities[index]);
                failed.push((index, cause));
            }
        }
        failed
    }

    async fn send_round(&self, events: &[StoredDelivery], round: &[usize]) -> Vec<(usize, String)> {
        if round.is_empty() {
            return Vec::new();
        }
        let mut request = self.client.send_message_batch().queue_url(self.url.as_str());
        for index in round {
            let message = ForwardMessage::of(&events[*index]);
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(message.to_json())
                .message_group_id(message.group())
                .message_deduplication_id(message.id().to_string())
                .build();
            match entry {
                Ok(entry) => request = request.entries(entry),
                Err(error) => return round.iter().map(|index| (*index, error.to_string())).collect(),
            }
        }
        match request.send().await {
            Err(error) => {
                let cause = Causes(&error).to_string();
                round.iter().map(|index| (*index, cause.clone())).collect()
            }
            Ok(answer) => {
                let sent: HashSet<&str> = answer.successful().iter().map(|entry| entry.id()).collect();
                let cause = |index: &str| {
                    let refused = answer.failed().iter().find(|entry| entry.id() == index);
                    refused.map_or("no answer for it", |entry| entry.code()).to_owned()
                };
                let not_sent = round.iter().filter(|index| !sent.contains(index.to_string().as_str()));
                not_sent.map(|index| (*index, cause(&index.to_string()))).collect()
            }
        }
    }
}
