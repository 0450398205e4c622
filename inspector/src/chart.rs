//! A bar chart of deliveries over time: pure.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::{Bound, Range},
};

use shared::{EventId, Timestamp};
use store::StoredDelivery;

use super::layout::{Moment, deliveries};

/// The periods of a bar: seconds, and the name.
const STEPS: [(i64, &str); 9] = [
    (10, "10 s"),
    (60, "a minute"),
    (5 * 60, "5 min"),
    (15 * 60, "15 min"),
    (3_600, "an hour"),
    (3 * 3_600, "3 h"),
    (12 * 3_600, "12 h"),
    (24 * 3_600, "a day"),
    (7 * 24 * 3_600, "a week"),
];

/// Maximum number of bars.
const BARS: i64 = 48;

/// Width of a bar with its gap, the gap, and maximum height, in units of the drawing.
const BAR: i64 = 10;
const GAP: i64 = 2;
const HEIGHT: u64 = 56;

/// The deliveries of a period, counted.
#[derive(Clone, Default)]
pub struct Counts {
    /// The kind of each, and whether it is a duplicate.
    deliveries: BTreeMap<EventId, (String, bool)>,
    /// True when the period has older ones, which are not counted.
    pub is_cut: bool,
}

impl Counts {
    /// Maximum number of deliveries that are counted: the newest ones.
    pub const MOST: usize = 5_000;

    /// Counts one more. Returns `false` when it is counted already.
    pub fn add(&mut self, delivery: &StoredDelivery) -> bool {
        let is_new =
            self.deliveries.insert(delivery.id, (delivery.kind.clone(), delivery.duplicate_of.is_some())).is_none();
        self.cut();
        is_new
    }

    /// Adds the newest deliveries of the period, counted separately.
    pub fn extend(&mut self, newest: Self) {
        if newest.is_cut {
            // Between the two, some were not read.
            *self = newest;
        } else {
            self.deliveries.extend(newest.deliveries);
            self.cut();
        }
    }

    fn cut(&mut self) {
        while self.deliveries.len() > Self::MOST {
            self.deliveries.pop_first();
            self.is_cut = true;
        }
    }

    /// Drops those received before the start of the period.
    pub fn start_at(&mut self, start: Timestamp) {
        while let Some(oldest) = self.deliveries.first_entry().filter(|oldest| oldest.key().received_at() < start) {
            oldest.remove();
            // Those that are not counted are older still.
            self.is_cut = false;
        }
    }

    /// Returns the first one after a delivery; without a delivery, the first of all.
    pub fn first_after(&self, id: Option<EventId>) -> Option<EventId> {
        self.after(id).next()
    }

    /// Returns the number of those after a delivery.
    pub fn number_after(&self, id: EventId) -> usize {
        self.after(Some(id)).count()
    }

    fn after(&self, id: Option<EventId>) -> impl Iterator<Item = EventId> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.deliveries.range((start, Bound::Unbounded)).map(|(id, _)| *id)
    }

    /// Returns the number of each kind, the largest first.
    pub fn kinds(&self) -> Vec<(&str, u64)> {
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, _) in self.deliveries.values() {
            *kinds.entry(kind).or_default() += 1;
        }
        let mut kinds: Vec<(&str, u64)> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, number)| Reverse(*number));
        kinds
    }
}

/// The drawing.
pub struct Chart {
    /// Its title, with the number of deliveries.
    pub label: String,
    /// The older deliveries that it leaves out, or that there are none.
    pub limit: Option<String>,
    pub description: String,
    pub width: i64,
    pub height: u64,
    pub bars: Vec<Bar>,
    /// The ends of the axis.
    pub first: Moment,
    pub last: Moment,
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
    /// Draws the counts of a period, which is described by words such as "in the last hour"; `None` without deliveries. The axis begins
    /// with the first delivery, and ends with the period.
    pub fn of(counts: &Counts, period: &str, times: Range<Timestamp>) -> Option<Self> {
        let second = |id: &EventId| id.received_at().as_secs();
        let first = second(counts.deliveries.first_key_value()?.0);
        let last = second(counts.deliveries.last_key_value()?.0);
        // The times of deliveries come from another clock.
        let end = times.end.as_secs().max(last);
        let (step, step_name) = step(first..end);
        let mut bars: BTreeMap<i64, Count> = BTreeMap::new();
        for (id, (_, is_duplicate)) in &counts.deliveries {
            let count = bars.entry(second(id) / step).or_default();
            if *is_duplicate {
                count.duplicates += 1;
            } else {
                count.events += 1;
            }
        }
        let most = bars.values().map(|count| count.events + count.duplicates).max()?;
        let (start_bar, last_bar) = (times.start.as_secs() / step, end / step);
        // A minimum number of bars, or a few would be as wide as the page.
        let first_bar = (first / step).min(start_bar.max(last_bar - BARS / 2 + 1));
        let moment = |second: i64| Moment::new(Timestamp::from_micros(second.saturating_mul(1_000_000)), times.end);
        let bars = bars.iter().map(|(bar, count)| count.bar(bar - first_bar, most, &moment(bar * step))).collect();
        let number = counts.deliveries.len();
        let (newest, oldest) = (moment(last).second, moment(first).second);
        Some(Self {
            description: format!("Peak: {most} in {step_name}. First delivery at {oldest}, last at {newest}."),
            label: if counts.is_cut {
                format!("The newest {} {period}", deliveries(number))
            } else {
                format!("{} {period}", deliveries(number))
            },
            limit: match counts.is_cut {
                true => Some(format!("Deliveries before {oldest} are not counted.")),
                false if start_bar < first_bar => Some(format!("The first one in this period came at {oldest}.")),
                false => None,
            },
            width: (last_bar - first_bar + 1) * BAR,
            height: HEIGHT,
            bars,
            first: moment(first_bar * step),
            // To the minute, as it is shown: an open page draws the chart again when it changes.
            last: moment(end / 60 * 60),
            step: step_name,
            most,
        })
    }
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
        let mut title = format!("{}: {}", from.second, self.events);
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
    use shared::Entity;

