//! A stand-in for SQS: the fallback queue and its dead-letter queue, in the wire format of the real SDK. It has visibility
//! timeouts, receive counts and dead letters, on which the functions and Lambda's event source mapping rely.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_sqs::Client;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{sdk, server::Server};

/// The maximum size of a message, in bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// The maximum number of messages in one receipt, also for an event source mapping without a batch window.
const LARGEST_BATCH: usize = 10;
/// The maximum time for which a message can be hidden, in seconds.
const LONGEST_VISIBILITY: u64 = 12 * 60 * 60;

const FALLBACK: &str = "fallback";
const DEAD_LETTER: &str = "dead-letter";

/// The rules of the fallback queue; the default is what template.yaml has.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The time for which a received message is hidden.
    pub visibility: Duration,
    /// The maximum number of receipts. After them a message moves to the dead-letter queue.
    pub most_receives: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(180), most_receives: 100 }
    }
}

/// A running stand-in with its two queues; it ends when this is dropped.
#[derive(Debug)]
pub struct Sqs {
    server: Server,
    queues: Queues,
}

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Taken {
    id: String,
    handle: String,
    body: String,
    receives: u32,
}

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    receives: u32,
    /// The handle of the last receipt. Only this one can delete or hide the message.
    handle: Option<String>,
    visible_at: Instant,
}

/// The messages of a queue, oldest first.
#[derive(Debug, Default)]
struct Both {
    fallback: Vec<Message>,
    dead_letter: Vec<Message>,
    /// The number of ids and handles given out.
    given: u64,
}

#[derive(Clone, Debug)]
struct Queues {
    both: Arc<Mutex<Both>>,
    rules: Rules,
}

impl Sqs {
    /// Starts one on a free port of the loopback interface, with both queues empty.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub async fn start(rules: Rules) -> io::Result<Self> {
        Self::start_on(0, rules).await
    }

    /// Starts one on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails if the port is taken.
    pub async fn start_on(port: u16, rules: Rules) -> io::Result<Self> {
        let queues = Queues { both: Arc::default(), rules };
        let router = Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(2 * LARGEST_MESSAGE))
            .with_state(queues.clone());
        Ok(Self { server: Server::start(port, router).await?, queues })
    }

    /// Returns its address, for `AWS_ENDPOINT_URL_SQS`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the URL of the fallback queue, for `FALLBACK_QUEUE_URL`.
    pub fn queue_url(&self) -> String {
        format!("{}/000000000000/{FALLBACK}", self.url())
    }

    /// Returns the URL of the dead-letter queue.
    pub fn dead_letter_queue_url(&self) -> String {
        format!("{}/000000000000/{DEAD_LETTER}", self.url())
    }

    /// Returns the bodies of all messages in the fallback queue, hidden ones included, oldest first.
    pub fn queued(&self) -> Vec<String> {
        self.queues.lock().fallback.iter().map(|message| message.body.clone()).collect()
    }

    /// Returns the bodies of all messages in the dead-letter queue, oldest first.
    pub fn dead_letters(&self) -> Vec<String> {
        self.queues.lock().dead_letter.iter().map(|message| message.body.clone()).collect()
    }

    /// Returns the time for which each message of the fallback queue is still hidden.
    pub fn hidden_for(&self) -> Vec<Duration> {
        let now = Instant::now();
        self.queues.lock().fallback.iter().map(|message| message.visible_at.saturating_duration_since(now)).collect()
    }

    /// Puts a message into the fallback queue.
    pub fn send(&self, body: &str) {
        self.queues.send(FALLBACK, body.to_owned());
    }

    /// Makes every message of the fallback queue visible, as if its time had passed.
    pub fn show_all(&self) {
        let now = Instant::now();
        self.queues.lock().fallback.iter_mut().for_each(|message| message.visible_at = now);
    }

    /// Receives up to 10 messages of the fallback queue, as an event source mapping does.
    pub fn take(&self) -> Vec<Taken> {
        self.queues.receive(FALLBACK, LARGEST_BATCH, None)
    }

    /// Deletes messages after an answer of a function with `ReportBatchItemFailures`, as an event source mapping does: all but
    /// those that the answer names; none if the function failed or its answer cannot be read.
    pub fn settle(&self, taken: &[Taken], answer: Option<&Value>) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            batch_item_failures: Vec<Failure>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Failure {
            item_identifier: String,
        }
        let Some(answer) = answer.and_then(|answer| Answer::deserialize(answer).ok()) else { return };
        let failed: Vec<_> = answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        if failed.iter().any(|id| !taken.iter().any(|message| message.id == *id)) {
            return;
        }
        for message in taken.iter().filter(|message| !failed.contains(&message.id)) {
            self.queues.delete(FALLBACK, &message.handle);
        }
    }
}

