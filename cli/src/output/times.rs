//! Times for people: in UTC, or in this machine's time zone with `--local`.

use std::{env, sync::OnceLock};

use jiff::tz::TimeZone;
use shared::{
    Timestamp,
    human_time::{Moment, ago, moment, to_the_second},
};

use crate::faults::Fault;

/// The time zone of this machine, if `--local` is given.
static LOCAL: OnceLock<TimeZone> = OnceLock::new();

/// Shows and reads times in this machine's time zone from now on. A machine that names none is in UTC.
///
/// # Errors
/// Fails when TZ is not a time zone of this machine.
pub fn use_local() -> Result<(), Fault> {
    let zone = match (TimeZone::try_system(), env::var_os("TZ")) {
        (Ok(zone), _) => zone,
        (Err(_), None) => TimeZone::UTC,
        (Err(_), Some(name)) => {
            let what = format!("TZ={} is not a time zone of this machine, and --local needs one", name.display());
            return Err(Fault::of_tool(
                what,
                "export TZ=<zone>, such as Asia/Jerusalem, or unset TZ; the package tzdata has the zones",
            ));
        }
    };
    LOCAL.get_or_init(|| zone);
    Ok(())
}

/// Returns the seconds by which the clock is ahead of UTC at a moment.
fn ahead(time: Timestamp) -> i64 {
    let offset = LOCAL.get().zip(jiff::Timestamp::from_microsecond(time.as_micros()).ok());
    offset.map_or(0, |(zone, time)| zone.to_offset(time).seconds().into())
}

/// Formats a moment to the second.
pub fn shown(time: Timestamp) -> String {
    on_clock(time, to_the_second)
}

/// Formats a moment to the second, with the approximate time since then.
pub fn shown_with_age(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", shown(time), ago(time, now))
}

/// Formats a moment to the microsecond, with the approximate time since then.
pub fn shown_exactly(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", on_clock(time, |time| time.to_string()), ago(time, now))
}

/// Formats the time in a report, to the second. Any other text is left as it is.
pub fn reported(text: &str) -> String {
    match moment(text) {
        Ok(Moment::At(time)) => shown(time),
        _ => text.to_owned(),
    }
}

fn on_clock(time: Timestamp, format: fn(Timestamp) -> String) -> String {
    if LOCAL.get().is_none() {
        return format(time);
    }
    let ahead = ahead(time);
    let clock = format(Timestamp::from_micros(time.as_micros() + ahead * 1_000_000));
    let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60);
    format!("{}{sign}{:02}:{:02}", clock.trim_end_matches('Z'), minutes / 60, minutes % 60)
}

/// Returns a moment that a person has written, given the present time.
pub fn resolve(moment: Moment, now: Timestamp) -> Timestamp {
    moment.on_clock(now, ahead)
}
