//! A bar over time of the registered URL: pure.

use shared::Timestamp;
use store::{Ownership, Segment};

use super::layout::{Moment, roughly};

/// Length of the bar, in units of the drawing.
const LENGTH: u64 = 1_000;

/// Minimum width of a period that was not ours.
const LEAST: u64 = 4;

/// A period: a part of the bar, and a row of the table.
pub struct Stretch {
    pub held: &'static str,
    pub class: &'static str,
    pub from: Moment,
    pub until: Moment,
    pub lasted: String,
    /// Position in the drawing.
    pub x: u64,
    pub width: u64,
    pub title: String,
}

/// Returns the parts of a bar, oldest first.
pub fn stretches(segments: &[Segment], now: Timestamp) -> Vec<Stretch> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Vec::new() };
    let (start, whole) = (first.times.start, last.times.end.since(first.times.start).as_micros().max(1));
    let place =
        |time: Timestamp| u64::try_from(time.since(start).as_micros() * u128::from(LENGTH) / whole).unwrap_or(LENGTH);
    let stretch = |segment: &Segment| {
        let (held, class) = match segment.ownership {
            Ownership::Ours => ("your webhook", "ours"),
            Ownership::NotOurs => ("another URL, or none", "not-ours"),
            Ownership::Unknown if segments.len() > 1 && segment.times.end == last.times.end => {
                ("not checked since", "unknown")
            }
            Ownership::Unknown => ("not known", "unknown"),
        };
        let (x, end) = (place(segment.times.start), place(segment.times.end));
        let width = match segment.ownership {
            Ownership::NotOurs => (end - x).max(LEAST),
            // A narrower line would look like a rendering error.
            Ownership::Ours | Ownership::Unknown if end - x < LEAST / 2 => 0,
            Ownership::Ours | Ownership::Unknown => end - x,
        };
        let (from, until) = (Moment::new(segment.times.start, now), Moment::new(segment.times.end, now));
        let lasted = roughly(segment.times.end.since(segment.times.start));
        Stretch {
            title: format!("{held}, {} to {}, {lasted}", from.second, until.second),
            x: x.min(LENGTH - width),
            width,
            held,
            class,
            from,
            until,
            lasted,
        }
    };
    segments.iter().map(stretch).collect()
}
