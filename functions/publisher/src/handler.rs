use aws_config::SdkConfig;
use lambda::{FailedItems, Metrics};
use outbound::BusEntry;
use shared::Timestamp;
use store::PublishedCounts;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    aside::Aside,
    batch::{Batch, Record, Unpublishable},
    budget,
    bus::Bus,
    config::Config,
    forward_queue::ForwardQueue,
    log, metrics,
    outcome::{Outcome, Published, Sent},
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

    /// Publishes the events of a batch, writes its metrics, and returns the first record that must come again.
    pub async fn handle(&self, batch: Batch, clock: impl Fn() -> Timestamp) -> FailedItems {
        let records = batch.records;
        let outcomes = Box::pin(self.hand_on(&records, Instant::now() + budget::HAND_ON)).await;
        let now = clock();
        for (record, outcome) in records.iter().zip(&outcomes) {
            log::outcome(record, outcome);
        }
        let first_failed = outcomes.iter().position(Outcome::is_failed);
        // The first failed record and all later ones come again: counted now, they would count twice.
        let done = &outcomes[..first_failed.unwrap_or(outcomes.len())];
        self.count(&records, done).await;
        metrics::write(self.metrics.document(now), done, first_failed.is_some(), now);
        first_failed.map(|index| records[index].sequence_number()).into_iter().collect()
    }

    /// Hands on what it can until a deadline. The rest fails, so that a slow peer delays a batch and does not stop it.
    async fn hand_on(&self, records: &[Record], deadline: Instant) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(records.len());
        let (mut places, mut events) = (Vec::new(), Vec::new());
        for (place, record) in records.iter().enumerate() {
            outcomes.push(match record.event() {
                Ok(None) => Outcome::Skipped,
                Err(fault) => self.move_aside(fault, deadline).await,
                Ok(Some(event)) => {
                    places.push(place);
                    events.push(event);
                    Outcome::Skipped
                }
            });
        }
        let entries: Vec<BusEntry> = events.iter().map(|event| BusEntry::new(event, false)).collect();
        let queued = match &self.forward_queue {
            Some(queue) => queue.send(&events, deadline.min(Instant::now() + budget::QUEUE)).await,
            None => vec![Sent::Done; events.len()],
        };
        // From the first failed record on, all come again. The forwarder recognises repetitions, and the partner's rules do not.
        let failed = outcomes.iter().position(Outcome::is_failed).unwrap_or(records.len());
        let comes_again = |(place, queued): (&usize, &Sent)| *place > failed || matches!(queued, Sent::Failed(_));
        let ready = places.iter().zip(&queued).position(comes_again).unwrap_or(events.len());
        let mut on_bus = self.bus.put(&entries[..ready], deadline).await;
        on_bus.resize(events.len(), Sent::not_sent());
        let sent = on_bus.into_iter().zip(queued);
        for (((place, event), entry), sent) in places.iter().zip(events).zip(entries).zip(sent) {
            let refused = |cause| self.move_aside(records[*place].unpublishable(cause), deadline);
            outcomes[*place] = match sent {
                (Sent::Done, Sent::Done) => Outcome::HandedOn(Published {
                    id: event.id,
                    kind: event.kind,
                    received_at: event.received_at,
                    omits_body: entry.omits_body(),
                }),
                (_, Sent::Failed(cause)) => Outcome::Failed(format!("forward queue: {cause}")),
                (Sent::Failed(cause), _) => Outcome::Failed(format!("event bus: {cause}")),
                (Sent::Invalid(cause), _) => refused(format!("event bus: {cause}")).await,
                (Sent::Done, Sent::Invalid(cause)) => refused(format!("forward queue: {cause}")).await,
            };
        }
        outcomes
    }

    async fn move_aside(&self, fault: Unpublishable, deadline: Instant) -> Outcome {
        match timeout_at(deadline, self.aside.put(&fault)).await {
            Ok(Ok(())) => Outcome::Unpublishable(fault.cause),
            Ok(Err(cause)) => Outcome::Failed(format!("{fault}, and it cannot be moved aside: {cause}")),
            Err(_) => Outcome::Failed(format!("{fault}, and no time is left to move it aside")),
        }
    }

    /// Adds to the counts of published events, which show a gap when they are compared with the recorded events. A failed count
    /// looks like a gap, but is not a reason to publish anything twice. If the function dies before Lambda has its answer, the batch
    /// comes again, and its first record shows that it is counted.
    async fn count(&self, records: &[Record], done: &[Outcome]) {
        let Some(first) = records.first() else { return };
        let handed_on = done.iter().filter_map(|outcome| match outcome {
            Outcome::HandedOn(published) => Some(published.received_at),
            _ => None,
        });
        match timeout(budget::CALL, self.counts.add(first.sequence_number(), handed_on)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::not_counted(&error.to_string()),
            Err(_) => log::not_counted("no answer in time"),
        }
    }
}
