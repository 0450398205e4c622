use std::convert::Infallible;

use shared::WebhookUrl;
use startup::{Environment, InvalidVariable};
use thiserror::Error;

use crate::{ApiBaseUrl, secrets::SecretId};

/// What the function's environment says.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) partner_api: ApiBaseUrl,
    pub(crate) partner_secret: SecretId,
    pub(crate) webhook_token_secret: SecretId,
    pub(crate) webhook_address: WebhookUrl,
    pub(crate) events_table: String,
}

#[derive(Debug, Error)]
enum InvalidAddress {
    #[error("{0}")]
    Url(#[from] shared::InvalidWebhookUrl),
    #[error("has a query (?…), but the token goes to the end of the path")]
    HasQuery,
}

impl Config {
    /// Reads and checks the environment.
    ///
    /// # Errors
    /// At the first variable that is missing or bad.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            partner_api: environment.read(
                "PARTNER_API_BASE_URL",
                "https://partners.99digital.co.il/api",
                ApiBaseUrl::parse,
            )?,
            partner_secret: SecretId::read(environment, "PARTNER_SECRET_ID")?,
            webhook_token_secret: SecretId::read(environment, "WEBHOOK_TOKEN_SECRET_ID")?,
            webhook_address: environment.read(
                "WEBHOOK_URL",
                "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook",
                address,
            )?,
            events_table: environment.read("EVENTS_TABLE", "hooks-events", text)?,
        })
    }
}

fn address(text: &str) -> Result<WebhookUrl, InvalidAddress> {
    let address = WebhookUrl::parse(text)?;
    if text.contains('?') { Err(InvalidAddress::HasQuery) } else { Ok(address) }
}

fn text(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("PARTNER_API_BASE_URL", "https://partners.example.com/api"),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", "https://example.com/v1/webhook"),
        ("EVENTS_TABLE", "events"),
    ];

    fn read_with(name: &str, value: &str) -> Result<Config, InvalidVariable> {
        let mut environment = Environment::from(GOOD);
        environment.extend([(name.to_owned(), value.to_owned())]);
        Config::read(&environment)
    }

    #[test]
    fn a_good_environment_is_read() {
        assert!(Config::read(&Environment::from(GOOD)).is_ok());
    }

    #[test]
    fn a_bad_variable_is_named_with_its_fault() {
        for (name, value, fault) in [
            ("PARTNER_API_BASE_URL", "http://partners.example.com/api", "is not https"),
            ("PARTNER_SECRET_ID", " ", "is empty"),
            ("WEBHOOK_TOKEN_SECRET_ID", "", "is empty"),
            ("WEBHOOK_URL", "http://example.com/v1/webhook", "not https"),
            ("WEBHOOK_URL", "https://example.com/v1/webhook?a=b", "has a query"),
            ("EVENTS_TABLE", "", "is empty"),
        ] {
            let message = read_with(name, value).unwrap_err().to_string();
            assert!(message.contains(&format!("{name}: ")) && message.contains(fault), "{message}");
        }
    }

    #[test]
    fn every_variable_is_needed() {
        for (missing, _) in GOOD {
            let mut environment = Environment::from([]);
            let others = GOOD.into_iter().filter(|(name, _)| *name != missing);
            environment.extend(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let message = Config::read(&environment).unwrap_err().to_string();
            assert!(message.contains(&format!("{missing}: is not set")), "{message}");
        }
    }
}
