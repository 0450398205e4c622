//! A stand-in for SQS with a stack's queues, in the real wire format, so that the real SDK works with it. It has the features
//! that the functions and Lambda's event source mappings use: visibility, receive counts, dead letters, and the order of a
//! FIFO queue.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
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

/// Maximum size of a message, in bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// Maximum number of messages in one receipt, also for an event source mapping without a batch window.
const LARGEST_BATCH: usize = 10;
/// Maximum time for which a message can be hidden, in seconds.
const LONGEST_VISIBILITY: u64 = 12 * 60 * 60;

/// Time for which SQS remembers the deduplication ids of a FIFO queue.
const DEDUPLICATION: Duration = Duration::from_secs(5 * 60);

/// Number of messages among which a FIFO queue looks for a free group, by AWS's developer guide ("Avoid large message backlogs
/// with the same message group ID").
const SEARCHED: usize = 120_000;

/// A queue of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// Deliveries that could not be recorded at once.
    Fallback,
    /// Dead letters of the fallback queue.
    DeadLetter,
    /// Events for the partner's endpoint: FIFO.
    Forward,
    /// Dead letters of the forward queue: FIFO.
    ForwardDeadLetters,
    /// Records that could not be published.
    PublishFailures,
}

impl Name {
    const ALL: [Self; 5] =
        [Self::Fallback, Self::DeadLetter, Self::Forward, Self::ForwardDeadLetters, Self::PublishFailures];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::DeadLetter => "dead-letter",
            Self::Forward => "forward.fifo",
            Self::ForwardDeadLetters => "forward-dead-letters.fifo",
            Self::PublishFailures => "publish-failures",
        }
    }

    fn of_url(url: &str) -> Option<Self> {
        let name = url.rsplit('/').next()?;
        Self::ALL.into_iter().find(|queue| queue.as_str() == name)
    }

    fn is_fifo(self) -> bool {
        self.as_str().ends_with(".fifo")
    }

    /// Returns the dead-letter queue for messages that were received too often.
    fn dead_letters(self) -> Option<Self> {
        match self {
            Self::Fallback => Some(Self::DeadLetter),
            Self::Forward => Some(Self::ForwardDeadLetters),
            Self::DeadLetter | Self::ForwardDeadLetters | Self::PublishFailures => None,
        }
    }
}

/// The rules of a queue; the defaults are those of the fallback queue in template.yaml.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Time for which a received message is hidden.
    pub visibility: Duration,
    /// Maximum number of receipts. After them a message moves to the dead-letter queue.
    pub most_receives: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(180), most_receives: 100 }
    }
}

/// A running stand-in with its queues; dropping it ends it.
#[derive(Debug)]
pub struct Sqs {
    server: Server,
    queues: Queues,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Taken {
    queue: Name,
    id: String,
    handle: String,
    body: String,
    group: Option<String>,
    deduplication: Option<String>,
    receives: u32,
    sent_at_millis: i64,
}

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    /// Message group, in a FIFO queue.
    group: Option<String>,
    deduplication: Option<String>,
    receives: u32,
    /// Milliseconds since 1970.
    sent_at_millis: i64,
    /// The handle of the last receipt. Only this one can delete or hide the message.
    handle: Option<String>,
    visible_at: Instant,
}

/// The messages of a queue, oldest first.
#[derive(Debug, Default)]
struct Queue {
    messages: Vec<Message>,
    /// Recent deduplication ids, each with its time of arrival.
    remembered: HashMap<String, Instant>,
}

#[derive(Debug, Default)]
struct Store {
    queues: HashMap<Name, Queue>,
    /// Rules of single queues, in place of those of all.
    rules: HashMap<Name, Rules>,
    /// Time of sending in place of the system's, in milliseconds since 1970.
    now_millis: Option<i64>,
    /// Error codes for the next entries of `SendMessageBatch`, one each; `None` accepts an entry.
    refusals: VecDeque<Option<&'static str>>,
    /// Number of ids and handles issued.
    given: u64,
}

#[derive(Clone, Debug)]
struct Queues {
    store: Arc<Mutex<Store>>,
    rules: Rules,
}

