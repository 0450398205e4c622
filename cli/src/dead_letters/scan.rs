use std::{
    collections::{HashMap, HashSet},
    io,
    time::Duration,
};

use anyhow::{Result, bail};
use aws_sdk_sqs::{
    Client,
    operation::receive_message::ReceiveMessageOutput,
    types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use shared::Secret;

use crate::{aws_error::AwsError, output::note};

/// Time for which a received message is hidden from others, in seconds. After a crash it is visible again then.
const HIDDEN: i32 = 30;
/// Time that a receive waits for messages, in seconds. Only a receive that waits asks every server that holds the queue.
const WAIT: i32 = 1;
/// Maximum number of messages in one request to SQS.
const BATCH: usize = 10;
/// Maximum number of receives in a row without a new message. Then everything counts as seen.
const MOST_REPEATS: usize = 20;
/// Maximum time for a running receive to end after Ctrl-C, so that the messages that it hides can be made visible again.
const GRACE: Duration = Duration::from_secs(2);
/// Maximum time to make everything visible again.
const SHOWING: Duration = Duration::from_secs(10);

/// A message of a dead-letter queue.
pub struct QueueMessage {
    /// SQS' id of the message, as long as it is in this queue.
    pub id: String,
    /// Number of receives from either queue, this one included.
    pub receives: Option<u32>,
    /// The text of the message, which may have secrets.
    pub body: Secret,
    /// SQS' handle of this receive, with which the message is deleted.
    receipt_handle: String,
}

impl QueueMessage {
    /// Reads a message as received; `None` when it has no id or handle.
    fn read(message: Message) -> Option<Self> {
        let receives = message
            .attributes()
            .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse().ok());
        let Message { message_id, receipt_handle, body, .. } = message;
        Some(Self {
            id: message_id?,
            receives,
            body: Secret::new(body.unwrap_or_default()),
            receipt_handle: receipt_handle?,
        })
    }
}

/// A scan of a dead-letter queue. Looking at a message is receiving it, which hides it: [`Scan::end`] makes all of them
/// visible again.
pub struct Scan<'a> {
    sqs: &'a Client,
    url: &'a str,
    /// The handle of the last receive of each message that was seen and is still in the queue.
    hidden: HashMap<String, String>,
    deleted: HashSet<String>,
    interrupt: Signal,
    terminate: Signal,
}

impl<'a> Scan<'a> {
    /// Starts a scan of the queue at an address. From now on Ctrl-C ends the scan, not the program.
    ///
    /// # Errors
    /// Fails when signals cannot be handled.
    pub fn begin(sqs: &'a Client, url: &'a str) -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { sqs, url, hidden: HashMap::new(), deleted: HashSet::new(), interrupt, terminate })
    }

    /// Returns messages that were not seen before, at most `most`; `None` when there are no more.
    ///
    /// # Errors
    /// Fails when they cannot be received, and on Ctrl-C.
    pub async fn next(&mut self, most: usize) -> Result<Option<Vec<QueueMessage>>> {
        // Messages come back when the scan takes longer than they are hidden, and then there may always be some to receive.
        for _ in 0..MOST_REPEATS {
            let received = self.receive(most).await?;
            if received.messages().is_empty() {
                return Ok(None);
            }
            let unseen = self.unseen(received);
            if !unseen.is_empty() {
                return Ok(Some(unseen));
            }
        }
        Ok(None)
    }

    async fn receive(&mut self, most: usize) -> Result<ReceiveMessageOutput> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(self.url)
            .max_number_of_messages(i32::try_from(most.clamp(1, BATCH)).unwrap_or(1))
            .visibility_timeout(HIDDEN)
            .wait_time_seconds(WAIT)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let mut receive = std::pin::pin!(receive.send());
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            received = &mut receive => return Ok(received.map_err(|error| AwsError::of("the dead-letter queue", &error))?),
        }
        if let Ok(Ok(received)) = timeout(GRACE, receive).await {
            self.unseen(received);
        }
        bail!("interrupted")
    }

    fn unseen(&mut self, received: ReceiveMessageOutput) -> Vec<QueueMessage> {
        let messages = received.messages.unwrap_or_default().into_iter().filter_map(QueueMessage::read);
        let mut unseen = Vec::new();
        for message in messages.filter(|message| !self.deleted.contains(&message.id)) {
            // Only the last receipt can make a message visible.
            if self.hidden.insert(message.id.clone(), message.receipt_handle.clone()).is_none() {
                unseen.push(message);
            }
        }
        unseen
    }

    /// Deletes a message from the queue.
    ///
    /// # Errors
    /// Fails when SQS refuses, or does not answer.
    pub async fn delete(&mut self, message: &QueueMessage) -> Result<()> {
        let delete = self.sqs.delete_message().queue_url(self.url).receipt_handle(&message.receipt_handle);
        delete.send().await.map_err(|error| AwsError::of("the dead-letter queue", &error))?;
        self.hidden.remove(&message.id);
        self.deleted.insert(message.id.clone());
        Ok(())
    }

    /// Returns the approximate number of messages that others have hidden by looking at them.
    ///
    /// # Errors
    /// Fails when SQS refuses, or does not answer.
    pub async fn hidden_by_others(&self) -> Result<usize> {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let get = self.sqs.get_queue_attributes().queue_url(self.url).attribute_names(name.clone());
        let answer = get.send().await.map_err(|error| AwsError::of("the dead-letter queue", &error))?;
        let hidden = answer.attributes.and_then(|mut attributes| attributes.remove(&name));
        let hidden: usize = hidden.as_deref().unwrap_or("0").parse()?;
        Ok(hidden.saturating_sub(self.hidden.len()))
    }

    /// Makes every message visible again that was seen and not deleted. Prints a note about those for which that fails.
    pub async fn end(self) {
        let handles: Vec<String> = self.hidden.into_values().collect();
        let show = async {
            let mut refused = Vec::new();
            for handles in handles.chunks(BATCH) {
                let entries = handles.iter().enumerate().map(|(n, handle)| {
                    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string());
                    entry.receipt_handle(handle).visibility_timeout(0).build()
                });
                let entries = entries.collect::<Result<Vec<_>, _>>()?;
                let show = self.sqs.change_message_visibility_batch().queue_url(self.url).set_entries(Some(entries));
                let shown = show.send().await.map_err(|error| AwsError::of("the dead-letter queue", &error))?;
                refused.extend(shown.failed.into_iter().map(|entry| entry.code));
            }
            anyhow::Ok(refused)
        };
        let fault = match timeout(SHOWING, show).await {
            Ok(Ok(refused)) => match refused.first() {
                None => return,
                Some(code) => format!("{} of {} were refused, with {code}", refused.len(), handles.len()),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", SHOWING.as_secs()),
        };
        note(&format!("The messages that were looked at stay hidden for up to {HIDDEN} s: {fault}"));
    }
}
