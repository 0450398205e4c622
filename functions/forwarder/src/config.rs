use std::{convert::Infallible, time::Duration};

use lambda::{Environment, InvalidVariable};
use outbound::{EndpointUrl, InvalidEndpointUrl};
use shared::{QueueUrl, WebhookUrl, check_destination};

use crate::budget::LONGEST_ATTEMPT;

/// The settings of the forwarder, read from its environment and checked once, at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) events_table: String,
    /// The table with the API keys; `None` when events are sent without them.
    pub(crate) sealed_table: Option<String>,
    pub(crate) endpoint: EndpointUrl,
    pub(crate) timeout: Duration,
    pub(crate) queue: QueueUrl,
    pub(crate) dead_letter_queue: QueueUrl,
    pub(crate) secret_id: String,
}

impl Config {
    /// Reads `EVENTS_TABLE`, `FORWARD_URL`, `FORWARD_TIMEOUT_SECONDS`, `FORWARD_QUEUE_URL`, `FORWARD_DEAD_LETTER_QUEUE_URL`,
    /// `FORWARD_SECRET_ID`, `FORWARD_API_KEYS`, when that is `true`, `SEALED_TABLE`, and, if it is set, `WEBHOOK_URL`: events posted
    /// there would be recorded again.
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        let text = |text: &str| Ok::<_, Infallible>(text.to_owned());
        let with_api_keys = environment.read("FORWARD_API_KEYS", "false", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false"),
        })?;
        let sealed_table =
            with_api_keys.then(|| environment.read("SEALED_TABLE", "my-stack-sealed", text)).transpose()?;
        let example = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook";
        let webhook = environment.read_if_set("WEBHOOK_URL", example, WebhookUrl::parse)?;
        let endpoint = |text: &str| {
            let endpoint = EndpointUrl::parse(text)?;
            let checked = check_destination(endpoint.url(), &[], webhook.as_ref().map(WebhookUrl::url));
            checked.map(|()| endpoint).map_err(InvalidEndpointUrl::Forbidden)
        };
        Ok(Self {
            events_table: environment.read("EVENTS_TABLE", "my-stack-events", text)?,
            sealed_table,
            endpoint: environment.read("FORWARD_URL", "https://example.com/events", endpoint)?,
            timeout: environment.read("FORWARD_TIMEOUT_SECONDS", "10", timeout)?,
            queue: environment.read(
                "FORWARD_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-forward.fifo",
                str::parse,
            )?,
            dead_letter_queue: environment.read(
                "FORWARD_DEAD_LETTER_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-forward-dead-letters.fifo",
                str::parse,
            )?,
            secret_id: environment.read(
                "FORWARD_SECRET_ID",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf",
                text,
            )?,
        })
    }
}

fn timeout(seconds: &str) -> Result<Duration, String> {
    let longest = LONGEST_ATTEMPT.as_secs();
    match seconds.parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("is not a whole number of seconds from 1 to {longest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 7] = [
        ("EVENTS_TABLE", "events"),
        ("FORWARD_URL", "https://example.com/in/s3cret"),
        ("FORWARD_TIMEOUT_SECONDS", "10"),
        ("FORWARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/forward.fifo"),
        ("FORWARD_DEAD_LETTER_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/forward-dead.fifo"),
        ("FORWARD_SECRET_ID", "secret"),
        ("FORWARD_API_KEYS", "false"),
    ];

    fn with(name: &str, value: &str) -> Environment {
        let mut environment = Environment::from(GOOD);
        environment.extend([(name.to_owned(), value.to_owned())]);
        environment
    }

    #[test]
    fn each_variable_is_needed() {
        let config = Config::read(&Environment::from(GOOD)).unwrap();
        assert!(config.sealed_table.is_none() && !format!("{config:?}").contains("s3cret"));
        for (name, _) in GOOD {
            let message = Config::read(&with(name, " ")).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn api_keys_need_the_sealed_table() {
        let message = Config::read(&with("FORWARD_API_KEYS", "true")).unwrap_err().to_string();
        assert!(message.contains("SEALED_TABLE"), "{message}");
        let mut environment = with("FORWARD_API_KEYS", "true");
        environment.extend([("SEALED_TABLE".to_owned(), "sealed".to_owned())]);
        assert_eq!(Config::read(&environment).unwrap().sealed_table.as_deref(), Some("sealed"));
    }

    #[test]
    fn events_are_not_posted_back_to_the_webhook() {
        let mut environment = with("WEBHOOK_URL", "https://abc.example.org/v1/webhook");
        assert!(Config::read(&environment).is_ok());
        environment.extend([("FORWARD_URL".to_owned(), "https://abc.example.org/v1/webhook/s3cret".to_owned())]);
        let message = Config::read(&environment).unwrap_err().to_string();
        assert!(message.contains("FORWARD_URL: abc.example.org is this webhook's own address"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn values_that_no_deployment_gives_are_refused() {
        for (name, value) in [
            ("FORWARD_URL", "http://example.com/s3cret"),
            ("FORWARD_TIMEOUT_SECONDS", "0"),
            ("FORWARD_TIMEOUT_SECONDS", "31"),
            ("FORWARD_TIMEOUT_SECONDS", "1.5"),
            ("FORWARD_API_KEYS", "yes"),
        ] {
            let message = Config::read(&with(name, value)).unwrap_err().to_string();
            assert!(message.contains(name) && !message.contains("s3cret"), "{message}");
        }
    }
}
