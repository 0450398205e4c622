//! The parts that hand events on: the event bus, and the forwarder's queues, secret and endpoint.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use outbound::{BusEntry, Endpoint, EndpointUrl, ForwardMessage, SOURCE, StoredSecret};
use store::{ForwardFailure, ForwardRecords, StoreError};

use crate::{aws_error::AwsError, route::Route};

/// Said of an endpoint that answers 401 or 403.
pub const WRONG_SECRET: &str = "401 and 403 usually mean that the endpoint verifies with a different secret from the one that \
                                `cargo hooks forward secret` prints";

/// Maximum number of records of refused events that are read.
const MOST_FAILURES: u16 = u16::MAX;

/// The event bus of a local run or a stack.
pub struct EventBus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

/// The forwarder's parts, of a local run or a stack with an endpoint.
pub struct Forwarding {
    sqs: aws_sdk_sqs::Client,
    /// Address of the forward queue.
    pub queue: String,
    /// Address of its dead-letter queue.
    pub dead_letter_queue: String,
    /// The signing secret.
    pub secret: StoredSecret,
    /// The forwarder's records of its attempts.
    pub records: ForwardRecords,
    endpoint: EndpointSettings,
}

/// The place of the endpoint's URL and time limit. CloudFormation does not show the parameter `ForwardUrl`, which may have a token.
pub enum EndpointSettings {
    /// The values, for a local run.
    Known { url: String, timeout_seconds: String },
    /// The variables of the deployed forwarder.
    OfFunction { lambda: aws_sdk_lambda::Client, name: String },
}

impl EventBus {
    /// Creates the bus with this name.
    pub fn new(client: aws_sdk_eventbridge::Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Puts one entry on the bus.
    ///
    /// # Errors
    /// Fails when the bus refuses the entry, or does not answer.
    pub async fn put(&self, entry: &BusEntry) -> Result<(), AwsError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(entry.detail_type())
            .detail(entry.detail())
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| AwsError::of("the event bus", &error))?;
        match answer.entries().first().and_then(|entry| Some((entry.error_code()?, entry.error_message()))) {
            None => Ok(()),
            Some((code, message)) => Err(AwsError::new("the event bus", code, message.unwrap_or_default())),
        }
    }
}

impl Forwarding {
    /// Creates the parts: the queue, its dead-letter queue, the secret, the records and the place of the endpoint's settings.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        [queue, dead_letter_queue]: [&str; 2],
        secret: StoredSecret,
        records: ForwardRecords,
        endpoint: EndpointSettings,
    ) -> Self {
        let [queue, dead_letter_queue] = [queue, dead_letter_queue].map(str::to_owned);
        Self { sqs, queue, dead_letter_queue, secret, records, endpoint }
    }

    /// Returns the records of the events that the endpoint has not accepted, newest first: those that wait, and the dead letters.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or a record cannot be read.
    pub async fn failures(&self) -> Result<Vec<ForwardFailure>, StoreError> {
        self.records.failures(MOST_FAILURES).await
    }

    /// Puts a message into the forward queue. Within five minutes SQS drops another one with the same deduplication id.
    ///
    /// # Errors
    /// Fails when SQS refuses, or does not answer.
    pub async fn send(&self, message: &ForwardMessage, deduplication_id: &str) -> Result<(), AwsError> {
        let send = self.sqs.send_message().queue_url(&self.queue).message_body(message.to_json());
        let send = send.message_group_id(message.group()).message_deduplication_id(deduplication_id);
        send.send().await.map(|_| ()).map_err(|error| AwsError::of("the forward queue", &error))
    }

    /// Returns the endpoint, with the forwarder's time limit, as it is reached from this machine.
    ///
    /// # Errors
    /// Fails when its URL cannot be read, or there is no way to it.
    pub async fn endpoint(&self) -> Result<Endpoint> {
        let (url, timeout_seconds) = match &self.endpoint {
            EndpointSettings::Known { url, timeout_seconds } => (url.clone(), timeout_seconds.clone()),
            EndpointSettings::OfFunction { lambda, name } => {
                let answer = lambda.get_function_configuration().function_name(name).send().await;
                let answer = answer.map_err(|error| AwsError::of("the function forwarder", &error))?;
                let variables = answer.environment.and_then(|environment| environment.variables).unwrap_or_default();
                let variable = |name: &str| {
                    variables.get(name).cloned().with_context(|| format!("the forwarder's configuration has no {name}"))
                };
                (variable("FORWARD_URL")?, variable("FORWARD_TIMEOUT_SECONDS")?)
            }
        };
        let url = EndpointUrl::parse(&url).context("ForwardUrl")?;
        let timeout = timeout_seconds.parse().map(Duration::from_secs).context("ForwardTimeoutSeconds")?;
        let Route { proxy, tls } = Route::to(url.expose())?;
        Ok(Endpoint::through(url, timeout, proxy, tls))
    }
}
