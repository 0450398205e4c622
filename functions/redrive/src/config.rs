use lambda::{Environment, InvalidVariable};
use shared::{FingerprintKey, QueueUrl, Secret};
use store::Settings;

/// What redrive has to know, read from its environment and checked once, at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) settings: Settings,
    pub(crate) fallback_queue: QueueUrl,
    pub(crate) fingerprint_key: FingerprintKey,
}

impl Config {
    /// Reads `EVENTS_TABLE`, `SEALED_TABLE`, `FALLBACK_QUEUE_URL`, `DEDUP_WINDOW_SECONDS`, `RETENTION_DAYS` and
    /// `FINGERPRINT_KEY`, all of them as the receiver has them.
    ///
    /// # Errors
    /// For the first that is missing or of no use.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            settings: Settings {
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
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("FALLBACK_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/fallback"),
        ("DEDUP_WINDOW_SECONDS", "600"),
        ("RETENTION_DAYS", "365"),
        ("FINGERPRINT_KEY", "a key for tests only"),
    ];

    #[test]
    fn each_variable_is_needed() {
        assert!(Config::read(&Environment::from(GOOD)).is_ok());
        for (name, _) in GOOD {
            let mut environment = Environment::from(GOOD);
            environment.extend([(name.to_owned(), " ".to_owned())]);
            let message = Config::read(&environment).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
