//! The event bus: packs entries into requests by number and size, and sends only the failed ones again.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::{Client, types::PutEventsRequestEntry};
use outbound::{BusEntry, SOURCE};
use shared::Causes;

/// Maximum number of entries in a request.
const MOST: usize = 10;

/// Maximum size of a request in bytes.
const LARGEST: usize = 256 * 1_024;

/// Pauses before the failed entries of a request are sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// The stack's event bus.
pub(crate) struct Bus {
    client: Client,
    name: String,
}

/// The outcome of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The bus accepted it.
    Done,
    /// The bus may accept it later.
    Failed(String),
    /// The bus will never accept it.
    Invalid(String),
}

impl Bus {
    pub(crate) fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Puts all entries on the bus; the outcomes are in the order of the entries.
    pub(crate) async fn put(&self, entries: &[BusEntry]) -> Vec<Put> {
        let mut outcomes = vec![Put::Failed("not sent".to_owned()); entries.len()];
        for request in pack(entries) {
            self.put_request(entries, request, &mut outcomes).await;
        }
        outcomes
    }

    async fn put_request(&self, entries: &[BusEntry], mut left: Vec<usize>, outcomes: &mut [Put]) {
        let mut pauses = PAUSES.iter();
        loop {
            let request = left.iter().map(|index| self.entry(&entries[*index]));
            let answer = self.client.put_events().set_entries(Some(request.collect())).send().await;
            match answer {
                Ok(answer) => {
                    for (index, entry) in left.iter().zip(answer.entries()) {
                        outcomes[*index] = outcome(entry.error_code());
                    }
                }
                Err(error) => {
                    let cause = Causes(&error).to_string();
                    left.iter().for_each(|index| outcomes[*index] = Put::Failed(cause.clone()));
                }
            }
            left.retain(|index| matches!(outcomes[*index], Put::Failed(_)));
            match pauses.next() {
                Some(pause) if !left.is_empty() => tokio::time::sleep(*pause).await,
                _ => return,
            }
        }
    }

    fn entry(&self, entry: &BusEntry) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(entry.detail_type())
            .detail(entry.detail())
            .build()
    }
}

/// Judges an error code. A few refusals are due to the entry's content; all others, even a missing permission, may pass.
fn outcome(error_code: Option<&str>) -> Put {
    match error_code {
        None => Put::Done,
        Some(code @ ("MalformedDetail" | "InvalidArgument" | "ValidationException")) => Put::Invalid(code.to_owned()),
        Some(code) => Put::Failed(code.to_owned()),
    }
}

/// Packs entries into requests, in order.
fn pack(entries: &[BusEntry]) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut size = 0;
    for (index, entry) in entries.iter().enumerate() {
        size += entry.size();
        match requests.last_mut() {
            Some(request) if request.len() < MOST && size <= LARGEST => request.push(index),
            _ => {
                size = entry.size();
                requests.push(vec![index]);
            }
        }
    }
    requests
}