/// Returns a client of the stand-in at an address.
pub fn client(url: &str) -> Client {
    Client::new(&sdk::plain(url))
}

/// Returns the event with which Lambda hands messages to a function.
pub fn event(taken: &[Taken]) -> Value {
    let record = |message: &Taken| {
        json!({
            "messageId": message.id,
            "receiptHandle": message.handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.receives.to_string(),
                "SentTimestamp": "1795348800000",
                "SenderId": "AROAEXAMPLE:receiver",
                "ApproximateFirstReceiveTimestamp": "1795348800001",
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{FALLBACK}"),
            "awsRegion": "us-east-1",
        })
    };
    json!({"Records": taken.iter().map(record).collect::<Vec<_>>()})
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, Both> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, queue: &str, body: String) -> String {
        let mut both = self.lock();
        let id = both.next("message");
        let message = Message { id: id.clone(), body, receives: 0, handle: None, visible_at: Instant::now() };
        both.queue(queue).push(message);
        id
    }

    fn receive(&self, queue: &str, most: usize, visibility: Option<Duration>) -> Vec<Taken> {
        let now = Instant::now();
        let hidden_until = now + visibility.unwrap_or(self.rules.visibility);
        let mut both = self.lock();
        if queue == FALLBACK {
            both.bury(now, self.rules.most_receives);
        }
        let mut taken = Vec::new();
        for at in 0..both.queue(queue).len() {
            if taken.len() == most.min(LARGEST_BATCH) {
                break;
            }
            if both.queue(queue)[at].visible_at > now {
                continue;
            }
            let handle = both.next("receipt");
            let message = &mut both.queue(queue)[at];
            message.receives += 1;
            message.visible_at = hidden_until;
            message.handle = Some(handle.clone());
            let (id, body, receives) = (message.id.clone(), message.body.clone(), message.receives);
            taken.push(Taken { id, handle, body, receives });
        }
        taken
    }

    fn delete(&self, queue: &str, handle: &str) {
        self.lock().queue(queue).retain(|message| message.handle.as_deref() != Some(handle));
    }

    fn hide(&self, queue: &str, handle: &str, duration: Duration) -> bool {
        let mut both = self.lock();
        let message = both.queue(queue).iter_mut().find(|message| message.handle.as_deref() == Some(handle));
        message.map(|message| message.visible_at = Instant::now() + duration).is_some()
    }
}

impl Both {
    fn next(&mut self, what: &str) -> String {
        self.given += 1;
        format!("{what}-{}", self.given)
    }

    fn queue(&mut self, name: &str) -> &mut Vec<Message> {
        if name == DEAD_LETTER { &mut self.dead_letter } else { &mut self.fallback }
    }

    /// Moves messages with the maximum number of receipts to the dead-letter queue. SQS does so before the next receipt.
    fn bury(&mut self, now: Instant, most_receives: u32) {
        let is_dead = |message: &mut Message| message.visible_at <= now && message.receives >= most_receives;
        let dead: Vec<_> = self.fallback.extract_if(.., is_dead).collect();
        self.dead_letter.extend(dead);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    queue_url: String,
    #[serde(default)]
    message_body: String,
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<u64>,
    max_number_of_messages: Option<usize>,
    #[serde(default)]
    entries: Vec<Entry>,
}

/// One of several messages in a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    receipt_handle: String,
    visibility_timeout: Option<u64>,
}

