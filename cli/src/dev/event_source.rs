use std::{sync::Arc, time::Duration};

use emulators::sqs::{self, Sqs};
use tokio::task::JoinHandle;

use crate::local_functions::LocalFunctions;

/// The pause before an empty queue is polled again.
const PAUSE: Duration = Duration::from_millis(200);

/// Hands the messages of the fallback queue to redrive until it is dropped, as Lambda's event source mapping does.
pub struct EventSource(JoinHandle<()>);

impl EventSource {
    /// Starts to poll the queue.
    pub fn start(queue: Arc<Sqs>, functions: LocalFunctions) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let taken = queue.take();
                if taken.is_empty() {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                let answer = functions.invoke("redrive", sqs::event(&taken)).await;
                if let Err(error) = &answer {
                    eprintln!("{error:#}");
                }
                queue.settle(&taken, answer.ok().as_ref());
            }
        }))
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.0.abort();
    }
}
