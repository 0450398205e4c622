use std::convert::Infallible;

use lambda::{Environment, InvalidVariable};
use shared::QueueUrl;

/// The settings of the publisher, read from its environment and checked once, at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) events_table: String,
    pub(crate) bus: String,
    /// `None` when the partner has no endpoint.
    pub(crate) forward_queue: Option<QueueUrl>,
    pub(crate) aside_queue: QueueUrl,
}

impl Config {
    /// Reads `EVENTS_TABLE`, `EVENT_BUS_NAME`, `PUBLISH_FAILURES_QUEUE_URL` and, if it is set, `FORWARD_QUEUE_URL`.
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        let text = |text: &str| Ok::<_, Infallible>(text.to_owned());
        Ok(Self {
            events_table: environment.read("EVENTS_TABLE", "my-stack-events", text)?,
            bus: environment.read("EVENT_BUS_NAME", "my-stack", text)?,
            aside_queue: environment.read(
                "PUBLISH_FAILURES_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-publish-failures",
                str::parse,
            )?,
            forward_queue: environment.read_if_set(
                "FORWARD_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-forward.fifo",
                str::parse,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("EVENTS_TABLE", "events"),
        ("EVENT_BUS_NAME", "bus"),
        ("PUBLISH_FAILURES_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/failures"),
    ];

    #[test]
    fn each_variable_is_needed_but_the_forward_queue() {
        assert_eq!(Config::read(&Environment::from(GOOD)).unwrap().forward_queue, None);
        for (name, _) in GOOD {
            let mut environment = Environment::from(GOOD);
            environment.extend([(name.to_owned(), " ".to_owned())]);
            let message = Config::read(&environment).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn the_forward_queue_must_be_a_queue_when_it_is_set() {
        let mut environment = Environment::from(GOOD);
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/forward.fifo";
        environment.extend([("FORWARD_QUEUE_URL".to_owned(), queue.to_owned())]);
        assert_eq!(Config::read(&environment).unwrap().forward_queue.unwrap().as_str(), queue);
        environment.extend([("FORWARD_QUEUE_URL".to_owned(), "forward".to_owned())]);
        assert!(Config::read(&environment).is_err());
    }
}
