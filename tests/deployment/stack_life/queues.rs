//! The stack's queues.

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use serde_json::{Value, json};

/// The fallback queue and its dead-letter queue.
pub struct Queues {
    client: Client,
    fallback: String,
    dead_letter: String,
}

impl Queues {
    pub fn new(client: Client, fallback: &str, dead_letter: &str) -> Self {
        Self { client, fallback: fallback.to_owned(), dead_letter: dead_letter.to_owned() }
    }

    /// Returns the number of messages in the fallback queue, hidden ones included.
    pub async fn waiting(&self) -> usize {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let mut waiting = 0;
        for name in names {
            waiting += self.attribute(&self.fallback, name).await.unwrap().parse::<usize>().unwrap();
        }
        waiting
    }

    /// Puts a message into the fallback queue.
    pub async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.fallback).message_body(body).send().await.unwrap();
    }

    /// A message of the dead-letter queue, which stays in it.
    pub async fn dead_letter(&self) -> Option<String> {
        let receive = self.client.receive_message().queue_url(&self.dead_letter).visibility_timeout(0);
        receive.send().await.unwrap().messages?.pop()?.body
    }

    /// Sets the number of receipts after which a message becomes a dead letter.
    pub async fn give_up_after(&self, receives: u32) {
        let policy = self.attribute(&self.fallback, QueueAttributeName::RedrivePolicy).await.unwrap();
        let mut policy: Value = serde_json::from_str(&policy).unwrap();
        policy["maxReceiveCount"] = json!(receives);
        let set = self.client.set_queue_attributes().queue_url(&self.fallback);
        set.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    }

    /// Returns whether both queues exist.
    pub async fn exist(&self) -> bool {
        let arn = QueueAttributeName::QueueArn;
        self.attribute(&self.fallback, arn.clone()).await.is_some()
            && self.attribute(&self.dead_letter, arn).await.is_some()
    }

    async fn attribute(&self, queue: &str, name: QueueAttributeName) -> Option<String> {
        let get = self.client.get_queue_attributes().queue_url(queue).attribute_names(name.clone());
        get.send().await.ok()?.attributes?.remove(&name)
    }
}