    use super::*;

    fn delivery(second: i64, is_duplicate: bool) -> StoredDelivery {
        let received_at = Timestamp::from_micros(second * 1_000_000);
        let id = EventId::new(received_at, [u8::from(is_duplicate); 8]);
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

    fn counted(deliveries: &[StoredDelivery]) -> Counts {
        let mut counts = Counts::default();
        for delivery in deliveries {
            counts.add(delivery);
        }
        counts
    }

    #[test]
    fn deliveries_older_than_the_period_and_too_many_of_them_are_no_longer_counted() {
        let most = i64::try_from(Counts::MOST).unwrap();
        let mut counts = Counts::default();
        for second in 0..most + 10 {
            assert!(counts.add(&delivery(second, false)));
        }
        assert!(!counts.add(&delivery(most, false)), "each is counted once");
        assert_eq!((counts.kinds(), counts.is_cut), (vec![("builder", 5_000)], true));
        counts.start_at(Timestamp::from_micros(10_000_000));
        assert_eq!((counts.kinds(), counts.is_cut), (vec![("builder", 5_000)], true));
        counts.start_at(Timestamp::from_micros(most * 1_000_000));
        assert_eq!((counts.kinds(), counts.is_cut), (vec![("builder", 10)], false));

        counts.extend(counted(&[delivery(most + 9, false), delivery(most + 10, false)]));
        assert_eq!(counts.kinds(), [("builder", 11)]);
        counts.extend(Counts { is_cut: true, ..counted(&[delivery(most + 20, false)]) });
        assert_eq!((counts.kinds(), counts.is_cut), (vec![("builder", 1)], true), "a gap is not hidden");
    }

    #[test]
    fn the_bars_show_the_number_of_deliveries_over_time() {
        let at = |minute: i64, is_duplicate| delivery(1_795_339_800 + minute * 60, is_duplicate);
        let deliveries = [at(40, false), at(3, true), at(3, false), at(0, false)];
        let counts = counted(&deliveries);
        let time = |minute: i64| at(minute, false).received_at;
        let chart = Chart::of(&counts, "in the last hour", time(0)..time(40)).unwrap();
        assert_eq!((chart.label.as_str(), chart.step, chart.most), ("4 deliveries in the last hour", "a minute", 2));
        assert_eq!((counts.kinds(), chart.limit), (vec![("builder", 4)], None));
        let titles: Vec<&str> = chart.bars.iter().map(|bar| bar.title.as_str()).collect();
        let expected =
            ["2026-11-22T09:30:00Z: 1", "2026-11-22T09:33:00Z: 1, and 1 duplicate", "2026-11-22T10:10:00Z: 1"];
        assert_eq!(titles, expected);
        let quiet = Chart::of(&counts, "in the last day", time(-1_340)..time(100)).unwrap();
        assert_eq!(quiet.limit.unwrap(), "The first one in this period came at 2026-11-22T09:30:00Z.");
        let axis = (quiet.first.minute, quiet.last.minute, quiet.step, quiet.width / BAR);
        let expected = ("11-22 09:15".to_owned(), "11-22 11:10".to_owned(), "5 min", 24);
        assert_eq!(axis, expected, "it ends with the period, not with the last delivery");
        let cut = Chart::of(&Counts { is_cut: true, ..counts }, "in the last hour", time(0)..time(40)).unwrap();
        assert_eq!(cut.label, "The newest 4 deliveries in the last hour");
        assert_eq!(cut.limit.unwrap(), "Deliveries before 2026-11-22T09:30:00Z are not counted.");
        assert!(Chart::of(&Counts::default(), "in the last hour", time(0)..time(40)).is_none());
    }

    proptest! {
        #[test]
        fn bars_stand_inside_the_drawing_and_are_not_too_many(
            seconds in proptest::collection::vec((0i64..4_000_000_000, any::<bool>()), 1..60),
            period in [0i64..4_000_000_000, 0i64..4_000_000_000],
        ) {
            let deliveries: Vec<_> = seconds.into_iter().map(|(second, is_duplicate)| delivery(second, is_duplicate)).collect();
            let [start, end] = period.map(|second| Timestamp::from_micros(second * 1_000_000));
            let chart = Chart::of(&counted(&deliveries), "in the last year", start..end).unwrap();
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
