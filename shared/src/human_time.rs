//! Times and durations as people write and read them.

use std::time::Duration;

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::timestamp::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Length of a date and time of day to the minute.
const MINUTES: usize = "2026-11-22T09:30".len();

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Reads a duration such as `30s`, `90m`, `1h30m`, `7d` or `2w`.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit())?);
        let mut letters = after.chars();
        let unit = match letters.next()? {
            's' => 1,
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            'w' => 7 * DAY,
            _ => return None,
        };
        seconds = number.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(seconds)?;
        rest = letters.as_str();
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// A moment as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A duration before now.
    Ago(Duration),
    /// A date and time of day, with its time zone.
    At(Timestamp),
    /// A date and time of day without a time zone, as it would be in UTC.
    OnClock(Timestamp),
    /// The start of a day, that many days before today.
    DaysBefore(u8),
}

impl Moment {
    /// Returns the moment, given the present time. Days and times without a time zone are in UTC.
    pub fn before(self, now: Timestamp) -> Timestamp {
        self.on_clock(now, |_| 0)
    }

    /// Returns the moment, given the present time and a clock: the seconds by which it is ahead of UTC at a moment.
    pub fn on_clock(self, now: Timestamp, ahead: impl Fn(Timestamp) -> i64) -> Timestamp {
        let moved = |time: Timestamp, seconds: i64| Timestamp::from_micros(time.as_micros() + seconds * 1_000_000);
        let in_utc = |clock: Timestamp| {
            let day = MICROS_PER_DAY / 1_000_000;
            let [before, after] = [-day, day].map(|seconds| moved(clock, -ahead(moved(clock, seconds))));
            let is_shown = |at: Timestamp| moved(at, ahead(at)) == clock;
            // The clock may have been set between the two. A time that it has skipped is counted from before it was set.
            if is_shown(after) && !is_shown(before) { after } else { before }
        };
        match self {
            Self::Ago(duration) => now.minus(duration),
            Self::At(time) => time,
            Self::OnClock(clock) => in_utc(clock),
            Self::DaysBefore(days) => {
                let day = moved(now, ahead(now)).as_micros() / MICROS_PER_DAY - i64::from(days);
                in_utc(Timestamp::from_micros(day * MICROS_PER_DAY))
            }
        }
    }
}

/// Serializes the moment as it was written: relative to now, on a clock, or absolute.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ago(duration) => serializer.collect_str(&format_args!("{} s ago", duration.as_secs())),
            Self::At(time) => serializer.collect_str(time),
            Self::OnClock(time) => serializer.collect_str(&format_args!("{time} on the clock")),
            Self::DaysBefore(days) => serializer.collect_str(&format_args!("{days} days before today")),
        }
    }
}

/// Reads a moment: a duration before now, `now`, `today`, `yesterday`, an RFC 3339 time such as `2026-11-22T09:30:00Z`, the same without
/// seconds or time zone, or a date, which means its first moment.
///
/// # Errors
/// Fails when the text is none of these.
pub fn moment(text: &str) -> Result<Moment, &'static str> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "now" => return Ok(Moment::Ago(Duration::ZERO)),
        "today" => return Ok(Moment::DaysBefore(0)),
        "yesterday" => return Ok(Moment::DaysBefore(1)),
        _ => {}
    }
    let parse = |text: &str| {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Timestamp::from_micros(i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)))
    };
    let on_clock = text.replacen(' ', "T", 1);
    let in_minutes = on_clock.split_at_checked(MINUTES).filter(|(_, zone)| zone.starts_with(['Z', '+', '-']));
    let with_seconds = in_minutes.and_then(|(time, zone)| parse(&format!("{time}:00{zone}")));
    if let Some(time) = parse(&on_clock).or(with_seconds) {
        return Ok(Moment::At(time));
    }
    let ends = ["Z", ":00Z", "T00:00:00Z"];
    if let Some(time) = ends.into_iter().find_map(|end| parse(&format!("{on_clock}{end}"))) {
        return Ok(Moment::OnClock(time));
    }
    duration(text).map(Moment::Ago).ok_or(
        "expected a duration such as 30s, 90m, 1h30m, 7d or 2w, today, yesterday, a date such as 2026-11-22, or a time such as \
         2026-11-22T09:30 or 2026-11-22T09:30:00Z",
    )
}

/// Formats a moment in UTC, to the second.
pub fn to_the_second(time: Timestamp) -> String {
    let micros = time.to_string();
    format!("{}Z", micros.split('.').next().unwrap_or(&micros))
}

/// Formats the approximate time since a moment.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(time).as_secs();
    let (number, unit) = match seconds {
        ..MINUTE => (seconds, "s"),
        MINUTE..HOUR => (seconds / MINUTE, "min"),
        HOUR..DAY => (seconds / HOUR, "h"),
        DAY.. => (seconds / DAY, "d"),
    };
    format!("{number} {unit} ago")
}

