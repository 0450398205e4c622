use std::time::Duration;

use shared::{FingerprintKey, Secret};
use startup::{Environment, InvalidVariable};
use store::Settings;

use crate::source_ips::SourceIps;

/// The longest [`Settings::dedup_window`]: a day, as long as the provider's own retries last (V2 Webhook).
const LONGEST_WINDOW: u64 = 24 * 60 * 60;
/// The longest retention in days: ten years.
const LONGEST_RETENTION: u64 = 3_650;

/// What the receiver has to know, read from its environment and checked once, at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) settings: Settings,
    pub(crate) allowed: SourceIps,
    pub(crate) fingerprint_key: FingerprintKey,
}

impl Config {
    /// Reads `EVENTS_TABLE`, `SEALED_TABLE`, `ALLOWED_SOURCE_IPS`, `DEDUP_WINDOW_SECONDS`, `RETENTION_DAYS` and
    /// `FINGERPRINT_KEY`.
    ///
    /// # Errors
    /// For the first that is missing or of no use.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            settings: Settings {
                events_table: environment.read("EVENTS_TABLE", "my-stack-events", table)?,
                sealed_table: environment.read("SEALED_TABLE", "my-stack-sealed", table)?,
                dedup_window: environment.read("DEDUP_WINDOW_SECONDS", "600", dedup_window)?,
                retention: environment.read("RETENTION_DAYS", "365", retention)?,
            },
            allowed: environment.read("ALLOWED_SOURCE_IPS", "34.165.99.212/32", str::parse)?,
            fingerprint_key: environment.read(
                "FINGERPRINT_KEY",
                "a generated text of 32 random letters and digits",
                |key| FingerprintKey::new(Secret::new(key)),
            )?,
        })
    }
}

fn table(name: &str) -> Result<String, std::convert::Infallible> {
    Ok(name.to_owned())
}

fn dedup_window(seconds: &str) -> Result<Duration, String> {
    whole_number(seconds, LONGEST_WINDOW).map(Duration::from_secs)
}

fn retention(days: &str) -> Result<Option<Duration>, String> {
    let days = whole_number(days, LONGEST_RETENTION)?;
    Ok((days > 0).then(|| Duration::from_secs(days * 24 * 60 * 60)))
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

    const GOOD: [(&str, &str); 6] = [
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("ALLOWED_SOURCE_IPS", "34.165.99.212/32"),
        ("DEDUP_WINDOW_SECONDS", "600"),
        ("RETENTION_DAYS", "365"),
        ("FINGERPRINT_KEY", "a key for tests only"),
    ];

    fn with(name: &str, value: &str) -> Environment {
        let mut environment = Environment::from(GOOD);
        environment.extend([(name.to_owned(), value.to_owned())]);
        environment
    }

    #[test]
    fn a_good_environment_is_read() {
        let settings = Config::read(&Environment::from(GOOD)).unwrap().settings;
        assert_eq!(settings.dedup_window, Duration::from_secs(600));
        assert_eq!(settings.retention, Some(Duration::from_secs(365 * 24 * 60 * 60)));
    }

    #[test]
    fn zero_days_of_retention_are_forever() {
        assert_eq!(Config::read(&with("RETENTION_DAYS", "0")).unwrap().settings.retention, None);
    }

    #[test]
    fn each_variable_is_needed_and_a_bad_value_is_named() {
        for (name, _) in GOOD {
            let message = Config::read(&with(name, " ")).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        for (name, value) in [
            ("ALLOWED_SOURCE_IPS", "everybody"),
            ("DEDUP_WINDOW_SECONDS", "-1"),
            ("DEDUP_WINDOW_SECONDS", "86401"),
            ("RETENTION_DAYS", "1.5"),
            ("RETENTION_DAYS", "99999"),
            ("FINGERPRINT_KEY", "hunter2"),
        ] {
            let message = Config::read(&with(name, value)).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("example"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
