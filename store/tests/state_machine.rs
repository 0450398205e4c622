//! Whatever order deliveries reach the table in, the state is what they say in the order in which they were received.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{LINE, World, delivery, noon};
use proptest::prelude::*;
use serde_json::{Value, json};
use store::Recorded;

/// A line's event with some of its fields, of few values, so that repetitions are common.
fn any_body() -> impl Strategy<Value = Value> {
    let field = || prop::option::of(0..3_u8);
    (field(), field(), field(), field()).prop_map(|(extra_info, limit, reference, colour)| {
        let mut body = json!({"event": "whatsapp", "whatsapp": "972501234567"});
        let fields = [
            ("whatsapp_extra_info", extra_info),
            ("daily_limit", limit),
            ("whatsapp_reference", reference),
            ("colour", colour),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    })
}

/// Deliveries with the second at which each is received, in the order in which they reach the table.
fn any_deliveries() -> impl Strategy<Value = Vec<(u64, Value)>> {
    let in_window_or_not = prop_oneof![0..60_u64, 0..6_000_u64];
    prop::collection::vec((in_window_or_not, any_body()), 1..12).prop_shuffle()
}

/// The rule, said simply: of each field the value of the last delivery that has it.
fn fold(mut deliveries: Vec<(&store::Delivery, &Value)>) -> BTreeMap<String, String> {
    deliveries.sort_by_key(|(delivery, _)| delivery.id);
    let mut fields = BTreeMap::new();
    for (_, body) in deliveries {
        for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "event") {
            let name = if name == "colour" { "other.colour" } else { name };
            fields.insert(name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    fields
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_the_fold_of_all_deliveries_in_the_order_of_their_ids(deliveries in any_deliveries(), repeated in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::start().await;
            let mut recorded: Vec<_> = deliveries
                .iter()
                .map(|(second, body)| (delivery(noon().plus(Duration::from_secs(*second)), body), body))
                .collect();
            // One of them comes a second time from the queue.
            recorded.push(recorded[repeated.index(recorded.len())].clone());
            let mut events = 0;
            for (at, (delivery, _)) in recorded.iter().enumerate() {
                let is_event = world.recorder.record(delivery).await.unwrap() == Recorded::Event;
                events += u64::from(is_event && at < deliveries.len());
            }
            recorded.pop();

            let state = world.state(LINE).await;
            let history = world.history(LINE).await;
            let shown: BTreeMap<String, String> = state.fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
            assert_eq!(shown, fold(recorded.iter().map(|(delivery, body)| (delivery, *body)).collect()));
            assert_eq!(history.len(), deliveries.len());
            assert_eq!(state.version, events);
            assert_eq!(state.duplicates, history.iter().filter(|delivery| delivery.duplicate_of.is_some()).count() as u64);
            assert_eq!(state.version + state.duplicates, deliveries.len() as u64);
            assert_eq!(state.first_seen, history[0].received_at);
            assert_eq!(state.last_seen, history[history.len() - 1].received_at);
        });
    }
}
