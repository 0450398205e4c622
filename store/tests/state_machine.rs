//! Random sequences for two lines, checked against a simple model of the rules: a clock that also steps back, repeated bodies
//! inside and outside the window, and deliveries that come from the queue out of order, some more than once, or from quarantine.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{WINDOW, World, delivery, noon, undecodable};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::{EventId, Timestamp};
use store::{Delivery, Recorded, Retried};

/// One step of a sequence.
#[derive(Clone, Debug)]
enum Step {
    /// The clock moves by this number of seconds.
    Clock(i64),
    /// A body comes in and is recorded at once.
    Deliver(Body),
    /// A body comes in and goes to the queue.
    Queue(Body),
    /// A queued delivery is recorded and leaves the queue.
    Redrive(prop::sample::Index),
    /// A body comes in and is quarantined by a program that cannot decode it.
    Quarantine(Body),
    /// A quarantined delivery is retried by a program that can decode it.
    Retry(prop::sample::Index),
    /// A recorded delivery is recorded again: the queue returned its message twice.
    Again(prop::sample::Index),
}

/// Generates a body from few values, so that duplicates are common.
#[derive(Clone, Debug)]
struct Body {
    line: u8,
    extra_info: Option<u8>,
    limit: Option<u8>,
    reference: Option<u8>,
    colour: Option<u8>,
}

