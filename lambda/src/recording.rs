use shared::{FingerprintKey, QueueUrl, Secret};
use store::Settings;

use crate::environment::{Environment, InvalidVariable};

/// The settings of a function that records deliveries, directly or through the fallback queue.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// The tables, and the times for which they keep and compare deliveries.
    pub store: Settings,
    /// The queue of deliveries not recorded yet.
    pub fallback_queue: QueueUrl,
    /// The key of the fingerprints that detect duplicates.
    pub fingerprint_key: FingerprintKey,
}

impl RecordingConfig {
    /// Reads `EVENTS_TABLE`, `SEALED_TABLE`, `FALLBACK_QUEUE_URL`, `DEDUP_WINDOW_SECONDS`, `RETENTION_DAYS` and
    /// `FINGERPRINT_KEY`.
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            store: Settings {
                events_table: environment.read("EVENTS_TABLE", "my-stack-events", str::parse)?,
                sealed_table: environment.read("SEALED_TABLE", "my-stack-sealed", str::parse)?,
                dedup_window: environment.read("DEDUP_WINDOW_SECONDS", "600", Settings::parse_dedup_window)?,
                retention: environment.read("RETENTION_DAYS", "365", Settings::parse_retention)?,
            },
            fallback_queue: environment.read(
                "FALLBACK_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-fallback",
                str::parse,
            )?,
            fingerprint_key: environment.read(
                "FINGERPRINT_KEY",
                "a generated text of 32 random letters and digits",
                |key| FingerprintKey::new(Secret::new(key)),
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("FALLBACK_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/fallback"),
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
        let config = RecordingConfig::read(&Environment::from(GOOD)).unwrap();
        assert_eq!((config.store.events_table.as_str(), config.store.sealed_table.as_str()), ("events", "sealed"));
        assert_eq!(config.store.dedup_window, Duration::from_secs(600));
        assert_eq!(config.store.retention, Some(Duration::from_secs(365 * 24 * 60 * 60)));
        assert!(config.fallback_queue.as_str().ends_with("/fallback"));
    }

    #[test]
    fn with_zero_days_of_retention_nothing_expires() {
        assert_eq!(RecordingConfig::read(&with("RETENTION_DAYS", "0")).unwrap().store.retention, None);
    }

    #[test]
    fn each_variable_is_needed_and_the_error_names_it_and_not_its_value() {
        for (name, _) in GOOD {
            let message = RecordingConfig::read(&with(name, " ")).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        for (name, value) in [
            ("FALLBACK_QUEUE_URL", "fallback"),
            ("DEDUP_WINDOW_SECONDS", "-1"),
            ("DEDUP_WINDOW_SECONDS", "86401"),
            ("RETENTION_DAYS", "1.5"),
            ("RETENTION_DAYS", "99999"),
            ("FINGERPRINT_KEY", "hunter2"),
        ] {
            let message = RecordingConfig::read(&with(name, value)).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("example"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
