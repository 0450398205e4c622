use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use thiserror::Error;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::StaticFormatDescription, macros::format_description,
};

/// Always six decimals and a `Z`, so that texts sort as the times do.
const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The last microsecond of the year 9999, the latest that [`FORMAT`] can write.
const LATEST: i64 = 253_402_300_799_999_999;

/// A moment in UTC, to the microsecond, between 1970 and the end of 9999.
///
/// Written as RFC 3339 with exactly six decimals (`2026-11-22T09:30:00.000001Z`): texts sort as the times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not a moment as [`Timestamp`] writes it.
#[derive(Debug, Error)]
#[error("not a UTC time with six decimals, such as 2026-11-22T09:30:00.000001Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// Creates a moment from microseconds since 1970, clamped to the years that can be written.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, LATEST))
    }

    /// Returns the microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the milliseconds since 1970, rounded down.
    pub fn as_millis(self) -> i64 {
        self.0 / 1_000
    }

    /// Returns the seconds since 1970, rounded down.
    pub fn as_secs(self) -> i64 {
        self.0 / 1_000_000
    }

    /// Returns the day in UTC, as `2026-11-22`.
    pub fn day(self) -> String {
        self.to_string()[..10].to_owned()
    }

    /// Returns the month in UTC, as `2026-11`.
    pub fn month(self) -> String {
        self.to_string()[..7].to_owned()
    }

    /// Returns a later moment, at most the end of 9999.
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(duration)))
    }

    /// Returns an earlier moment, at least 1970.
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros(duration)))
    }

    /// Returns the time since another moment; zero when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<SystemTime> for Timestamp {
    /// Converts a clock's time; one before 1970 becomes 1970.
    fn from(time: SystemTime) -> Self {
        Self::from_micros(time.duration_since(UNIX_EPOCH).map_or(0, micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .map_err(|_| fmt::Error)?
            .format(&FORMAT)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = PrimitiveDateTime::parse(text, &FORMAT).map_err(|_| InvalidTimestamp)?;
        let micros = moment.assume_utc().unix_timestamp_nanos() / 1_000;
        match i64::try_from(micros) {
            Ok(micros @ 0..=LATEST) => Ok(Self(micros)),
            _ => Err(InvalidTimestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_with_six_decimals() {
        assert_eq!(Timestamp::from_micros(1).to_string(), "1970-01-01T00:00:00.000001Z");
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(1_795_339_800_000_000).day(), "2026-11-22");
        assert_eq!(Timestamp::from_micros(1_795_339_800_000_000).month(), "2026-11");
    }

    #[test]
    fn seconds_and_milliseconds_are_rounded_down() {
        let time = Timestamp::from_micros(1_795_339_800_999_999);
        assert_eq!((time.as_secs(), time.as_millis()), (1_795_339_800, 1_795_339_800_999));
    }

    #[test]
    fn the_time_since_a_later_moment_is_none() {
        let (a, b) = (Timestamp::from_micros(5), Timestamp::from_micros(7));
        assert_eq!((b.since(a), a.since(b)), (Duration::from_micros(2), Duration::ZERO));
    }

    #[test]
    fn other_forms_of_a_time_are_refused() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T09:30:00Z",
            "2026-11-22T09:30:00.000001+02:00",
            "1969-12-31T23:59:59.999999Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_keeps_the_time_and_its_order(a in 0..=LATEST, b in 0..=LATEST) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.to_string().parse::<Timestamp>().unwrap(), a);
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }
    }
}
