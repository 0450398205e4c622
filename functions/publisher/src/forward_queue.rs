//! The forward queue: one message for each event, in the order of its group.

use std::collections::HashSet;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};
use outbound::ForwardMessage;
use shared::{Causes, QueueUrl};
use store::StoredDelivery;
use tokio::time::{Instant, timeout_at};

use crate::{outcome::Sent, rounds::rounds};

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

    /// Sends a message for each event until a deadline; the results are in the order of the events. After a failure nothing
    /// more of the same group is sent.
    pub(crate) async fn send(&self, events: &[StoredDelivery], deadline: Instant) -> Vec<Sent> {
        let messages: Vec<_> = events.iter().map(ForwardMessage::of).collect();
        let groups: Vec<_> = messages.iter().map(ForwardMessage::group).collect();
        let mut results = vec![Sent::not_sent(); events.len()];
        let all = async {
            let mut stopped = HashSet::new();
            for mut round in rounds(&groups, MOST) {
                round.retain(|index| !stopped.contains(&groups[*index]));
                for (index, result) in self.send_round(&messages, &groups, &round).await {
                    if matches!(result, Sent::Failed(_)) {
                        stopped.insert(&groups[index]);
                    }
                    results[index] = result;
                }
            }
        };
        // Items that the deadline cuts off keep their first result.
        let _ = timeout_at(deadline, all).await;
        results
    }

    async fn send_round(&self, messages: &[ForwardMessage], groups: &[String], round: &[usize]) -> Vec<(usize, Sent)> {
        let all = |result: Sent| round.iter().map(|index| (*index, result.clone())).collect();
        if round.is_empty() {
            return Vec::new();
        }
        let mut request = self.client.send_message_batch().queue_url(self.url.as_str());
        for index in round {
            let message = &messages[*index];
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(message.to_json())
                .message_group_id(&groups[*index])
                .message_deduplication_id(message.id().to_string())
                .build();
            match entry {
                Ok(entry) => request = request.entries(entry),
                Err(error) => return all(Sent::Failed(error.to_string())),
            }
        }
        match request.send().await {
            Err(error) => all(Sent::Failed(Causes(&error).to_string())),
            Ok(answer) => {
                let sent: HashSet<&str> = answer.successful().iter().map(|entry| entry.id()).collect();
                let result = |id: &str| match answer.failed().iter().find(|entry| entry.id() == id) {
                    _ if sent.contains(id) => Sent::Done,
                    Some(refused) => result(refused.code()),
                    None => Sent::Failed("no answer for it".to_owned()),
                };
                round.iter().map(|index| (*index, result(&index.to_string()))).collect()
            }
        }
    }
}

/// Judges the code of a refused message. A few are due to its content; all others may pass.
fn result(code: &str) -> Sent {
    match code {
        "InvalidMessageContents" | "InvalidParameterValue" => Sent::Invalid(code.to_owned()),
        _ => Sent::Failed(code.to_owned()),
    }
}
