//! A bar chart of deliveries over time: pure.

use std::{collections::BTreeMap, ops::Range};

use shared::Timestamp;
use store::StoredDelivery;

use super::layout::Moment;

/// The periods of a bar: seconds, and the name.
const STEPS: [(i64, &str); 9] = [
    (10, "10 s"),
    (60, "minute"),
    (5 * 60, "5 min"),
    (15 * 60, "15 min"),
    (3_600, "hour"),
    (3 * 3_600, "3 h"),
    (12 * 3_600, "12 h"),
    (24 * 3_600, "day"),
    (7 * 24 * 3_600, "week"),
];

/// Maximum number of bars.
const BARS: i64 = 48;

/// Width of a bar with its gap, the gap, and maximum height, in units of the drawing.
const BAR: i64 = 10;
const GAP: i64 = 2;
const HEIGHT: u64 = 56;

/// The deliveries that a chart counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    All,
    /// The newest; there are older ones.
    Last,
    /// Those of a later page.
    Page,
}

/// The drawing.
pub struct Chart {
    /// Its title.
    pub label: String,
    pub description: String,
    pub width: i64,
    pub height: u64,
    pub bars: Vec<Bar>,
    /// The ends of the axis.
    pub first: String,
    pub last: String,
    pub step: &'static str,
    pub most: u64,
}

/// The deliveries of one period.
pub struct Bar {
    pub x: i64,
    pub width: i64,
    pub events: Part,
    pub duplicates: Part,
    pub title: String,
}

/// A part of a bar.
pub struct Part {
    pub y: u64,
    pub height: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    events: u64,
    duplicates: u64,
}

impl Chart {
    /// Draws deliveries; `None` without any.
    pub fn of(deliveries: &[StoredDelivery], extent: Extent, now: Timestamp) -> Option<Self> {
        let seconds = || deliveries.iter().map(|delivery| delivery.received_at.as_secs());
        let (first, last) = (seconds().min()?, seconds().max()?);
        let (step, step_name) = step(first..last);
        let mut counts: BTreeMap<i64, Count> = BTreeMap::new();
        for delivery in deliveries {
            let count = counts.entry(delivery.received_at.as_secs() / step).or_default();
            match delivery.duplicate_of {
                None => count.events += 1,
                Some(_) => count.duplicates += 1,
            }
        }
        let most = counts.values().map(|count| count.events + count.duplicates).max()?;
        let last_bar = last / step;
        // A minimum number of bars, or a few would be as wide as the page.
        let first_bar = (first / step).min(last_bar - BARS / 2 + 1);
        let moment = |bar: i64| Moment::new(Timestamp::from_micros(bar.saturating_mul(step * 1_000_000)), now);
        let bars = counts.iter().map(|(bar, count)| count.bar(bar - first_bar, most, &moment(*bar))).collect();
        let (from, until) = (moment(first_bar), moment(last_bar + 1));
        let number = match deliveries.len() {
            1 => "1 delivery".to_owned(),
            number => format!("{number} deliveries"),
        };
        let label = match extent {
            Extent::All => number,
            Extent::Last => format!("The last {number}"),
            Extent::Page => format!("{number} on this page"),
        };
        let (newest, oldest) = (moment_of(last, now), moment_of(first, now));
        Some(Self {
            description: format!("Per {step_name}, from {oldest} to {newest}; maximum {most}."),
            label,
            width: (last_bar - first_bar + 1) * BAR,
            height: HEIGHT,
            bars,
            first: format!("{} {}", from.day, &from.clock[..5]),
            last: format!("{} {}", until.day, &until.clock[..5]),
            step: step_name,
            most,
        })
    }
}

fn moment_of(second: i64, now: Timestamp) -> String {
    Moment::new(Timestamp::from_micros(second.saturating_mul(1_000_000)), now).second
}

/// Returns the shortest period that needs no more than the maximum number of bars.
fn step(seconds: Range<i64>) -> (i64, &'static str) {
    let fits = |(step, _): &&(i64, _)| seconds.end / step - seconds.start / step < BARS;
    let whole = seconds.end - seconds.start;
    STEPS.iter().find(fits).copied().unwrap_or((whole / (BARS - 1) + 1, "step"))
}

impl Count {
    fn bar(self, place: i64, most: u64, from: &Moment) -> Bar {
        // A minimum height keeps small counts visible.
        let high = |count: u64| if count == 0 { 0 } else { (count * HEIGHT / most.max(1)).max(3) };
        let (events, duplicates) = (high(self.events), high(self.duplicates));
        let events_y = HEIGHT.saturating_sub(events);
        let mut title = format!("{} {}: {}", from.day, from.clock, self.events);
        match self.duplicates {
            0 => {}
            1 => title += ", and 1 duplicate",
            number => title = format!("{title}, and {number} duplicates"),
        }
        Bar {
            x: place * BAR,
            width: BAR - GAP,
            events: Part { y: events_y, height: events },
            duplicates: Part { y: events_y.saturating_sub(duplicates), height: duplicates },
            title,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::{Entity, EventId};

    use super::*;

    fn delivery(second: i64, is_duplicate: bool) -> StoredDelivery {
        let received_at = Timestamp::from_micros(second * 1_000_000);
        let id = EventId::new(received_at, [0; 8]);
        StoredDelivery {
            id,
            entity: Entity::named("builder#1"),
            kind: "builder".to_owned(),
            received_at,
            source_ip: String::new(),
            request_id: String::new(),
            fingerprint: String::new(),
            origin: store::Origin::Delivered,
            duplicate_of: is_duplicate.then_some(id),
            reference: None,
            extra_info: None,
            body: None,
            cause: None,
            body_bytes: None,
            has_api_key: false,
            expires_at: None,
            content_type: None,
            content_encoding: None,
        }
    }

    #[test]
    fn the_bars_show_the_number_of_deliveries_over_time() {
        let at = |minute: i64, is_duplicate| delivery(1_795_339_800 + minute * 60, is_duplicate);
        let deliveries = [at(40, false), at(3, true), at(3, false), at(0, false)];
        let chart = Chart::of(&deliveries, Extent::All, deliveries[0].received_at).unwrap();
        assert_eq!((chart.label.as_str(), chart.step, chart.most), ("4 deliveries", "minute", 2));
        let titles: Vec<&str> = chart.bars.iter().map(|bar| bar.title.as_str()).collect();
        let expected = ["11-22 09:30:00: 1", "11-22 09:33:00: 1, and 1 duplicate", "11-22 10:10:00: 1"];
        assert_eq!(titles, expected);
        assert_eq!(Chart::of(&[], Extent::All, deliveries[0].received_at).map(|chart| chart.label), None);
    }

    proptest! {
        #[test]
        fn bars_stand_inside_the_drawing_and_are_not_too_many(
            seconds in proptest::collection::vec((0i64..4_000_000_000, any::<bool>()), 1..60),
        ) {
            let deliveries: Vec<_> = seconds.into_iter().map(|(second, is_duplicate)| delivery(second, is_duplicate)).collect();
            let chart = Chart::of(&deliveries, Extent::All, deliveries[0].received_at).unwrap();
            prop_assert!(chart.bars.len() <= BARS as usize + 1 && chart.width <= (BARS + 1) * BAR);
            for bar in &chart.bars {
                prop_assert!(bar.x >= 0 && bar.x + bar.width <= chart.width);
                prop_assert!(bar.duplicates.y + bar.duplicates.height <= HEIGHT);
                prop_assert!(bar.events.y + bar.events.height == HEIGHT);
                prop_assert!(bar.events.height + bar.duplicates.height > 0);
            }
        }
    }
}
