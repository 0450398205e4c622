//! The answer of `hooks forward status`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use anyhow::Result;
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{Timestamp, human_time::to_the_second};
use store::{DeliveryFilter, DeliveryQuery, ForwardFailure, PublishedCounts};

use crate::{
    handing_on::WRONG_SECRET,
    output::{
        tables::{self, table},
        text, times,
    },
    target::{Target, TargetArgs},
};

/// Time that a recorded event has to be published before it can count as missing.
const UNDER_WAY: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The state of the handing on.
pub struct Status {
    /// `None` when forwarding is off.
    forwarding: Option<Queue>,
    /// The hours with events, oldest first.
    hours: Vec<Hour>,
}

/// The forward queue.
struct Queue {
    /// Number of events that wait for the endpoint.
    waiting: u64,
    /// Number of messages in the dead-letter queue.
    dead_letters: u64,
    /// The refused events, and the dead letters.
    failures: Vec<ForwardFailure>,
}

/// The events received in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Hour {
    /// The hour, as `2026-11-25T19`.
    hour: String,
    /// Number of recorded events that are handed on.
    recorded: u64,
    /// Number of published events.
    published: u64,
    /// Number of events that are recorded and not published, without those of the last minute.
    missing: u64,
}

impl Status {
    /// Reads the status, and compares the events of whole hours from the start of a time on.
    ///
    /// # Errors
    /// Fails when AWS refuses or does not answer.
    pub async fn read(target: &Target, times: Range<Timestamp>) -> Result<Self> {
        let forwarding = match target.forwarding() {
            Err(_) => None,
            Ok(forwarding) => Some(Queue {
                waiting: target.queues.waiting(&forwarding.queue).await?,
                dead_letters: target.queues.waiting(&forwarding.dead_letter_queue).await?,
                failures: forwarding.failures().await?,
            }),
        };
        let into_hour = Duration::from_micros(u64::try_from(times.start.as_micros())? % 3_600_000_000);
        let times = times.start.minus(into_hour)..times.end;
        // The counts are read first: an event that is published in between is recorded already.
        let counts = PublishedCounts::new(target.dynamodb.clone(), &target.settings.events_table);
        let published = counts.read(times.start, times.end).await?;
        let recorded = Recorded::read(target, times).await?;
        Ok(Self { forwarding, hours: compare(&recorded, &published) })
    }

    /// Returns the status as JSON, with at most this many events. Members keep their names from version to version.
    pub fn json(&self, limit: usize) -> Value {
        let failures = |is_dead: bool| {
            let failures = self.failures(is_dead).take(limit);
            failures.map(|failure| {
                json!({
                    "event_id": failure.id, "entity": failure.entity, "since": failure.first_attempt_at,
                    "attempts": failure.attempts, "last_attempt_at": failure.last_attempt_at, "answer": failure.answer,
                    "next_attempt_at": failure.next_attempt_at,
                })
            })
        };
        json!({
            "forwarding": self.forwarding.is_some(),
            "waiting_events": self.forwarding.as_ref().map(|queue| queue.waiting),
            "dead_letters": self.forwarding.as_ref().map(|queue| queue.dead_letters),
            "waiting": failures(false).collect::<Vec<_>>(),
            "dead": failures(true).collect::<Vec<_>>(),
            "hours": self.hours,
            "missing": self.missing(),
        })
    }