impl Sqs {
    /// Starts a stand-in on a free port of the loopback interface, with empty queues.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub async fn start(rules: Rules) -> io::Result<Self> {
        Self::start_on(0, rules).await
    }

    /// Starts a stand-in on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails if the port is taken.
    pub async fn start_on(port: u16, rules: Rules) -> io::Result<Self> {
        let queues = Queues { store: Arc::default(), rules };
        let router = Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(2 * LARGEST_MESSAGE))
            .with_state(queues.clone());
        Ok(Self { server: Server::start(port, router).await?, queues })
    }

    /// Gives a queue rules of its own.
    pub fn set_rules(&self, queue: Name, rules: Rules) {
        self.queues.lock().rules.insert(queue, rules);
    }

    /// Returns the address, for `AWS_ENDPOINT_URL_SQS`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the URL of the fallback queue, for `FALLBACK_QUEUE_URL`.
    pub fn queue_url(&self) -> String {
        self.url_of(Name::Fallback)
    }

    /// Returns the URL of the dead-letter queue.
    pub fn dead_letter_queue_url(&self) -> String {
        self.url_of(Name::DeadLetter)
    }

    /// Returns the URL of a queue.
    pub fn url_of(&self, queue: Name) -> String {
        format!("{}/000000000000/{}", self.url(), queue.as_str())
    }

    /// Returns the bodies of all messages in the fallback queue, hidden ones included, oldest first.
    pub fn queued(&self) -> Vec<String> {
        self.bodies(Name::Fallback)
    }

    /// Returns the bodies of all messages in the dead-letter queue, oldest first.
    pub fn dead_letters(&self) -> Vec<String> {
        self.bodies(Name::DeadLetter)
    }

    /// Returns the bodies of all messages in a queue, hidden ones included, oldest first.
    pub fn bodies(&self, queue: Name) -> Vec<String> {
        self.queues.lock().queue(queue).messages.iter().map(|message| message.body.clone()).collect()
    }

    /// Returns the remaining hidden time of each message in the fallback queue.
    pub fn hidden_for(&self) -> Vec<Duration> {
        self.hidden_in(Name::Fallback)
    }

    /// Returns the remaining hidden time of each message in a queue.
    pub fn hidden_in(&self, queue: Name) -> Vec<Duration> {
        let now = Instant::now();
        let mut store = self.queues.lock();
        store.queue(queue).messages.iter().map(|message| message.visible_at.saturating_duration_since(now)).collect()
    }

    /// Puts a message into the fallback queue.
    pub fn send(&self, body: &str) {
        self.queues.send(Name::Fallback, body.to_owned(), None, None);
    }

    /// Puts a message into a FIFO queue.
    pub fn send_in_group(&self, queue: Name, body: &str, group: &str, deduplication: &str) {
        self.queues.send(queue, body.to_owned(), Some(group.to_owned()), Some(deduplication.to_owned()));
    }

    /// Sets the time of sending of all later messages, in milliseconds since 1970. Without it they have the system's time.
    pub fn set_time(&self, millis: i64) {
        self.queues.lock().now_millis = Some(millis);
    }

    /// Answers the next entries of `SendMessageBatch` with these error codes, one each; `None` accepts an entry.
    pub fn refuse(&self, codes: impl IntoIterator<Item = Option<&'static str>>) {
        self.queues.lock().refusals.extend(codes);
    }

    /// Makes every message of the fallback queue visible, as if its time had passed.
    pub fn show_all(&self) {
        self.show_all_in(Name::Fallback);
    }

    /// Makes every message of a queue visible, as if the time had passed.
    pub fn show_all_in(&self, queue: Name) {
        let now = Instant::now();
        self.queues.lock().queue(queue).messages.iter_mut().for_each(|message| message.visible_at = now);
    }

    /// Lets time pass for a queue: hidden messages show earlier, and deduplication ids are forgotten earlier.
    pub fn pass(&self, queue: Name, time: Duration) {
        let now = Instant::now();
        let mut store = self.queues.lock();
        let Queue { messages, remembered } = store.queue(queue);
        for message in messages {
            message.visible_at = message.visible_at.checked_sub(time).map_or(now, |at| at.max(now));
        }
        remembered.retain(|_, at| match at.checked_sub(time) {
            Some(earlier) => {
                *at = earlier;
                true
            }
            None => false,
        });
    }

    /// Receives up to 10 messages of the fallback queue, as an event source mapping does.
    pub fn take(&self) -> Vec<Taken> {
        self.take_from(Name::Fallback, LARGEST_BATCH)
    }

    /// Receives messages of a queue, as an event source mapping does.
    pub fn take_from(&self, queue: Name, most: usize) -> Vec<Taken> {
        self.queues.receive(queue, most, None)
    }

    /// Deletes messages after a function's answer with `ReportBatchItemFailures`, as an event source mapping does: all
    /// except those that the answer names; none if the function failed or its answer cannot be read.
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
            self.queues.delete(message.queue, &message.handle);
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
        let mut attributes = json!({
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": message.sent_at_millis.to_string(),
            "SenderId": "AROAEXAMPLE:receiver",
            "ApproximateFirstReceiveTimestamp": message.sent_at_millis.to_string(),
        });
        if let Some(group) = &message.group {
            attributes["MessageGroupId"] = group.as_str().into();
        }
        if let Some(deduplication) = &message.deduplication {
            attributes["MessageDeduplicationId"] = deduplication.as_str().into();
        }
        json!({
            "messageId": message.id,
            "receiptHandle": message.handle,
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{}", message.queue.as_str()),
            "awsRegion": "us-east-1",
        })
    };
    json!({"Records": taken.iter().map(record).collect::<Vec<_>>()})
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into a queue. A message with a recent deduplication id is accepted and dropped.
    fn send(&self, queue: Name, body: String, group: Option<String>, deduplication: Option<String>) -> String {
        let now = Instant::now();
        let mut store = self.lock();
        let id = store.next("message");
        let sent_at_millis = store.now_millis.unwrap_or_else(system_millis);
        let queue = store.queue(queue);
        if let Some(deduplication) = &deduplication {
            let known = queue.remembered.get(deduplication);
            if known.is_some_and(|at| now.duration_since(*at) < DEDUPLICATION) {
                return id;
            }
            queue.remembered.insert(deduplication.clone(), now);
        }
        queue.messages.push(Message {
            id: id.clone(),
            body,
            group,
            deduplication,
            receives: 0,
            sent_at_millis,
            handle: None,
            visible_at: now,
        });
        id
    }

    fn receive(&self, queue: Name, most: usize, visibility: Option<Duration>) -> Vec<Taken> {
        let now = Instant::now();
        let mut store = self.lock();
        let rules = store.rules.get(&queue).copied().unwrap_or(self.rules);
        let hidden_until = now + visibility.unwrap_or(rules.visibility);
        if let Some(dead_letters) = queue.dead_letters() {
            store.bury(queue, dead_letters, now, rules.most_receives);
        }
        let mut taken = Vec::new();
        // FIFO groups with a hidden message: no later message of theirs is received.
        let mut blocked = HashSet::new();
        let searched = if queue.is_fifo() { SEARCHED } else { usize::MAX };
        for at in 0..store.queue(queue).messages.len().min(searched) {
            if taken.len() == most.min(LARGEST_BATCH) {
                break;
            }
            let message = &store.queue(queue).messages[at];
            if message.group.as_ref().is_some_and(|group| blocked.contains(group)) {
                continue;
            }
            let group = message.group.clone();
            if message.visible_at > now {
                blocked.extend(group);
                continue;
            }
            let handle = store.next("receipt");
            let message = &mut store.queue(queue).messages[at];
            message.receives += 1;
            message.visible_at = hidden_until;
            message.handle = Some(handle.clone());
            taken.push(Taken {
                queue,
                id: message.id.clone(),
                handle,
                body: message.body.clone(),
                group,
                deduplication: message.deduplication.clone(),
                receives: message.receives,
                sent_at_millis: message.sent_at_millis,
            });
        }
        taken
    }

    fn delete(&self, queue: Name, handle: &str) {
        self.lock().queue(queue).messages.retain(|message| message.handle.as_deref() != Some(handle));
    }

    fn hide(&self, queue: Name, handle: &str, duration: Duration) -> bool {
        let mut store = self.lock();
        let mut messages = store.queue(queue).messages.iter_mut();
        let message = messages.find(|message| message.handle.as_deref() == Some(handle));
        message.map(|message| message.visible_at = Instant::now() + duration).is_some()
    }
}

