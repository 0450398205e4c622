use lambda::{Environment, InvalidVariable};
use shared::{FingerprintKey, QueueUrl, Secret};
use store::Settings;

use crate::source_ips::SourceIps;

/// What the receiver has to know, read from its environment and checked once, at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) settings: Settings,
    pub(crate) fallback_queue: QueueUrl,
    pub(crate) allowed: SourceIps,
    pub(crate) fingerprint_key: FingerprintKey,
}

impl Config {
    /// Reads `EVENTS_TABLE`, `SEALED_TABLE`, `FALLBACK_QUEUE_URL`, `ALLOWED_SOURCE_IPS`, `DEDUP_WINDOW_SECONDS`,
    /// `RETENTION_DAYS` and `FINGERPRINT_KEY`.
    ///
    /// # Errors
    /// For the first that is missing or of no use.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            settings: Settings {
                events_table: environment.read("EVENTS_TABLE", "my-stack-events", table)?,
                sealed_table: environment.read("SEALED_TABLE", "my-stack-sealed", table)?,
                dedup_window: environment.read("DEDUP_WINDOW_SECONDS", "600", Settings::parse_dedup_window)?,
                retention: environment.read("RETENTION_DAYS", "365", Settings::parse_retention)?,
            },
            fallback_queue: environment.read(
                "FALLBACK_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-fallback",
                str::parse,
            )?,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: [(&str, &str); 7] = [
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("FALLBACK_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/fallback"),
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
            ("FALLBACK_QUEUE_URL", "fallback"),
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