    /// Returns the status for people, with at most this many waiting events and dead letters.
    pub fn text(&self, limit: usize, now: Timestamp, choice: &TargetArgs) -> String {
        let arguments = choice.arguments();
        let mut shown = match &self.forwarding {
            None => "Forwarding is off: there is no ForwardUrl. Events are only on the event bus.\n".to_owned(),
            Some(queue) => text::facts(&[
                ("in the forward queue", text::events(queue.waiting)),
                ("dead letters", text::events(queue.dead_letters)),
            ]),
        };
        let waiting = self.failures(false).count();
        if waiting > 0 {
            shown += "\nThe endpoint has refused these events. They are tried again, and later events of their entities wait:\n";
            shown += &tables::forward_failures(self.failures(false).take(limit));
            shown += &more(limit, waiting);
            if self.failures(false).any(ForwardFailure::suggests_wrong_secret) {
                shown += &format!("Note: {WRONG_SECRET}.\n");
            }
            if let Some(oldest) = self.failures(false).map(|failure| failure.id.received_at()).min() {
                shown += &format!(
                    "To send them without waiting: cargo hooks replay{arguments} --since {} --to URL\n\
                     That sends every event since then, including those that the endpoint has accepted. The forwarder later sends \
                     the refused ones again, with the same ids.\n",
                    to_the_second(oldest)
                );
            }
        }
        let dead = self.failures(true).count();
        if dead > 0 {
            shown += "\nThe forwarder has given up on these events:\n";
            shown += &tables::forward_failures(self.failures(true).take(limit));
            shown += &more(limit, dead);
            shown += &format!("Try them again with: cargo hooks dlq redrive --all --queue forward{arguments}\n");
        }
        if self.hours.is_empty() {
            return shown + "\nNo events were recorded in this time.\n";
        }
        let row = |hour: &Hour| {
            [
                times::reported(&format!("{}:00Z", hour.hour)),
                hour.recorded.to_string(),
                hour.published.to_string(),
                hour.missing.to_string(),
            ]
        };
        shown += "\n";
        shown += &table(["hour of receipt", "recorded", "published", "missing"], self.hours.iter().map(row));
        match self.missing() {
            0 => shown += "Every recorded event was published.\n",
            missing => {
                shown += &format!(
                    "By the counts, {missing} of the recorded events were not published. While the alarm `publisher-behind` is on, wait: \
                     the publisher is late. Otherwise send the events of these hours again. Consumers ignore the ids that they know.\n"
                );
                for times in gaps(&self.hours) {
                    let replay = format!("  cargo hooks replay{arguments} --since {}", to_the_second(times.start));
                    let replay = match times.end < now {
                        true => format!("{replay} --until {}", to_the_second(times.end)),
                        false => replay,
                    };
                    shown += &format!("{replay} --to bus\n");
                    if self.forwarding.is_some() {
                        shown += &format!("{replay} --to forward\n");
                    }
                }
            }
        }
        shown
    }

    fn failures(&self, is_dead: bool) -> impl Iterator<Item = &ForwardFailure> {
        let failures = self.forwarding.iter().flat_map(|queue| &queue.failures);
        failures.filter(move |failure| failure.next_attempt_at.is_none() == is_dead)
    }

    fn missing(&self) -> u64 {
        self.hours.iter().map(|hour| hour.missing).sum()
    }
}

fn more(limit: usize, number: usize) -> String {
    if limit < number { format!("{limit} of {number}; --limit shows more.\n") } else { String::new() }
}

/// The numbers of recorded events that are handed on, by the hour of receipt.
#[derive(Default)]
struct Recorded {
    all: BTreeMap<String, u64>,
    /// Those that should be published by now.
    due: BTreeMap<String, u64>,
}

impl Recorded {
    /// Counts the events received within a time that ends now.
    async fn read(target: &Target, times: Range<Timestamp>) -> Result<Self> {
        let due = times.end.minus(UNDER_WAY);
        let query = DeliveryQuery::new(target.reader.clone(), DeliveryFilter::default(), times);
        let mut events = std::pin::pin!(query.walk(None));
        let mut recorded = Self::default();
        while let Some(event) = events.try_next().await? {
            if outbound::is_handed_on(&event) {
                let hour = PublishedCounts::hour(event.received_at);
                if event.received_at < due {
                    *recorded.due.entry(hour.clone()).or_default() += 1;
                }
                *recorded.all.entry(hour).or_default() += 1;
            }
        }
        Ok(recorded)
    }
}

/// Compares the counts of each hour.
fn compare(recorded: &Recorded, published: &BTreeMap<String, u64>) -> Vec<Hour> {
    let hours: BTreeSet<&String> = recorded.all.keys().chain(published.keys()).collect();
    let of = |counts: &BTreeMap<String, u64>, hour: &str| counts.get(hour).copied().unwrap_or_default();
    let compared = hours.into_iter().map(|hour| {
        let (due, published) = (of(&recorded.due, hour), of(published, hour));
        Hour {
            hour: hour.clone(),
            recorded: of(&recorded.all, hour),
            published,
            missing: due.saturating_sub(published),
        }
    });
    compared.collect()
}

