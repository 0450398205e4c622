use aws_config::SdkConfig;
use lambda::Metrics;
use outbound::BusEntry;
use shared::Timestamp;
use store::PublishedCounts;
use tokio::time::timeout;

use crate::{
    aside::Aside,
    batch::{Batch, Failures, Record, Unpublishable},
    budget,
    bus::{Bus, Put},
    config::Config,
    forward_queue::ForwardQueue,
    log, metrics,
    outcome::{Outcome, Published},
};

/// The publisher, ready for batches.
pub struct Publisher {
    bus: Bus,
    forward_queue: Option<ForwardQueue>,
    aside: Aside,
    counts: PublishedCounts,
    metrics: Metrics,
}

impl Publisher {
    /// Creates a publisher. `aws` has the retries of [`crate::AWS`].
    pub fn new(config: Config, aws: &SdkConfig, metrics: Metrics) -> Self {
        Self {
            bus: Bus::new(aws, config.bus),
            forward_queue: config.forward_queue.map(|url| ForwardQueue::new(aws, url)),
            aside: Aside::new(aws, config.aside_queue),
            counts: PublishedCounts::new(aws_sdk_dynamodb::Client::new(aws), config.events_table),
            metrics,
        }
    }

    /// Publishes the events of a batch received at `now`, writes its metrics, and returns the first record that must come again.
    pub async fn handle(&self, batch: Batch, now: Timestamp) -> Failures {
        let records = batch.records;
        let outcomes = match timeout(budget::HAND_ON, Box::pin(self.hand_on(&records))).await {
            Ok(outcomes) => outcomes,
            Err(_) => records.iter().map(|_| Outcome::Failed("no time left".to_owned())).collect(),
        };
        for (record, outcome) in records.iter().zip(&outcomes) {
            log::outcome(record, outcome);
        }
        let first_failed = outcomes.iter().position(|outcome| matches!(outcome, Outcome::Failed(_)));
        // The first failed record and all later ones come again: counted now, they would count twice.
        let done = &outcomes[..first_failed.unwrap_or(outcomes.len())];
        self.count(done).await;
        metrics::write(self.metrics.document(now), done, first_failed.is_some(), now);
        Failures::from_record(first_failed.map(|index| &records[index]))
    }

    async fn hand_on(&self, records: &[Record]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(records.len());
        let (mut places, mut events) = (Vec::new(), Vec::new());
        for (place, record) in records.iter().enumerate() {
            outcomes.push(match record.event() {
                Ok(None) => Outcome::Skipped,
                Err(fault) => self.move_aside(fault).await,
                Ok(Some(event)) => {
                    places.push(place);
                    events.push(event);
                    Outcome::Skipped
                }
            });
        }
        let entries: Vec<BusEntry> = events.iter().map(|event| BusEntry::new(event, false)).collect();
        let queue = async {
            match &self.forward_queue {
                Some(queue) => queue.send(&events).await,
                None => Vec::new(),
            }
        };
        let (on_bus, not_queued) = tokio::join!(self.bus.put(&entries), queue);
        for (((place, event), entry), put) in places.iter().zip(events).zip(entries).zip(on_bus) {
            outcomes[*place] = match put {
                Put::Done => Outcome::HandedOn(Published {
                    id: event.id,
                    kind: event.kind,
                    received_at: event.received_at,
                    omits_body: entry.omits_body(),
                }),
                Put::Failed(cause) => Outcome::Failed(format!("event bus: {cause}")),
                Put::Invalid(cause) => {
                    self.move_aside(records[*place].unpublishable(format!("event bus: {cause}"))).await
                }
            };
        }
        for (index, cause) in not_queued {
            outcomes[places[index]] = Outcome::Failed(format!("forward queue: {cause}"));
        }
        outcomes
    }

    async fn move_aside(&self, fault: Unpublishable) -> Outcome {
        match self.aside.put(&fault).await {
            Ok(()) => Outcome::Unpublishable(fault.cause),
            Err(cause) => Outcome::Failed(format!("{fault}, and it cannot be moved aside: {cause}")),
        }
    }

    /// Adds to the counts of published events, which show a gap when they are compared with the recorded events. A failed count
    /// looks like a gap, but is no reason to publish anything twice.
    async fn count(&self, done: &[Outcome]) {
        let handed_on = done.iter().filter_map(|outcome| match outcome {
            Outcome::HandedOn(published) => Some(published.received_at),
            _ => None,
        });
        match timeout(budget::CALL, self.counts.add(handed_on)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::not_counted(&error.to_string()),
            Err(_) => log::not_counted("no answer in time"),
        }
    }
}
