use std::{fs::File, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use emulators::{
    cloudformation::CloudFormation,
    dynamodb::DynamoDb,
    endpoint::Endpoint,
    event_bus::EventBus,
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    secrets::SecretsManager,
    sqs::{Name, Rules, Sqs},
};
use rustix::process::getpid;
use serde_json::json;
use store::{PublishedCounts, RegistrationLedger};

use crate::{
    project::{Forward, HandingOn, Run},
    samples,
};

/// The defaults of the template.
const DEDUP_WINDOW_SECONDS: &str = "600";
const RETENTION_DAYS: &str = "365";
const FORWARD_TIMEOUT_SECONDS: &str = "10";

/// The URL to set for each line. The stand-in for the provider delivers nothing there.
const LINE_WEBHOOK_URL: &str = "https://crm.example.com/whatsapp/{whatsapp}";

/// In the local run, the inventory reports a missed event at once.
const MISSED_AFTER_MINUTES: &str = "0";

const EVENT_BUS: &str = "local";
const FORWARD_SECRET_ID: &str = "forward";

/// The rules of the forward queue in template.yaml.
const FORWARD_QUEUE: Rules = Rules { visibility: Duration::from_secs(360), most_receives: 1_000 };

/// The provider's address, for the samples of events/receiver, and this machine.
const ALLOWED_SOURCE_IPS: &str = "34.165.99.212/32,127.0.0.1/32";

/// The ports of the stand-ins on the loopback interface; 0 is a free port.
#[derive(Clone, Copy, Default)]
pub struct Ports {
    dynamodb: u16,
    sqs: u16,
    secrets: u16,
    partner: u16,
    cloudformation: u16,
    event_bus: u16,
    consumer: u16,
}

/// The ports that `[workspace.metadata.lambda.env]` in Cargo.toml names, for functions under plain `cargo lambda watch`.
pub const FIXED_PORTS: Ports = Ports {
    dynamodb: 9001,
    sqs: 9002,
    secrets: 9003,
    partner: 9004,
    cloudformation: 9005,
    event_bus: 9006,
    consumer: 9007,
};

/// Everything that the functions find around them on AWS, on this machine.
pub struct Surroundings {
    pub dynamodb: DynamoDb,
    pub queue: Arc<Sqs>,
    pub partner: Partner,
    pub bus: EventBus,
    /// It takes the events that are handed on; `None` when a server of somebody's own does.
    pub consumer: Option<Endpoint>,
    forward_url: String,
    secrets: SecretsManager,
    _cloudformation: CloudFormation,
}

impl Surroundings {
    /// Starts them. The tables are kept in a file, or without one in memory. Events are posted to a URL, or without one to a sample
    /// consumer.
    ///
    /// # Errors
    /// Fails if a port is taken or the file cannot be opened.
    pub async fn start(ports: Ports, file: Option<&Path>, forward_url: Option<&str>) -> Result<Self> {
        let taken = |name: &str, port: u16| match port {
            0 => name.to_owned(),
            port => format!("{name}, on port {port}"),
        };
        let secrets = SecretsManager::start_on(ports.secrets).await;
        let secrets = secrets.with_context(|| taken("the stand-in for Secrets Manager", ports.secrets))?;
        secrets.put("partner", &json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}).to_string());
        secrets.put("webhook-token", samples::TOKEN);
        secrets.put(FORWARD_SECRET_ID, samples::FORWARD_SECRET);
        let dynamodb = DynamoDb::start_on(ports.dynamodb, file).await;
        let dynamodb = dynamodb.with_context(|| taken("the embedded DynamoDB", ports.dynamodb))?;
        let queue = Sqs::start_on(ports.sqs, Rules::default()).await;
        let queue = Arc::new(queue.with_context(|| taken("the stand-in for SQS", ports.sqs))?);
        queue.set_rules(Name::Forward, FORWARD_QUEUE);
        let bus = EventBus::start_on(ports.event_bus).await;
        let bus = bus.with_context(|| taken("the stand-in for EventBridge", ports.event_bus))?;
        let consumer = match forward_url {
            Some(_) => None,
            None => {
                let consumer = Endpoint::start_on(ports.consumer, samples::FORWARD_SECRET).await;
                let consumer = consumer.with_context(|| taken("the sample consumer", ports.consumer))?;
                consumer.refuse_forged();
                Some(consumer)
            }
        };
        let forward_url = forward_url.map(str::to_owned).or_else(|| consumer.as_ref().map(Endpoint::url));
        let forward_url = forward_url.unwrap_or_default();
        let partner = Partner::start_on(ports.partner).await;
        let partner = partner.with_context(|| taken("the stand-in for the partner API", ports.partner))?;
        let cloudformation = CloudFormation::start_on(ports.cloudformation).await;
        let cloudformation =
            cloudformation.with_context(|| taken("the stand-in for CloudFormation", ports.cloudformation))?;
        Ok(Self { dynamodb, queue, partner, bus, consumer, forward_url, secrets, _cloudformation: cloudformation })
    }

    /// Brings the stand-ins, which forget everything, in line with the tables of an earlier run. The stream is published again from its start,
    /// so the counts of published events start again too. If our URL was registered last, it is registered, although the webhook's port or
    /// token may be another one.
    ///
    /// # Errors
    /// Fails if the tables cannot be read or written.
    pub async fn continue_run(&self, our_url: &str) -> Result<()> {
        let (client, table) = (self.dynamodb.client(), self.dynamodb.events_table());
        PublishedCounts::new(client.clone(), table).forget().await?;
        let registration = RegistrationLedger::new(client, table).read().await?;
        if registration.ours_at.is_some() && registration.elsewhere_since.is_none() {
            self.partner.register(Some(our_url));
        }
        Ok(())
    }

    /// Writes what is handed on into files of a folder: the entries on the event bus, and the calls of the sample consumer.
    ///
    /// # Errors
    /// Fails if a file cannot be created.
    pub fn log_to(&self, folder: &Path) -> Result<()> {
        self.bus.log_to(File::create(folder.join("event-bus.jsonl"))?);
        if let Some(consumer) = &self.consumer {
            consumer.log_to(File::create(folder.join("consumer.jsonl"))?);
        }
        Ok(())
    }

    /// Returns the environment of the functions, as template.yaml gives it on AWS; only the addresses and the grace period of a missed
    /// event differ. They reach
    /// DynamoDB at the first address, and know the webhook's as the second.
    pub fn environment(&self, dynamodb: &str, webhook: &str) -> Vec<(String, String)> {
        [
            ("EVENTS_TABLE", self.dynamodb.events_table()),
            ("SEALED_TABLE", self.dynamodb.sealed_table()),
            ("ALLOWED_SOURCE_IPS", ALLOWED_SOURCE_IPS),
            ("DEDUP_WINDOW_SECONDS", DEDUP_WINDOW_SECONDS),
            ("RETENTION_DAYS", RETENTION_DAYS),
            ("FINGERPRINT_KEY", "fingerprint-key-of-the-local-run"),
            ("PARTNER_API_BASE_URL", &self.partner.url()),
            ("PARTNER_SECRET_ID", "partner"),
            ("LINE_API_BASE_URL", &self.partner.line_api_url()),
            ("LINE_WEBHOOK_URL", LINE_WEBHOOK_URL),
            ("MISSED_AFTER_MINUTES", MISSED_AFTER_MINUTES),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
            ("WEBHOOK_URL", webhook),
            ("FALLBACK_QUEUE_URL", &self.queue.queue_url()),
            ("DEAD_LETTER_QUEUE_URL", &self.queue.dead_letter_queue_url()),
            ("EVENT_BUS_NAME", EVENT_BUS),
            ("PUBLISH_FAILURES_QUEUE_URL", &self.queue.url_of(Name::PublishFailures)),
            ("FORWARD_QUEUE_URL", &self.queue.url_of(Name::Forward)),
            ("FORWARD_DEAD_LETTER_QUEUE_URL", &self.queue.url_of(Name::ForwardDeadLetters)),
            ("FORWARD_URL", &self.forward_url),
            ("FORWARD_TIMEOUT_SECONDS", FORWARD_TIMEOUT_SECONDS),
            ("FORWARD_API_KEYS", "false"),
            ("FORWARD_SECRET_ID", FORWARD_SECRET_ID),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
            ("AWS_ENDPOINT_URL_SQS", &self.queue.url()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", &self.bus.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets.url()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Returns what the commands beside it need to know.
    pub fn run(&self, functions: SocketAddr, webhook: &str, registered: String) -> Run {
        Run {
            pid: getpid().as_raw_nonzero().get(),
            webhook: registered,
            address: webhook.to_owned(),
            partner_api: self.partner.url(),
            functions,
            dynamodb: self.dynamodb.url(),
            events_table: self.dynamodb.events_table().to_owned(),
            sealed_table: self.dynamodb.sealed_table().to_owned(),
            dedup_window_seconds: DEDUP_WINDOW_SECONDS.to_owned(),
            retention_days: RETENTION_DAYS.to_owned(),
            allowed_source_ips: ALLOWED_SOURCE_IPS.to_owned(),
            sqs: self.queue.url(),
            fallback_queue: self.queue.queue_url(),
            dead_letter_queue: self.queue.dead_letter_queue_url(),
            handing_on: Some(HandingOn {
                event_bridge: self.bus.url(),
                event_bus_name: EVENT_BUS.to_owned(),
                publish_failures_queue_url: self.queue.url_of(Name::PublishFailures),
                forward: Some(Forward {
                    secrets_manager: self.secrets.url(),
                    forward_url: self.forward_url.clone(),
                    forward_timeout_seconds: FORWARD_TIMEOUT_SECONDS.to_owned(),
                    forward_queue_url: self.queue.url_of(Name::Forward),
                    forward_dead_letter_queue_url: self.queue.url_of(Name::ForwardDeadLetters),
                    forward_secret_id: FORWARD_SECRET_ID.to_owned(),
                }),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::SystemTime};

    use shared::Timestamp;
    use store::Registration;

    use super::{super::functions::PORT, *};

    #[tokio::test]
    async fn a_continued_run_counts_its_stream_anew_and_has_its_url_registered_unless_another_was() {
        let now = Timestamp::from(SystemTime::now());
        for (elsewhere_since, registered) in [(None, Some("http://127.0.0.1:9000/token")), (Some(now), None)] {
            let surroundings = Surroundings::start(Ports::default(), None, None).await.unwrap();
            let (client, table) = (surroundings.dynamodb.client(), surroundings.dynamodb.events_table());
            let counts = PublishedCounts::new(client.clone(), table);
            counts.add("1", [now, now]).await.unwrap();
            let state = Registration { ours_at: Some(now), elsewhere_since, ..Registration::default() };
            RegistrationLedger::new(client, table).write(&state, &[]).await.unwrap();
            surroundings.continue_run("http://127.0.0.1:9000/token").await.unwrap();
            assert_eq!(counts.read(now, now).await.unwrap(), BTreeMap::new());
            assert_eq!(surroundings.partner.registered().as_deref(), registered);
        }
    }

    #[tokio::test]
    async fn plain_cargo_lambda_watch_gets_the_environment_of_the_surroundings() {
        let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
        let (_, section) = manifest.split_once("[workspace.metadata.lambda.env]\n").unwrap();
        let variables: BTreeMap<_, _> = section
            .lines()
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect();
        let surroundings = Surroundings::start(Ports::default(), None, None).await.unwrap();
        let environment =
            surroundings.environment(&surroundings.dynamodb.url(), &format!("http://127.0.0.1:{PORT}/v1/webhook"));
        let ports = [
            (surroundings.dynamodb.url(), FIXED_PORTS.dynamodb),
            (surroundings.queue.url(), FIXED_PORTS.sqs),
            (surroundings.secrets.url(), FIXED_PORTS.secrets),
            (surroundings.bus.url(), FIXED_PORTS.event_bus),
            (surroundings.forward_url.trim_end_matches("/events").to_owned(), FIXED_PORTS.consumer),
            (surroundings.partner.url().trim_end_matches("/api").to_owned(), FIXED_PORTS.partner),
        ];
        let fixed = |value: String| {
            ports.iter().fold(value, |value, (url, port)| value.replace(url, &format!("http://127.0.0.1:{port}")))
        };
        let expected = environment.into_iter().map(|(name, value)| (name, fixed(value))).collect();
        assert_eq!(variables, expected);
    }
}