impl Store {
    fn next(&mut self, what: &str) -> String {
        self.given += 1;
        format!("{what}-{}", self.given)
    }

    fn queue(&mut self, name: Name) -> &mut Queue {
        self.queues.entry(name).or_default()
    }

    /// Moves messages that reached the maximum number of receipts to the dead letters; SQS does so at the next receipt.
    fn bury(&mut self, queue: Name, dead_letters: Name, now: Instant, most_receives: u32) {
        let is_dead = |message: &mut Message| message.visible_at <= now && message.receives >= most_receives;
        let dead: Vec<_> = self.queue(queue).messages.extract_if(.., is_dead).collect();
        self.queue(dead_letters).messages.extend(dead);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    queue_url: String,
    #[serde(default)]
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
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
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<u64>,
    #[serde(default)]
    message_body: String,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

async fn answer(State(queues): State<Queues>, headers: HeaderMap, body: Bytes) -> Response {
    let action = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return refuse("InvalidAddress", "the request names no queue");
    };
    let Some(queue) = Name::of_url(&request.queue_url) else {
        return refuse("QueueDoesNotExist", "there is no such queue");
    };
    let hidden_for = |seconds: u64| Duration::from_secs(seconds.min(LONGEST_VISIBILITY));
    let visibility = request.visibility_timeout.map(hidden_for);
    match action.strip_prefix("AmazonSQS.").unwrap_or_default() {
        "SendMessage" if request.message_body.is_empty() || request.message_body.len() > LARGEST_MESSAGE => {
            refuse("InvalidParameterValue", "a message must have from 1 to 1048576 bytes")
        }
        "SendMessage" if !is_sendable(&request.message_body) => {
            refuse("InvalidMessageContents", "the message has characters that are not allowed")
        }
        "SendMessage" if queue.is_fifo() && request.message_group_id.is_none() => {
            refuse("MissingParameter", "a message of a FIFO queue must have a MessageGroupId")
        }
        "SendMessage" => {
            let (group, deduplication) = (request.message_group_id, request.message_deduplication_id);
            carried_out(&json!({"MessageId": queues.send(queue, request.message_body, group, deduplication)}))
        }
        "SendMessageBatch" if request.entries.is_empty() || request.entries.len() > LARGEST_BATCH => {
            refuse("TooManyEntriesInBatchRequest", "a request must have from 1 to 10 entries")
        }
        "SendMessageBatch" => {
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for entry in request.entries {
                if queue.is_fifo() && entry.message_group_id.is_none() {
                    failed.push(json!({"Id": entry.id, "SenderFault": true, "Code": "MissingParameter"}));
                    continue;
                }
                let planned = queues.lock().refusals.pop_front().flatten();
                let refusal = planned.or((!is_sendable(&entry.message_body)).then_some("InvalidMessageContents"));
                if let Some(code) = refusal {
                    failed.push(json!({"Id": entry.id, "SenderFault": true, "Code": code}));
                    continue;
                }
                let (group, deduplication) = (entry.message_group_id, entry.message_deduplication_id);
                let id = queues.send(queue, entry.message_body, group, deduplication);
                successful.push(json!({"Id": entry.id, "MessageId": id, "MD5OfMessageBody": ""}));
            }
            carried_out(&json!({"Successful": successful, "Failed": failed}))
        }
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
            for Entry { id, receipt_handle, visibility_timeout, .. } in request.entries {
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
            let mut store = queues.lock();
            let rules = store.rules.get(&queue).copied().unwrap_or(queues.rules);
            let (visible, hidden): (Vec<_>, Vec<_>) =
                store.queue(queue).messages.iter().partition(|message| message.visible_at <= now);
            carried_out(&json!({"Attributes": {
                "ApproximateNumberOfMessages": visible.len().to_string(),
                "ApproximateNumberOfMessagesNotVisible": hidden.len().to_string(),
                "VisibilityTimeout": rules.visibility.as_secs().to_string(),
            }}))
        }
        _ => refuse("UnsupportedOperation", "this stand-in has no such operation"),
    }
}

/// Returns whether SQS takes a message with this text.
fn is_sendable(body: &str) -> bool {
    !body
        .chars()
        .any(|char| matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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
        // The handle of the first receipt is no longer valid.
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

    fn forward(sqs: &Sqs, body: &str, group: &str) {
        sqs.send_in_group(Name::Forward, body, group, body);
    }

    fn bodies(taken: &[Taken]) -> Vec<&str> {
        taken.iter().map(|message| message.body.as_str()).collect()
    }

    #[tokio::test]
    async fn in_a_fifo_queue_a_hidden_message_keeps_its_group_waiting_and_no_other() {
        let sqs = sqs(9).await;
        for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a1", "a")] {
            forward(&sqs, body, group);
        }
        assert_eq!(sqs.bodies(Name::Forward), ["a1", "a2", "b1"], "the same deduplication id counts once");
        let first = sqs.take_from(Name::Forward, 1);
        assert_eq!(bodies(&first), ["a1"]);
        let second = sqs.take_from(Name::Forward, 1);
        assert_eq!(bodies(&second), ["b1"]);
        assert!(sqs.take_from(Name::Forward, 10).is_empty());
        sqs.settle(&first, Some(&json!({"batchItemFailures": []})));
        assert_eq!(bodies(&sqs.take_from(Name::Forward, 10)), ["a2"]);
    }

    #[tokio::test]
    async fn a_fifo_queue_looks_for_a_free_group_among_its_first_messages_only() {
        let sqs = sqs(9).await;
        for number in 1..SEARCHED {
            forward(&sqs, &number.to_string(), "a");
        }
        forward(&sqs, "b1", "b");
        forward(&sqs, "c1", "c");
        assert_eq!(bodies(&sqs.take_from(Name::Forward, 1)), ["1"]);
        assert_eq!(bodies(&sqs.take_from(Name::Forward, 10)), ["b1"], "the message of c is one too far");
    }
}
