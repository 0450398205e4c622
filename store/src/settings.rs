use std::time::Duration;

/// Maximum of [`Settings::dedup_window`]: a day, as long as the provider's own retries last (V2 Webhook).
const LONGEST_WINDOW: u64 = 86_400;
/// Maximum retention in days: ten years.
const LONGEST_RETENTION: u64 = 3_650;

/// The tables, and the rules by which deliveries are recorded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The table of deliveries, states and accepted tokens.
    pub events_table: String,
    /// The table of secrets and bodies with restricted access.
    pub sealed_table: String,
    /// Maximum time from the last event within which the same body counts as its duplicate.
    pub dedup_window: Duration,
    /// Time for which deliveries are kept; `None` is forever.
    pub retention: Option<Duration>,
}

impl Settings {
    /// Reads a window: whole seconds, at most a day.
    ///
    /// # Errors
    /// Fails with a text that names the fault.
    pub fn parse_dedup_window(seconds: &str) -> Result<Duration, String> {
        whole_number(seconds, LONGEST_WINDOW).map(Duration::from_secs)
    }

    /// Reads a retention: whole days, at most ten years; 0 is forever.
    ///
    /// # Errors
    /// Fails with a text that names the fault.
    pub fn parse_retention(days: &str) -> Result<Option<Duration>, String> {
        let days = whole_number(days, LONGEST_RETENTION)?;
        Ok((days > 0).then(|| Duration::from_hours(days * 24)))
    }
}

fn whole_number(text: &str, most: u64) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("{text:?} is not a whole number from 0 to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_seconds_of_at_most_a_day() {
        assert_eq!(Settings::parse_dedup_window("600"), Ok(Duration::from_secs(600)));
        assert_eq!(Settings::parse_dedup_window("0"), Ok(Duration::ZERO));
        assert_eq!(Settings::parse_dedup_window("86400"), Ok(Duration::from_hours(24)));
        for text in ["-1", "86401", "1.5", "ten"] {
            assert!(Settings::parse_dedup_window(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retentions_are_days_of_at_most_ten_years_and_0_is_forever() {
        assert_eq!(Settings::parse_retention("365"), Ok(Some(Duration::from_hours(365 * 24))));
        assert_eq!(Settings::parse_retention("0"), Ok(None));
        assert_eq!(Settings::parse_retention("3650"), Ok(Some(Duration::from_hours(3_650 * 24))));
        for text in ["-1", "3651", "1.5", "ten"] {
            assert!(Settings::parse_retention(text).is_err(), "{text}");
        }
    }
}
