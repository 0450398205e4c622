//! The event bus: packs entries into requests by number and size, and sends only the failed ones again.

use std::{collections::VecDeque, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_eventbridge::{Client, error::ProvideErrorMetadata, types::PutEventsRequestEntry};
use outbound::{BusEntry, SOURCE};
use shared::Causes;
use tokio::time::{Instant, timeout_at};

use crate::outcome::Sent;

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

impl Bus {
    pub(crate) fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Puts entries on the bus until a deadline; the results are in their order. After a request with a failed entry nothing more is
    /// put: it would come again.
    pub(crate) async fn put(&self, entries: &[BusEntry], deadline: Instant) -> Vec<Sent> {
        let mut results = vec![Sent::not_sent(); entries.len()];
        let all = async {
            let mut requests = VecDeque::from(pack(entries));
            while let Some(request) = requests.pop_front() {
                if !self.put_request(entries, &request, &mut results).await {
                    request.into_iter().rev().for_each(|index| requests.push_front(vec![index]));
                } else if request.iter().any(|index| matches!(results[*index], Sent::Failed(_))) {
                    break;
                }
            }
        };
        // Items that the deadline cuts off keep their first result.
        let _ = timeout_at(deadline, all).await;
        results
    }

    /// Puts some entries on the bus. Returns false when the bus refuses the whole request for the content of one of them.
    async fn put_request(&self, entries: &[BusEntry], request: &[usize], results: &mut [Sent]) -> bool {
        let mut left = request.to_vec();
        let mut pauses = PAUSES.iter();
        loop {
            let entries = left.iter().map(|index| self.entry(&entries[*index]));
            let answer = self.client.put_events().set_entries(Some(entries.collect())).send().await;
            match answer {
                Ok(answer) => {
                    for (index, entry) in left.iter().zip(answer.entries()) {
                        results[*index] = result(entry.error_code());
                    }
                }
                Err(error) => {
                    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
                    let refusal =
                        code.map(|code| result(Some(code))).filter(|refused| matches!(refused, Sent::Invalid(_)));
                    if refusal.is_some() && left.len() > 1 {
                        return false;
                    }
                    let result = refusal.unwrap_or_else(|| Sent::Failed(Causes(&error).to_string()));
                    left.iter().for_each(|index| results[*index] = result.clone());
                }
            }
            left.retain(|index| matches!(results[*index], Sent::Failed(_)));
            match pauses.next() {
                Some(pause) if !left.is_empty() => tokio::time::sleep(*pause).await,
                _ => return true,
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
fn result(error_code: Option<&str>) -> Sent {
    match error_code {
        None => Sent::Done,
        Some(code @ ("MalformedDetail" | "InvalidArgument" | "ValidationException")) => Sent::Invalid(code.to_owned()),
        Some(code) => Sent::Failed(code.to_owned()),
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