/// Returns the times of the hours with missing events. Hours in a row are one time.
fn gaps(hours: &[Hour]) -> Vec<Range<Timestamp>> {
    let mut gaps: Vec<Range<Timestamp>> = Vec::new();
    for hour in hours.iter().filter(|hour| hour.missing > 0) {
        let Ok(start) = format!("{}:00:00.000000Z", hour.hour).parse::<Timestamp>() else { continue };
        let end = start.plus(HOUR);
        match gaps.last_mut() {
            Some(gap) if gap.end == start => gap.end = end,
            _ => gaps.push(start..end),
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use shared::{Entity, EventId};

    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_micros(1_795_339_800_000_000).plus(Duration::from_secs(minute * 60))
    }

    /// Compares numbers of recorded, due and published events.
    fn hours(counts: &[(&str, u64, u64, u64)]) -> Vec<Hour> {
        let of = |number: fn(&(&str, u64, u64, u64)) -> u64| {
            let counts = counts.iter().map(|count| (count.0.to_owned(), number(count)));
            counts.filter(|(_, number)| *number > 0).collect::<BTreeMap<_, _>>()
        };
        compare(&Recorded { all: of(|count| count.1), due: of(|count| count.2) }, &of(|count| count.3))
    }

    #[test]
    fn an_hour_misses_the_events_that_were_recorded_and_not_published() {
        let hours = hours(&[("2026-11-22T07", 3, 3, 3), ("2026-11-22T08", 5, 5, 0), ("2026-11-22T09", 4, 2, 2)]);
        let missing: Vec<_> = hours.iter().map(|hour| (hour.hour.as_str(), hour.missing)).collect();
        assert_eq!(missing, [("2026-11-22T07", 0), ("2026-11-22T08", 5), ("2026-11-22T09", 0)]);
    }

    #[test]
    fn hours_in_a_row_are_replayed_at_once() {
        let hours = hours(&[
            ("2026-11-22T05", 1, 1, 0),
            ("2026-11-22T06", 1, 1, 1),
            ("2026-11-22T08", 2, 2, 1),
            ("2026-11-22T09", 1, 1, 0),
        ]);
        let gaps: Vec<_> = gaps(&hours).iter().map(|gap| [to_the_second(gap.start), to_the_second(gap.end)]).collect();
        assert_eq!(
            gaps,
            [["2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"], ["2026-11-22T08:00:00Z", "2026-11-22T10:00:00Z"]]
        );
    }

    #[test]
    fn people_see_the_waiting_events_and_the_commands_for_the_missing_ones() {
        let failure = |attempts, next_attempt_at| ForwardFailure {
            id: EventId::new(at(0), [7; 8]),
            entity: Entity::named("whatsapp#972501234567"),
            attempts,
            first_attempt_at: at(0),
            last_attempt_at: at(5),
            next_attempt_at,
            answer: "503: busy".to_owned(),
        };
        let status = Status {
            forwarding: Some(Queue {
                waiting: 3,
                dead_letters: 1,
                failures: vec![failure(2, Some(at(35))), failure(5, None)],
            }),
            hours: hours(&[("2026-11-22T08", 5, 5, 3), ("2026-11-22T09", 2, 2, 2)]),
        };
        let expected = "\
in the forward queue  3 events
dead letters          1 event

The endpoint has refused these events. They are tried again, and later events of their entities wait:
┌───────────────────────┬──────────────────────────────────────┬──────────────────────┬──────────┬───────────┬──────────────────────┐
│ entity                ┆ event                                ┆ since                ┆ attempts ┆ answer    ┆ next attempt         │
╞═══════════════════════╪══════════════════════════════════════╪══════════════════════╪══════════╪═══════════╪══════════════════════╡
│ whatsapp#972501234567 ┆ 019aab4e-9fc0-7000-8707-070707070707 ┆ 2026-11-22T09:30:00Z ┆ 2        ┆ 503: busy ┆ 2026-11-22T10:05:00Z │
└───────────────────────┴──────────────────────────────────────┴──────────────────────┴──────────┴───────────┴──────────────────────┘
";
        let shown = status.text(20, at(40), &TargetArgs::default());
        let (waiting, rest) = shown.split_at(expected.len());
        assert_eq!(
            waiting.replace(&EventId::new(at(0), [7; 8]).to_string(), "019aab4e-9fc0-7000-8707-070707070707"),
            expected
        );
        for line in [
            "To send them without waiting: cargo hooks replay --since 2026-11-22T09:30:00Z --to URL\n",
            "Try them again with: cargo hooks dlq redrive --all --queue forward",
            "By the counts, 2 of the recorded events were not published. ",
            "  cargo hooks replay --since 2026-11-22T08:00:00Z --until 2026-11-22T09:00:00Z --to bus",
            "  cargo hooks replay --since 2026-11-22T08:00:00Z --until 2026-11-22T09:00:00Z --to forward",
        ] {
            assert!(rest.contains(line), "{rest}");
        }
        assert!(!rest.contains(WRONG_SECRET), "{rest}");
        let refused = ForwardFailure { answer: "401".to_owned(), ..failure(2, Some(at(35))) };
        let queue = Queue { waiting: 1, dead_letters: 0, failures: vec![refused] };
        let shown = Status { forwarding: Some(queue), ..status }.text(20, at(40), &TargetArgs::default());
        assert!(shown.contains(&format!("Note: {WRONG_SECRET}.\n")), "{shown}");
    }
}
