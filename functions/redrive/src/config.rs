use lambda::{Environment, InvalidVariable, RecordingConfig};
use shared::SourceIps;

/// Redrive's settings, read from its environment and checked once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) recording: RecordingConfig,
    /// The addresses whose deliveries are recorded; deliveries from others are held. `None` when no delivery is held.
    pub(crate) source_ips: Option<SourceIps>,
}

impl Config {
    /// Reads the variables of [`RecordingConfig::read`], and `ALLOWED_SOURCE_IPS` if it is set, as the receiver has them.
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        let source_ips = environment.read_if_set("ALLOWED_SOURCE_IPS", "34.165.99.212/32", str::parse)?;
        Ok(Self {
            recording: RecordingConfig::read(environment)?,
            // Even if the receiver refuses unlisted addresses: it may have queued a delivery while it held them.
            source_ips,
        })
    }
}

#[cfg(test)]
mod tests {
    use fixtures::ENVIRONMENT;

    use super::*;

    fn with<const N: usize>(variables: [(&str, &str); N]) -> Result<Config, String> {
        let mut environment = Environment::from([]);
        let others = ENVIRONMENT.into_iter().filter(|(name, _)| *name != "ALLOWED_SOURCE_IPS");
        environment.extend(others.chain(variables).map(|(name, value)| (name.to_owned(), value.to_owned())));
        Config::read(&environment).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn deliveries_from_unlisted_addresses_are_held_when_there_is_a_list() {
        const LIST: (&str, &str) = ("ALLOWED_SOURCE_IPS", "34.165.99.212/32");
        assert_eq!(with([]).unwrap().source_ips, None);
        assert_eq!(with([LIST]).unwrap().source_ips, Some(LIST.1.parse().unwrap()));
    }

    #[test]
    fn the_error_names_the_variable_that_is_missing_or_cannot_be_used() {
        for (name, value) in [("EVENTS_TABLE", " "), ("ALLOWED_SOURCE_IPS", " "), ("ALLOWED_SOURCE_IPS", "everybody")] {
            let message = with([(name, value)]).unwrap_err();
            assert!(message.contains(name) && message.contains("example"), "{message}");
        }
    }
}
