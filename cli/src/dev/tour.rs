use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use emulators::{
    endpoint::Received,
    faults::Faults,
    sqs::{Name, Sqs},
};
use serde_json::{Value, json};
use shared::{Entity, EventId};
use std::sync::Arc;
use store::{ForwardRecords, Reader, State, StoredDelivery};

use super::{
    event_source::{EventSource, QueueMapping},
    surroundings::Surroundings,
};
use crate::{
    local_functions::LocalFunctions,
    output::{say, tables},
    project::Project,
    samples,
    send::{self, Poster},
};

/// The maximum time until redrive has recorded what waited in the queue.
const REDRIVE: Duration = Duration::from_secs(30);

/// The maximum time until the events are handed on. The first retry comes after 5 s.
const HAND_ON: Duration = Duration::from_secs(60);

/// A part that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fail {
    /// DynamoDB takes connections and never answers.
    Dynamodb,
    /// The sample consumer answers 503 to the first attempt of each event.
    Consumer,
}

/// The event sources that hand on what is recorded.
pub struct HandOn {
    publisher: EventSource,
    forwarder: EventSource,
}

impl HandOn {
    /// Starts them.
    ///
    /// # Errors
    /// Fails if the stream of the events table cannot be read.
    pub fn start(surroundings: &Surroundings, functions: LocalFunctions) -> Result<Self> {
        // The batch and the concurrency are those of template.yaml.
        let forward = QueueMapping { queue: Name::Forward, batch: 1, function: "forwarder", concurrency: 5 };
        Ok(Self {
            publisher: EventSource::of_stream(surroundings.dynamodb.publisher_stream()?, functions),
            forwarder: EventSource::of_queue(&forward, &surroundings.queue, functions),
        })
    }
}

/// Starts to hand the messages of the fallback queue to redrive.
pub fn redrive(queue: &Arc<Sqs>, functions: LocalFunctions) -> EventSource {
    let fallback = QueueMapping { queue: Name::Fallback, batch: 10, function: "redrive", concurrency: 1 };
    EventSource::of_queue(&fallback, queue, functions)
}

/// The main job, once: the webhook gets registered, the provider delivers its documented events, they are stored and handed on.
pub struct Tour<'a> {
    pub project: &'a Project,
    pub surroundings: &'a Surroundings,
    pub to_dynamodb: &'a Faults,
    pub functions: LocalFunctions,
    pub hand_on: &'a HandOn,
    /// The database has the events of an earlier run.
    pub is_continued: bool,
}

