use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use emulators::{
    endpoint::Received,
    event_bus::NEW_KEY_PATTERN,
    faults::Faults,
    partner::{Call, Partner},
    sqs::{Name, Sqs},
};
use inspector::LineReader;
use serde_json::{Value, json};
use shared::{Entity, EventId};
use store::{ForwardRecords, Inventory, LineStatus, Lines, Reader, SealedReader, State, StoredDelivery};

use super::{
    event_source::{EventSource, QueueMapping},
    surroundings::Surroundings,
};
use crate::{
    handing_on::WRONG_SECRET,
    local_functions::LocalFunctions,
    output::{say, tables, times},
    project::Project,
    samples,
    send::{self, Poster},
};

/// The maximum time until redrive has recorded what waited in the queue.
const REDRIVE: Duration = Duration::from_secs(30);

/// The maximum time until the events are handed on. The first retry comes after 5 s.
const HAND_ON: Duration = Duration::from_secs(60);

/// The maximum time until the webhook of a line is set.
const LIVE: Duration = Duration::from_secs(60);

/// The line whose onboarding event the provider withholds: its number and reference.
const WITHHELD: (&str, &str) = ("972507654321", "7654321");
const WITHHELD_KEY: &str = "987-654-321";

/// A part that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fail {
    /// DynamoDB takes connections and never answers.
    Dynamodb,
    /// The sample consumer answers 503 to the first attempt of each event.
    Consumer,
}

/// The event sources that hand on what is recorded, and the rule of the event bus that has sync check a line.
pub struct HandOn {
    publisher: EventSource,
    forwarder: EventSource,
    new_keys: EventSource,
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
            new_keys: EventSource::of_rule(surroundings.bus.rule(NEW_KEY_PATTERN)?, functions),
        })
    }
}

/// Starts to hand the messages of the fallback queue to redrive.
pub fn redrive(queue: &Arc<Sqs>, functions: LocalFunctions) -> EventSource {
    let fallback = QueueMapping { queue: Name::Fallback, batch: 10, function: "redrive", concurrency: 1 };
    EventSource::of_queue(&fallback, queue, functions)
}