async fn answer(State(queues): State<Queues>, headers: HeaderMap, body: Bytes) -> Response {
    let action = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return refuse("InvalidAddress", "the request names no queue");
    };
    let queue = match request.queue_url.rsplit('/').next() {
        Some(name @ (FALLBACK | DEAD_LETTER)) => name,
        _ => return refuse("QueueDoesNotExist", "there is no such queue"),
    };
    let hidden_for = |seconds: u64| Duration::from_secs(seconds.min(LONGEST_VISIBILITY));
    let visibility = request.visibility_timeout.map(hidden_for);
    match action.strip_prefix("AmazonSQS.").unwrap_or_default() {
        "SendMessage" if request.message_body.is_empty() || request.message_body.len() > LARGEST_MESSAGE => {
            refuse("InvalidParameterValue", "a message must have from 1 to 1048576 bytes")
        }
        "SendMessage" => carried_out(&json!({"MessageId": queues.send(queue, request.message_body)})),
        "ReceiveMessage" => {
            let taken = queues.receive(queue, request.max_number_of_messages.unwrap_or(1), visibility);
            let message = |taken: Taken| {
                json!({
                    "MessageId": taken.id, "ReceiptHandle": taken.handle, "Body": taken.body,
                    "Attributes": {"ApproximateReceiveCount": taken.receives.to_string()},
                })
            };
            carried_out(&json!({"Messages": taken.into_iter().map(message).collect::<Vec<_>>()}))
        }
        "DeleteMessage" => {
            queues.delete(queue, &request.receipt_handle);
            carried_out(&json!({}))
        }
        "ChangeMessageVisibility" => {
            if queues.hide(queue, &request.receipt_handle, visibility.unwrap_or_default()) {
                carried_out(&json!({}))
            } else {
                refuse("ReceiptHandleIsInvalid", "there is no message with this receipt handle")
            }
        }
        "ChangeMessageVisibilityBatch" if request.entries.is_empty() || request.entries.len() > LARGEST_BATCH => {
            refuse("TooManyEntriesInBatchRequest", "a request must have from 1 to 10 entries")
        }
        "ChangeMessageVisibilityBatch" => {
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for Entry { id, receipt_handle, visibility_timeout } in request.entries {
                if queues.hide(queue, &receipt_handle, visibility_timeout.map(hidden_for).unwrap_or_default()) {
                    successful.push(json!({"Id": id}));
                } else {
                    failed.push(json!({"Id": id, "SenderFault": true, "Code": "ReceiptHandleIsInvalid"}));
                }
            }
            carried_out(&json!({"Successful": successful, "Failed": failed}))
        }
        "GetQueueAttributes" => {
            let now = Instant::now();
            let mut both = queues.lock();
            let (visible, hidden): (Vec<_>, Vec<_>) =
                both.queue(queue).iter().partition(|message| message.visible_at <= now);
            carried_out(&json!({"Attributes": {
                "ApproximateNumberOfMessages": visible.len().to_string(),
                "ApproximateNumberOfMessagesNotVisible": hidden.len().to_string(),
                "VisibilityTimeout": queues.rules.visibility.as_secs().to_string(),
            }}))
        }
        _ => refuse("UnsupportedOperation", "this stand-in has no such operation"),
    }
}

fn carried_out(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

fn refuse(kind: &str, message: &str) -> Response {
    let answer = json!({"__type": format!("com.amazonaws.sqs#{kind}"), "message": message});
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sqs(most_receives: u32) -> Sqs {
        Sqs::start(Rules { visibility: Duration::from_secs(60), most_receives }).await.unwrap()
    }

    #[tokio::test]
    async fn a_received_message_is_hidden_until_its_time_and_gone_when_it_was_dealt_with() {
        let sqs = sqs(9).await;
        sqs.send("a");
        sqs.send("b");
        let taken = sqs.take();
        assert_eq!(
            taken.iter().map(|message| (message.body.as_str(), message.receives)).collect::<Vec<_>>(),
            [("a", 1), ("b", 1)]
        );
        assert!(sqs.take().is_empty());
        sqs.settle(&taken, Some(&json!({"batchItemFailures": [{"itemIdentifier": taken[0].id}]})));
        assert_eq!(sqs.queued(), ["a"]);
        sqs.show_all();
        let again = sqs.take();
        assert_eq!((again.len(), again[0].receives), (1, 2));
        // The receipt of the first time is worth nothing any more.
        sqs.settle(&taken, Some(&json!({"batchItemFailures": []})));
        assert_eq!(sqs.queued(), ["a"]);
    }

    #[tokio::test]
    async fn an_answer_that_is_none_or_names_another_message_deletes_nothing() {
        let sqs = sqs(9).await;
        sqs.send("a");
        let taken = sqs.take();
        for answer in [None, Some(json!(null)), Some(json!({"batchItemFailures": [{"itemIdentifier": "other"}]}))] {
            sqs.settle(&taken, answer.as_ref());
            assert_eq!(sqs.queued(), ["a"], "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_message_received_too_often_is_a_dead_letter() {
        let sqs = sqs(2).await;
        sqs.send("a");
        for _ in 0..2 {
            assert_eq!(sqs.take().len(), 1);
            sqs.show_all();
        }
        assert!(sqs.take().is_empty());
        assert_eq!((sqs.queued(), sqs.dead_letters()), (vec![], vec!["a".to_owned()]));
    }
}