impl Tour<'_> {
    /// Runs it. A server of somebody's own may be down: with `must_be_taken` that is an error.
    ///
    /// # Errors
    /// Fails if a step does not do what it should.
    pub async fn run(&self, fail: Option<Fail>, must_be_taken: bool) -> Result<()> {
        let Surroundings { partner, dynamodb, queue, consumer, .. } = self.surroundings;
        say("\n1. sync registers the webhook with the provider's stand-in");
        let report = self.functions.invoke("sync", json!({"action": "sync"})).await?;
        let registered = report["registered"].as_str().unwrap_or("nothing");
        say(&format!("   outcome {}, registered {registered}, verified {}", report["outcome"], report["verified"]));
        ensure!(report["verified"] == true, "the registered URL is not our webhook");

        if self.is_continued && fail.is_none() {
            say(&format!("\nThe events of an earlier run are there, so none is delivered; {registered} registered"));
            return Ok(());
        }
        let mut bodies: Vec<(&str, Vec<u8>)> = Vec::new();
        for name in samples::DOCUMENTED {
            bodies.push((name, samples::body(self.project, name)?));
        }
        match fail {
            Some(Fail::Dynamodb) => {
                say("\n   DynamoDB does not answer from now on");
                self.to_dynamodb.hang();
            }
            Some(Fail::Consumer) => {
                say("\n   The sample consumer answers 503 to the first attempt of each event");
                consumer.as_ref().context("there is no sample consumer")?.reply_first(503);
                bodies.push(("whatsapp", next_update(&bodies[0].1)?));
            }
            None => {}
        }
        say("\n2. the provider's stand-in delivers the documented events to the registered URL");
        let ids = deliver(&partner.registered().context("no webhook is registered")?, bodies).await?;

        let reader = Reader::new(dynamodb.client(), dynamodb.events_table());
        if fail == Some(Fail::Dynamodb) {
            let (queued, stored) = (queue.queued().len(), stored_of(&reader, &ids).await?.len());
            say(&format!(
                "\n   {queued} deliveries are in the fallback queue, {stored} in DynamoDB; now it answers again"
            ));
            self.to_dynamodb.recover()?;
            let redrive = redrive(queue, self.functions);
            let redriven = redrive.until(async || Ok(stored_of(&reader, &ids).await?.len() == ids.len()));
            tokio::time::timeout(REDRIVE, redriven)
                .await
                .context("redrive has not recorded the queued deliveries")??;
        }
        let stored = stored_of(&reader, &ids).await?;
        say(&format!("\n3. what is stored in DynamoDB\n{}", tables::deliveries(&stored)));
        say(&format!("\n4. the state of each entity\n{}", tables::states(&states_of(&reader, &stored).await?)));
        ensure!(stored.len() == ids.len(), "{} of {} deliveries are stored", stored.len(), ids.len());

        let handed_on = self.hand_on(&stored, must_be_taken).await?;
        say(&format!("\n{} events stored, {handed_on}, {registered} registered", stored.len()));
        Ok(())
    }

    /// Waits until the events are handed on, and returns how many are, in words.
    async fn hand_on(&self, stored: &[StoredDelivery], must_be_taken: bool) -> Result<String> {
        let Surroundings { dynamodb, bus, consumer, .. } = self.surroundings;
        let receiver = if consumer.is_some() { "the sample consumer" } else { "your server" };
        say(&format!("\n5. the publisher puts each event on the event bus, the forwarder posts it to {receiver}"));
        let records = ForwardRecords::new(dynamodb.client(), dynamodb.events_table());
        let events: Vec<_> = stored.iter().filter(|event| outbound::is_handed_on(event)).collect();
        let on_bus = || {
            let entries = bus.entries();
            let is_on_bus = |event: &&&StoredDelivery| {
                entries.iter().any(|entry| entry.detail["id"].as_str() == Some(&event.id.to_string()))
            };
            events.iter().filter(is_on_bus).count()
        };
        let done = async {
            self.hand_on.publisher.until(async || Ok(on_bus() == events.len())).await?;
            let is_done = async || {
                for event in &events {
                    if attempt_of(&records, event).await?.is_none_or(|attempt| must_be_taken && !attempt.is_taken) {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            self.hand_on.forwarder.until(is_done).await
        };
        // Events that are not handed on in time are shown in the table and reported below.
        if let Ok(done) = tokio::time::timeout(HAND_ON, done).await {
            done?;
        }
        let mut attempts = Vec::new();
        for event in &events {
            attempts.push(attempt_of(&records, event).await?);
        }
        let taken = attempts.iter().flatten().filter(|attempt| attempt.is_taken).count();
        let rows = events.iter().zip(attempts).map(|(event, attempt)| {
            let (attempts, answer) = attempt.map_or_else(Default::default, |attempt| (attempt.number, attempt.answer));
            [event.entity.to_string(), event.id.to_string(), attempts, answer]
        });
        say(&tables::table(["entity", "id", "attempts", "last answer"], rows));
        let (on_bus, number) = (on_bus(), events.len());
        ensure!(on_bus == number, "{on_bus} of {number} events are on the event bus");
        ensure!(taken == number || !must_be_taken, "{receiver} has taken {taken} of {number} events");
        let Some(consumer) = consumer else { return Ok(format!("handed on: {taken} of {number}")) };
        let calls = consumer.received();
        let refused = check(&events, &calls)?;
        let retried = match refused {
            0 => String::new(),
            refused => format!(" after {refused} refusals, in order, with the same ids"),
        };
        Ok(format!("handed on: {taken} of {number}{retried}, signatures good"))
    }
}

/// The last attempt to post an event.
struct Attempt {
    is_taken: bool,
    number: String,
    answer: String,
}

async fn attempt_of(records: &ForwardRecords, event: &StoredDelivery) -> Result<Option<Attempt>> {
    if let Some(taken) = records.taken(&event.entity, &event.id).await? {
        let (number, answer) = (taken.attempts.to_string(), "taken".to_owned());
        return Ok(Some(Attempt { is_taken: true, number, answer }));
    }
    let failure = records.failure(&event.id).await?;
    Ok(failure.map(|failure| Attempt { is_taken: false, number: failure.attempts.to_string(), answer: failure.answer }))
}

/// Checks the calls that the sample consumer got for events: signatures, ids, and the order of each entity. Returns the number of
/// refused calls.
fn check(events: &[&StoredDelivery], calls: &[Received]) -> Result<usize> {
    let entities: BTreeMap<String, &Entity> =
        events.iter().map(|event| (event.id.to_string(), &event.entity)).collect();
    let mut taken: BTreeMap<&Entity, Vec<&str>> = BTreeMap::new();
    let mut refused = 0;
    for call in calls {
        let Some(entity) = entities.get(&call.id) else { continue };
        ensure!(call.is_verified, "the signature of the event {} is not good", call.id);
        if (200..300).contains(&call.status) {
            taken.entry(entity).or_default().push(&call.id);
        } else {
            refused += 1;
        }
    }
    for (entity, ids) in taken {
        ensure!(ids.is_sorted(), "the events of {entity} were not taken in order");
    }
    Ok(refused)
}

/// Returns the body of a line's next update.
fn next_update(body: &[u8]) -> Result<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body)?;
    body["whatsapp_extra_info"] = 1.into();
    Ok(body.to_string().into_bytes())
}

/// Delivers bodies. Returns the ids of the events: others may post meanwhile.
async fn deliver(webhook: &str, bodies: Vec<(&str, Vec<u8>)>) -> Result<Vec<EventId>> {
    let webhook = Poster::new(webhook, send::PROVIDER_TIMEOUT);
    let mut ids = Vec::new();
    for (name, body) in bodies {
        let send::Answer { status, body, elapsed } = webhook.post(body).await?;
        say(&format!("   {name:9} {} {body} ({} ms)", status.as_u16(), elapsed.as_millis()));
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let id = answer["id"].as_str().filter(|_| status.is_success()).and_then(|id| id.parse().ok());
        ids.push(id.with_context(|| format!("the delivery of {name} was not acknowledged"))?);
    }
    Ok(ids)
}

/// Returns the deliveries that are stored, of those with these ids.
async fn stored_of(reader: &Reader, ids: &[EventId]) -> Result<Vec<StoredDelivery>> {
    let mut stored = Vec::new();
    for id in ids {
        stored.extend(reader.delivery(id).await?);
    }
    Ok(stored)
}

/// Returns the states of the entities of deliveries, in the order of the entities.
async fn states_of(reader: &Reader, deliveries: &[StoredDelivery]) -> Result<Vec<State>> {
    let mut entities: Vec<&Entity> = deliveries.iter().map(|delivery| &delivery.entity).collect();
    entities.sort();
    entities.dedup();
    let mut states = Vec::new();
    for entity in entities {
        states.extend(reader.state(entity).await?);
    }
    Ok(states)
}