/// The main job, once: the webhook gets registered, the provider delivers its documented events, they are stored and handed on, the line
/// goes live, and an event that never comes is found.
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

        let mut bodies: Vec<(&str, Vec<u8>)> = Vec::new();
        for name in samples::DOCUMENTED {
            bodies.push((name, samples::body(self.project, name)?));
        }
        if !self.is_continued {
            // The first inventory runs right after a deployment. It imports the existing clients: none yet.
            self.take_inventory().await?;
        }
        let line = onboard(partner, &bodies)?;
        if self.is_continued {
            partner.onboard(WITHHELD.0, Some(WITHHELD.1), WITHHELD_KEY);
            if fail.is_none() {
                self.functions.invoke("sync", json!({"action": "lines"})).await?;
                say(&format!(
                    "\nThe events of an earlier run are there, so none is delivered; {registered} registered"
                ));
                return Ok(());
            }
        }
        match fail {
            Some(Fail::Dynamodb) => {
                say("\n   From now on DynamoDB does not answer");
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
                "\n   {queued} deliveries are in the fallback queue, {stored} in DynamoDB; DynamoDB answers again now"
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
        say(&format!(
            "\n4. the state of each entity\n{}",
            tables::states(&states_of(&reader, &stored).await?, &BTreeMap::new())
        ));
        ensure!(stored.len() == ids.len(), "{} of {} deliveries are stored", stored.len(), ids.len());

        let receiver = if consumer.is_some() { "the sample consumer" } else { "your server" };
        say(&format!("\n5. the publisher puts each event on the event bus, the forwarder posts it to {receiver}"));
        let handed_on = self.hand_on(&stored, must_be_taken).await?;

        say(
            "\n6. the event contained the line's API key, so a rule on the event bus makes sync set the line's own webhook",
        );
        let live = self.hand_on.new_keys.until(async || Ok(self.is_live(&line).await?));
        tokio::time::timeout(LIVE, live).await.context("the line is not live in time")??;
        let found = if self.is_continued {
            say("\nSteps 7 and 8 are skipped: the missed event was rebuilt in an earlier run");
            ""
        } else {
            self.find_withheld_event(must_be_taken).await?
        };
        say("\nThe proof of each line, as `cargo hooks line <number>` shows it\n");
        self.show(&line).await?;
        if !self.is_continued {
            self.show(&withheld()).await?;
        }
        say(&format!("\n{} events stored, {handed_on}{found}, {registered} registered", stored.len()));
        Ok(())
    }

    /// Lets a client finish onboarding without its event, and has the inventory find it. Returns the result in words.
    async fn find_withheld_event(&self, must_be_taken: bool) -> Result<&'static str> {
        let Surroundings { partner, dynamodb, .. } = self.surroundings;
        let (number, reference) = WITHHELD;
        let line = withheld();
        say(&format!(
            "\n7. another client, {number}, finishes onboarding, but its event never comes; the inventory finds it"
        ));
        partner.onboard(number, Some(reference), WITHHELD_KEY);
        let report = self.take_inventory().await?;
        let missed = report["missed"]
            .as_array()
            .and_then(|missed| missed.iter().find(|missed| missed["entity"] == *line.as_str()));
        let id = missed.and_then(|missed| missed["event_id"].as_str()?.parse::<EventId>().ok());
        let id = id.with_context(|| format!("the inventory has not found the missed event of {line}: {report}"))?;
        let reader = Reader::new(dynamodb.client(), dynamodb.events_table());
        let rebuilt = reader.event(&line, &id).await?.context("the missed event was not rebuilt")?;
        self.hand_on(&[rebuilt], must_be_taken).await?;

        say("8. the schedule calls sync to check all lines, including the one whose event was rebuilt");
        self.functions.invoke("sync", json!({"action": "lines"})).await?;
        ensure!(self.is_live(&line).await?, "{line} is not live");
        Ok(", 1 missed event rebuilt, 2 lines live")
    }

    /// Takes inventory. Returns its report.
    async fn take_inventory(&self) -> Result<Value> {
        let report = self.functions.invoke("sync", json!({"action": "inventory"})).await?;
        ensure!(report["outcome"] != "incomplete", "the inventory is not complete: {report}");
        Ok(report)
    }

    /// Returns whether the webhook of a line was last read back as ours.
    async fn is_live(&self, line: &Entity) -> Result<bool> {
        let record = self.lines().lines.get(line).await?;
        Ok(record.is_some_and(|record| record.status == LineStatus::Live))
    }

    /// Shows the proof that a line is live.
    async fn show(&self, line: &Entity) -> Result<()> {
        let reader = self.lines();
        let mut line = reader.one(line).await?.with_context(|| format!("there is no line {line}"))?;
        reader.find_keys(std::slice::from_mut(&mut line)).await?;
        say(&format!("   {}, {}:", line.number(), line.status_in_words()));
        for sentence in line.proof(&times::shown) {
            say(&format!("   {sentence}"));
        }
        Ok(())
    }

    fn lines(&self) -> LineReader {
        let dynamodb = &self.surroundings.dynamodb;
        LineReader {
            reader: Reader::new(dynamodb.client(), dynamodb.events_table()),
            inventory: Inventory::new(dynamodb.client(), dynamodb.events_table()),
            lines: Lines::new(dynamodb.client(), dynamodb.events_table()),
            sealed: SealedReader::new(dynamodb.client(), dynamodb.sealed_table()),
            keeps_lines: true,
        }
    }

    /// Waits until the events are handed on, and returns how many are, in words.
    async fn hand_on(&self, stored: &[StoredDelivery], must_be_taken: bool) -> Result<String> {
        let Surroundings { dynamodb, bus, consumer, .. } = self.surroundings;
        let receiver = if consumer.is_some() { "the sample consumer" } else { "your server" };
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
        let hint = match consumer.is_none() && attempts.iter().flatten().any(|attempt| attempt.suggests_wrong_secret) {
            true => format!(" ({WRONG_SECRET}; to send the events again: cargo hooks replay --since 1h --to URL)"),
            false => String::new(),
        };
        let rows = events.iter().zip(attempts).map(|(event, attempt)| {
            let (attempts, answer) = attempt.map_or_else(Default::default, |attempt| (attempt.number, attempt.answer));
            [event.entity.to_string(), event.id.to_string(), attempts, answer]
        });
        say(&tables::attempts(rows));
        let (on_bus, number) = (on_bus(), events.len());
        ensure!(on_bus == number, "{on_bus} of {number} events are on the event bus");
        ensure!(taken == number || !must_be_taken, "{receiver} has accepted {taken} of {number} events{hint}");
        let Some(consumer) = consumer else { return Ok(format!("handed on: {taken} of {number}{hint}")) };
        let calls = consumer.received();
        let refused = check(&events, &calls)?;
        let retried = match refused {
            0 => String::new(),
            refused => format!(" after {refused} refusals, in order, with the same ids"),
        };
        Ok(format!("handed on: {taken} of {number}{retried}, signatures valid"))
    }
}

