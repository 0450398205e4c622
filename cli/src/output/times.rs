//! Times for people: in UTC, or in this machine's time zone with `--local`.

use std::sync::OnceLock;

use jiff::tz::TimeZone;
use shared::{
    Timestamp,
    human_time::{Moment, ago, to_the_second},
};

/// The time zone of this machine, if `--local` is given.
static LOCAL: OnceLock<TimeZone> = OnceLock::new();

/// Shows and reads times in this machine's time zone from now on.
pub fn use_local() {
    LOCAL.get_or_init(TimeZone::system);
}

/// Returns the seconds by which the clock is ahead of UTC at a moment.
fn ahead(time: Timestamp) -> i64 {
    let offset = LOCAL.get().zip(jiff::Timestamp::from_microsecond(time.as_micros()).ok());
    offset.map_or(0, |(zone, time)| zone.to_offset(time).seconds().into())
}

/// Formats a moment to the second.
pub fn shown(time: Timestamp) -> String {
    if LOCAL.get().is_none() {
        return to_the_second(time);
    }
    let ahead = ahead(time);
    let clock = to_the_second(Timestamp::from_micros(time.as_micros() + ahead * 1_000_000));
    let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60);
    format!("{}{sign}{:02}:{:02}", clock.trim_end_matches('Z'), minutes / 60, minutes % 60)
}

/// Formats a moment to the second, with the approximate time since then.
pub fn shown_with_age(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", shown(time), ago(time, now))
}

/// Returns a moment that a person has written, given the present time.
pub fn resolve(moment: Moment, now: Timestamp) -> Timestamp {
    moment.on_clock(now, ahead)
}