/// Formats a duration in minutes, with one decimal below ten minutes.
pub fn minutes(duration: Duration) -> String {
    let minutes = duration.as_secs_f64() / 60.0;
    if minutes < 10.0 && !duration.as_secs().is_multiple_of(60) {
        format!("{minutes:.1} min")
    } else {
        format!("{minutes:.0} min")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_by_their_units() {
        for (text, seconds) in [
            ("30s", 30),
            ("90m", 5_400),
            ("1h30m", 5_400),
            ("36h", 129_600),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1w1d1h1m1s", 694_861),
            ("0d", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "d", "7 d", "-7d", "1.5h", "1h30", "7é", "99999999999999999999d", "18446744073709551615w"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_times_ago_days_or_times_of_any_zone() {
        let now: Timestamp = "2026-11-22T12:00:00.000000Z".parse().unwrap();
        for (text, expected) in [
            ("90m", "2026-11-22T10:30:00.000000Z"),
            ("now", "2026-11-22T12:00:00.000000Z"),
            ("today", "2026-11-22T00:00:00.000000Z"),
            (" Yesterday ", "2026-11-21T00:00:00.000000Z"),
            ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
            ("2026-11-22 09:30", "2026-11-22T09:30:00.000000Z"),
            ("2026-11-22T09:30:15", "2026-11-22T09:30:15.000000Z"),
            ("2026-11-22T09:30:00Z", "2026-11-22T09:30:00.000000Z"),
            ("2026-11-22T11:30:00.25+02:00", "2026-11-22T09:30:00.250000Z"),
            ("2026-11-22T09:30Z", "2026-11-22T09:30:00.000000Z"),
            ("2026-11-22 11:30+02:00", "2026-11-22T09:30:00.000000Z"),
        ] {
            assert_eq!(moment(text).unwrap().before(now).to_string(), expected, "{text}");
        }
        for text in ["", "tomorrow", "2026-11", "2026-11-31", "09:30", "2026-13-22T09:30:00Z", "2026-11-22T09:30.5Z"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_and_times_without_a_zone_are_in_the_zone_of_the_clock() {
        // Jerusalem's clock is set back from 3 to 2 hours ahead of UTC on 25 October 2026, at 02:00.
        let change: Timestamp = "2026-10-24T23:00:00.000000Z".parse().unwrap();
        let ahead = |at: Timestamp| if at < change { 10_800 } else { 7_200 };
        let now: Timestamp = "2026-10-25T23:30:00.000000Z".parse().unwrap();
        for (text, expected) in [
            ("today", "2026-10-25T22:00:00.000000Z"),
            ("yesterday", "2026-10-24T21:00:00.000000Z"),
            ("2026-10-24", "2026-10-23T21:00:00.000000Z"),
            ("2026-10-25T09:30", "2026-10-25T07:30:00.000000Z"),
            ("2026-10-25T09:30:00Z", "2026-10-25T09:30:00.000000Z"),
            ("1h", "2026-10-25T22:30:00.000000Z"),
        ] {
            assert_eq!(moment(text).unwrap().on_clock(now, ahead).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_day_without_midnight_begins_when_its_clock_begins() {
        // Santiago's clock is set forward from 4 to 3 hours behind UTC on 6 September 2026, at 00:00.
        let change: Timestamp = "2026-09-06T04:00:00.000000Z".parse().unwrap();
        let ahead = |at: Timestamp| if at < change { -14_400 } else { -10_800 };
        let now: Timestamp = "2026-09-07T12:00:00.000000Z".parse().unwrap();
        for (text, expected) in [
            ("2026-09-05", "2026-09-05T04:00:00.000000Z"),
            ("2026-09-05T23:30", "2026-09-06T03:30:00.000000Z"),
            ("2026-09-06", "2026-09-06T04:00:00.000000Z"),
            ("yesterday", "2026-09-06T04:00:00.000000Z"),
            ("2026-09-06T01:30", "2026-09-06T04:30:00.000000Z"),
            ("2026-09-07", "2026-09-07T03:00:00.000000Z"),
        ] {
            assert_eq!(moment(text).unwrap().on_clock(now, ahead).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_shown_to_the_second_and_from_now() {
        let now: Timestamp = "2026-11-22T12:00:00.900000Z".parse().unwrap();
        assert_eq!(to_the_second(now), "2026-11-22T12:00:00Z");
        for (seconds, shown) in
            [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7_199, "1 h ago"), (172_800, "2 d ago")]
        {
            assert_eq!(ago(now.minus(Duration::from_secs(seconds)), now), shown);
        }
        assert_eq!(ago(now.plus(Duration::from_secs(5)), now), "0 s ago", "two clocks may differ");
    }

    #[test]
    fn minutes_have_a_tenth_while_they_are_few() {
        for (seconds, shown) in [(0, "0 min"), (30, "0.5 min"), (60, "1 min"), (90, "1.5 min"), (3_630, "60 min")] {
            assert_eq!(minutes(Duration::from_secs(seconds)), shown);
        }
    }
}
