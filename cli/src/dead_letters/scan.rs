use std::{
    collections::{HashMap, HashSet},
    io,
    time::Duration,
};

use anyhow::{Result, bail};
use aws_sdk_sqs::{
    Client,
    operation::receive_message::ReceiveMessageOutput,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::dead_letter::DeadLetter;
use crate::{output::note, target::AwsError};

/// For how long a message that was received is hidden from others, in seconds: what is left hidden by a crash is back after that.
const HIDDEN: i32 = 30;
/// How long a receive waits for messages, in seconds. Only one that waits asks all servers that hold the queue.
const WAIT: i32 = 1;
/// The most messages that SQS gives, or takes word of, at once.
const BATCH: usize = 10;
/// After so many receives in a row that brought nothing new, all is taken to have been seen.
const MOST_REPEATS: usize = 20;
/// How long a receive that is under way may take to end after Ctrl-C: what it has hidden is to be shown again.
const GRACE: Duration = Duration::from_secs(2);
/// How long it may take to make everything visible again.
const SHOWING: Duration = Duration::from_secs(10);

/// A scan through the dead-letter queue. Looking at a message is receiving it, which hides it: [`Scan::end`] makes all of them
/// visible again.
pub struct Scan<'a> {
    sqs: &'a Client,
    url: &'a str,
    /// The last receipt of each message that was seen and is still there.
    hidden: HashMap<String, String>,
    deleted: HashSet<String>,
    interrupt: Signal,
    terminate: Signal,
}

impl<'a> Scan<'a> {
    /// A scan through the queue at this address, which from now on is what Ctrl-C ends.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub fn begin(sqs: &'a Client, url: &'a str) -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { sqs, url, hidden: HashMap::new(), deleted: HashSet::new(), interrupt, terminate })
    }

    /// Some of the messages that were not seen before, at most so many; `None` when there are no more.
    ///
    /// # Errors
    /// When they cannot be received, and on Ctrl-C.
    pub async fn next(&mut self, most: usize) -> Result<Option<Vec<DeadLetter>>> {
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

    fn unseen(&mut self, received: ReceiveMessageOutput) -> Vec<DeadLetter> {
        let dead_letters = received.messages.unwrap_or_default().into_iter().filter_map(DeadLetter::read);
        let mut unseen = Vec::new();
        for dead_letter in dead_letters.filter(|dead_letter| !self.deleted.contains(&dead_letter.message_id)) {
            // Only the last receipt can make a message visible.
            if self.hidden.insert(dead_letter.message_id.clone(), dead_letter.receipt_handle.clone()).is_none() {
                unseen.push(dead_letter);
            }
        }
        unseen
    }

    /// Deletes a message from the queue.
    ///
    /// # Errors
    /// When SQS refuses, or does not answer.
    pub async fn delete(&mut self, dead_letter: &DeadLetter) -> Result<()> {
        let delete = self.sqs.delete_message().queue_url(self.url).receipt_handle(&dead_letter.receipt_handle);
        delete.send().await.map_err(|error| AwsError::of("the dead-letter queue", &error))?;
        self.hidden.remove(&dead_letter.message_id);
        self.deleted.insert(dead_letter.message_id.clone());
        Ok(())
    }

    /// How many messages are hidden, but not by this scan: somebody else looks at them, or has just done so. SQS knows it roughly.
    ///
    /// # Errors
    /// When SQS refuses, or does not answer.
    pub async fn hidden_by_others(&self) -> Result<usize> {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let get = self.sqs.get_queue_attributes().queue_url(self.url).attribute_names(name.clone());
        let answer = get.send().await.map_err(|error| AwsError::of("the dead-letter queue", &error))?;
        let hidden = answer.attributes.and_then(|mut attributes| attributes.remove(&name));
        let hidden: usize = hidden.as_deref().unwrap_or("0").parse()?;
        Ok(hidden.saturating_sub(self.hidden.len()))
    }

    /// Makes visible what was seen and not deleted. What that fails for is visible again in half a minute, and said.
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
