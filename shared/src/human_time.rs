//! Times and durations as people write and read them.

use std::time::Duration;

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::timestamp::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Reads a duration such as `90m`, `36h`, `7d` or `2w`.
///
/// # Errors
/// Fails when the text is not a duration.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let fault = "expected a whole number followed by m, h, d or w, such as 90m, 36h, 7d or 2w";
    let (at, unit) = text.char_indices().last().ok_or(fault)?;
    let unit = match unit {
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return Err(fault),
    };
    let number: u64 = text[..at].parse().map_err(|_| fault)?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or(fault)
}

/// A moment as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A duration before now.
    Ago(Duration),
    /// A date and time of day.
    At(Timestamp),
}

impl Moment {
    /// Returns the moment, given the present time.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.minus(duration),
            Self::At(time) => time,
        }
    }
}

/// Serializes the moment as it was written: relative to now, or absolute.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ago(duration) => serializer.collect_str(&format_args!("{} s ago", duration.as_secs())),
            Self::At(time) => serializer.collect_str(time),
        }
    }
}

/// Reads a moment: a duration before now, an RFC 3339 time such as `2026-11-22T09:30:00Z`, or a day, which means its first
/// moment in UTC.
///
/// # Errors
/// Fails when the text is none of these.
pub fn moment(text: &str) -> Result<Moment, &'static str> {
    let midnight = format!("{text}T00:00:00Z");
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&midnight, &Rfc3339)) {
        let micros = i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        return Ok(Moment::At(Timestamp::from_micros(micros)));
    }
    duration(text)
        .map(Moment::Ago)
        .map_err(|_| "expected a duration such as 90m, 36h, 7d or 2w, a date such as 2026-11-22, or a time such as 2026-11-22T09:30:00Z")
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
    fn durations_are_read_by_their_unit() {
        for (text, seconds) in [("90m", 5_400), ("36h", 129_600), ("7d", 604_800), ("2w", 1_209_600), ("0d", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "d", "7 d", "-7d", "1.5h", "7é", "99999999999999999999d", "18446744073709551615w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_times_ago_days_or_times_of_any_zone() {
        let now: Timestamp = "2026-11-22T12:00:00.000000Z".parse().unwrap();
        for (text, moment_of_day) in [
            ("90m", "10:30:00.000000"),
            ("2026-11-22", "00:00:00.000000"),
            ("2026-11-22T09:30:00Z", "09:30:00.000000"),
            ("2026-11-22T11:30:00.25+02:00", "09:30:00.250000"),
        ] {
            assert_eq!(moment(text).unwrap().before(now).to_string(), format!("2026-11-22T{moment_of_day}Z"), "{text}");
        }
        for text in ["", "yesterday", "2026-11", "2026-11-31", "2026-11-22T09:30:00", "2026-13-22T09:30:00Z"] {
            assert!(moment(text).is_err(), "{text}");
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