fn withheld() -> Entity {
    Entity::named(format!("whatsapp#{}", WITHHELD.0))
}

/// Has the provider's lists show the clients of the documented events. Returns the line.
fn onboard(partner: &Partner, bodies: &[(&str, Vec<u8>)]) -> Result<Entity> {
    const CREATED: u64 = 1_735_811_185;
    let mut line = None;
    for (kind, body) in bodies {
        let body: Value = serde_json::from_slice(body)?;
        match *kind {
            "whatsapp" => {
                let text = |name: &str| body[name].as_str();
                let (number, key) = text("whatsapp").zip(text("whatsapp_apiKey")).context("the sample is not an onboarding event")?;
                partner.onboard(number, text("whatsapp_reference"), key);
                line = Some(Entity::named(format!("whatsapp#{number}")));
            }
            "builder" => partner.list(
                Call::Builders,
                [json!({"create_time": CREATED, "client": "Client A", "builderID": body["builderID"], "url": body["builder_url"]})],
            ),
            _ => partner.list(
                Call::OnlineAccounts,
                [json!({
                    "create_time": CREATED, "account_name": "Client B", "account_id": body["accountID"], "server": body["server"],
                    "account_status": "active", "reference": body["online_reference"],
                })],
            ),
        }
    }
    line.context("the samples have no line")
}

/// The last attempt to post an event.
struct Attempt {
    is_taken: bool,
    suggests_wrong_secret: bool,
    number: String,
    answer: String,
}

async fn attempt_of(records: &ForwardRecords, event: &StoredDelivery) -> Result<Option<Attempt>> {
    if let Some(taken) = records.taken(&event.entity, &event.id).await? {
        let (number, answer) = (taken.attempts.to_string(), "accepted".to_owned());
        return Ok(Some(Attempt { is_taken: true, suggests_wrong_secret: false, number, answer }));
    }
    let failure = records.failure(&event.id).await?;
    Ok(failure.map(|failure| Attempt {
        is_taken: false,
        suggests_wrong_secret: failure.suggests_wrong_secret(),
        number: failure.attempts.to_string(),
        answer: failure.answer,
    }))
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
        ensure!(call.is_verified, "the signature of the event {} is not valid", call.id);
        if (200..300).contains(&call.status) {
            taken.entry(entity).or_default().push(&call.id);
        } else {
            refused += 1;
        }
    }
    for (entity, ids) in taken {
        ensure!(ids.is_sorted(), "the events of {entity} were not accepted in order");
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
    let webhook = Poster::new(webhook, send::PROVIDER_TIMEOUT)?;
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