impl Body {
    fn json(&self) -> Value {
        let mut body = json!({"event": "whatsapp", "whatsapp": format!("97250000000{}", self.line)});
        let fields = [
            ("whatsapp_extra_info", self.extra_info),
            ("daily_limit", self.limit),
            ("whatsapp_reference", self.reference),
            ("colour", self.colour),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

fn any_body() -> impl Strategy<Value = Body> {
    let field = || prop::option::of(0..2_u8);
    (0..2_u8, field(), field(), field(), field()).prop_map(|(line, extra_info, limit, reference, colour)| Body {
        line,
        extra_info,
        limit,
        reference,
        colour,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let window = i64::try_from(WINDOW.as_secs()).unwrap();
    let clock = prop_oneof![
        4 => 0..10_i64,
        1 => Just(window),
        1 => Just(window + 1),
        1 => -10..0_i64,
        1 => -2 * window..2 * window,
    ];
    prop_oneof![
        3 => clock.prop_map(Step::Clock),
        4 => any_body().prop_map(Step::Deliver),
        3 => any_body().prop_map(Step::Queue),
        3 => any::<prop::sample::Index>().prop_map(Step::Redrive),
        1 => any_body().prop_map(Step::Quarantine),
        1 => any::<prop::sample::Index>().prop_map(Step::Retry),
        1 => any::<prop::sample::Index>().prop_map(Step::Again),
    ]
}

/// The recorded deliveries of a line.
#[derive(Default)]
struct Model {
    /// In the order of ids.
    deliveries: BTreeMap<EventId, Entry>,
    /// The event that the newest delivery is or duplicates.
    latest: Option<EventId>,
}

struct Entry {
    body: Value,
    received_at: Timestamp,
    duplicate_of: Option<EventId>,
}

impl Model {
    /// The rule: a delivery is a duplicate of its line's latest event if it has the same body, was received within the
    /// window before or after it, and after every other event. An event that comes late, between the latest event and the newest
    /// delivery, makes that delivery the latest event.
    fn record(&mut self, delivery: &Delivery, body: &Value) -> Recorded {
        if let Some(known) = self.deliveries.get(&delivery.id) {
            return recorded(known);
        }
        let is_other_event =
            |(id, entry): &(&EventId, &Entry)| entry.duplicate_of.is_none() && Some(**id) != self.latest;
        let before = self.deliveries.iter().filter(is_other_event).map(|(id, _)| *id).next_back();
        let duplicate_of = self.latest.filter(|latest| {
            let event = &self.deliveries[latest];
            let apart = event.received_at.as_micros().abs_diff(delivery.received_at.as_micros());
            let within = u128::from(apart) <= WINDOW.as_micros();
            event.body == *body && within && before.is_none_or(|before| before < delivery.id)
        });
        let newest = self.deliveries.keys().all(|known| *known < delivery.id);
        if duplicate_of.is_none() && newest {
            self.latest = Some(delivery.id);
        } else if duplicate_of.is_none() && self.latest < Some(delivery.id) {
            let mut newest = self.deliveries.last_entry().unwrap();
            newest.get_mut().duplicate_of = None;
            self.latest = Some(*newest.key());
        }
        let entry = Entry { body: body.clone(), received_at: delivery.received_at, duplicate_of };
        let answer = recorded(&entry);
        self.deliveries.insert(delivery.id, entry);
        answer
    }

    /// For each field, the value from the last delivery that contains it.
    fn fields(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        for entry in self.deliveries.values() {
            for (name, value) in entry.body.as_object().unwrap().iter().filter(|(name, _)| *name != "event") {
                let name = if name == "colour" { "other.colour" } else { name };
                fields.insert(name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        fields
    }
}

fn recorded(entry: &Entry) -> Recorded {
    entry.duplicate_of.map_or(Recorded::Event, |of| Recorded::Duplicate { of })
}

async fn live(steps: Vec<Step>) {
    let world = World::start().await;
    let mut models = [Model::default(), Model::default()];
    let mut clock = noon();
    let mut queue: Vec<(Delivery, Body)> = Vec::new();
    let mut quarantined: Vec<(Delivery, Body)> = Vec::new();
    let mut known: Vec<(Delivery, Body)> = Vec::new();
    for step in steps {
        let (delivery, body) = match step {
            Step::Clock(seconds) => {
                let by = Duration::from_secs(seconds.unsigned_abs());
                clock = if seconds < 0 { clock.minus(by) } else { clock.plus(by) };
                continue;
            }
            Step::Deliver(body) => (delivery(clock, &body.json()), body),
            Step::Queue(body) => {
                queue.push((delivery(clock, &body.json()), body));
                continue;
            }
            Step::Quarantine(body) => {
                let event = delivery(clock, &body.json());
                let undecodable = undecodable(&event, body.json().to_string().as_bytes());
                assert_eq!(world.recorder.record(&undecodable).await.unwrap(), Recorded::Quarantined);
                quarantined.push((event, body));
                continue;
            }
            Step::Retry(_) if quarantined.is_empty() => continue,
            Step::Retry(which) => {
                let (event, body) = quarantined.swap_remove(which.index(quarantined.len()));
                let expected = models[usize::from(body.line)].record(&event, &body.json());
                let Retried::Recorded { recorded, .. } = world.quarantine.retry(&event.id, |_| true).await.unwrap()
                else {
                    panic!("it decodes by now")
                };
                assert_eq!(recorded, expected);
                known.push((event, body));
                continue;
            }
            Step::Redrive(_) if queue.is_empty() => continue,
            Step::Redrive(which) => queue.swap_remove(which.index(queue.len())),
            Step::Again(_) if known.is_empty() => continue,
            Step::Again(which) => known[which.index(known.len())].clone(),
        };
        let expected = models[usize::from(body.line)].record(&delivery, &body.json());
        assert_eq!(world.recorder.record(&delivery).await.unwrap(), expected);
        known.push((delivery, body));
    }
    assert_eq!(world.items("sealed").await.len(), quarantined.len());
    for (line, model) in models.iter().enumerate().filter(|(_, model)| !model.deliveries.is_empty()) {
        let entity = format!("whatsapp#97250000000{line}");
        let history = world.history(&entity).await;
        let shown: Vec<_> = history.iter().map(|delivery| (delivery.id, delivery.duplicate_of)).collect();
        let expected: Vec<_> = model.deliveries.iter().map(|(id, entry)| (*id, entry.duplicate_of)).collect();
        assert_eq!(shown, expected);

        let state = world.state(&entity).await;
        let fields: BTreeMap<String, String> =
            state.fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        assert_eq!(fields, model.fields());
        let events: Vec<_> = model.deliveries.iter().filter(|(_, entry)| entry.duplicate_of.is_none()).collect();
        assert_eq!(state.version, events.len() as u64);
        assert_eq!(state.duplicates, (model.deliveries.len() - events.len()) as u64);
        assert_eq!(Some(state.last_event_id), model.latest);
        // What is handed on ends with the values that the state has.
        assert_eq!(events.last().unwrap().1.body, model.deliveries.values().next_back().unwrap().body);
        assert_eq!(Some(state.first_seen), model.deliveries.values().map(|entry| entry.received_at).min());
        assert_eq!(Some(state.last_seen), model.deliveries.values().map(|entry| entry.received_at).max());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_of_a_line_is_recorded_as_the_rules_say(steps in prop::collection::vec(any_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}
