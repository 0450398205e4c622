use lambda::{Environment, InvalidVariable, RecordingConfig};
use shared::{SourceIps, UnlistedSource};

/// The receiver's settings, read from its environment and checked once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) recording: RecordingConfig,
    pub(crate) source_ips: SourceIps,
    pub(crate) unlisted_source: UnlistedSource,
}

impl Config {
    /// Reads the variables of [`RecordingConfig::read`], `ALLOWED_SOURCE_IPS`, and `UNLISTED_SOURCE` (`hold` or `refuse`;
    /// default: `hold`).
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            recording: RecordingConfig::read(environment)?,
            source_ips: environment.read("ALLOWED_SOURCE_IPS", "34.165.99.212/32", str::parse)?,
            unlisted_source: environment.read_if_set("UNLISTED_SOURCE", "hold", str::parse)?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use fixtures::ENVIRONMENT;

    use super::*;

    fn with<const N: usize>(variables: [(&str, &str); N]) -> Result<Config, String> {
        let mut environment = Environment::from(ENVIRONMENT);
        environment.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Config::read(&environment).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn calls_from_unlisted_addresses_are_held_unless_the_environment_says_refuse() {
        assert_eq!(with([]).unwrap().unlisted_source, UnlistedSource::Hold);
        for (text, policy) in [("hold", UnlistedSource::Hold), ("refuse", UnlistedSource::Refuse)] {
            assert_eq!(with([("UNLISTED_SOURCE", text)]).unwrap().unlisted_source, policy);
        }
    }

    #[test]
    fn the_error_names_the_variable_that_is_missing_or_cannot_be_used() {
        for (name, value) in [
            ("EVENTS_TABLE", " "),
            ("ALLOWED_SOURCE_IPS", " "),
            ("ALLOWED_SOURCE_IPS", "everybody"),
            ("UNLISTED_SOURCE", " "),
            ("UNLISTED_SOURCE", "allow"),
        ] {
            let message = with([(name, value)]).unwrap_err();
            assert!(message.contains(name) && message.contains("example"), "{message}");
        }
    }
}
