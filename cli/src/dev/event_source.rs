use std::{sync::Arc, time::Duration};

use anyhow::Result;
use emulators::{
    sqs::{self, Name, Sqs},
    table_stream::StreamMapping,
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinSet,
    time::sleep,
};

use crate::{local_functions::LocalFunctions, output::note};

/// The pause before an empty queue or stream is polled again.
const PAUSE: Duration = Duration::from_millis(200);

/// The pause after a call of a function that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Hands what waits in a queue or a stream to a function until it is dropped, as Lambda's event source mapping does.
pub struct EventSource {
    _pollers: JoinSet<()>,
    settled: watch::Receiver<()>,
}

/// The messages of a queue for a function.
pub struct QueueMapping {
    pub queue: Name,
    /// Maximum number of messages in a batch.
    pub batch: usize,
    pub function: &'static str,
    /// Maximum number of batches at once.
    pub concurrency: usize,
}

impl EventSource {
    /// Starts to poll a queue.
    pub fn of_queue(mapping: &QueueMapping, sqs: &Arc<Sqs>, functions: LocalFunctions) -> Self {
        let (settles, settled) = watch::channel(());
        let QueueMapping { queue, batch, function, concurrency } = *mapping;
        let mut pollers = JoinSet::new();
        for _ in 0..concurrency {
            let (sqs, mut caller) = (Arc::clone(sqs), Caller::new(functions, function));
            let settles = settles.clone();
            pollers.spawn(async move {
                loop {
                    let taken = sqs.take_from(queue, batch);
                    if taken.is_empty() {
                        sleep(PAUSE).await;
                        continue;
                    }
                    let answer = caller.call(sqs::event(&taken)).await;
                    sqs.settle(&taken, answer.as_ref());
                    settles.send_replace(());
                }
            });
        }
        Self { _pollers: pollers, settled }
    }

    /// Starts to poll the stream of the events table for the publisher.
    pub fn of_stream(mut stream: StreamMapping, functions: LocalFunctions) -> Self {
        let (settles, settled) = watch::channel(());
        let mut caller = Caller::new(functions, "publisher");
        let mut pollers = JoinSet::new();
        pollers.spawn(async move {
            loop {
                match stream.batch() {
                    Ok(Some(batch)) => {
                        let answer = caller.call(batch).await;
                        stream.settle(answer.as_ref());
                        settles.send_replace(());
                    }
                    Ok(None) => sleep(PAUSE).await,
                    Err(error) => {
                        note(&format!("the stream of the events table: {error}"));
                        return;
                    }
                }
            }
        });
        Self { _pollers: pollers, settled }
    }

    /// Starts to call sync for the line of each event that matches a rule of the event bus, one at a time. On AWS a queue between the
    /// two limits the calls at once; the channel takes its place here.
    pub fn of_rule(mut matching: UnboundedReceiver<Value>, functions: LocalFunctions) -> Self {
        let (settles, settled) = watch::channel(());
        let mut caller = Caller::new(functions, "sync");
        let mut pollers = JoinSet::new();
        pollers.spawn(async move {
            while let Some(event) = matching.recv().await {
                // After a failure, the next scheduled pass checks the line.
                caller.call(json!({ "action": "lines", "entity": event["detail"]["entity"] })).await;
                settles.send_replace(());
            }
        });
        Self { _pollers: pollers, settled }
    }

    /// Waits until a condition holds. It is checked now, and each time when a batch has been processed.
    ///
    /// # Errors
    /// Fails when the condition cannot be checked.
    pub async fn until(&self, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let mut settled = self.settled.clone();
        while !condition().await? {
            settled.changed().await?;
        }
        Ok(())
    }
}

/// Calls a function, and reports each failure once.
struct Caller {
    functions: LocalFunctions,
    function: &'static str,
    said: Option<String>,
}

impl Caller {
    fn new(functions: LocalFunctions, function: &'static str) -> Self {
        Self { functions, function, said: None }
    }

    /// Returns the answer; `None` when the function failed.
    async fn call(&mut self, event: Value) -> Option<Value> {
        match self.functions.invoke(self.function, event).await {
            Ok(answer) => {
                self.said = None;
                Some(answer)
            }
            Err(error) => {
                let error = format!("{error:#}");
                if self.said.as_ref() != Some(&error) {
                    note(&error);
                    self.said = Some(error);
                }
                sleep(PAUSE_AFTER_FAILURE).await;
                None
            }
        }
    }
}
