//! The surroundings of the functions: DynamoDB, SQS, EventBridge and Secrets Manager behind TLS, and an endpoint.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::{
    error::DisplayErrorContext,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use emulators::{
    dynamodb::DynamoDb,
    endpoint::Endpoint,
    event_bus::EventBus,
    runtime_api::Setup,
    secrets::SecretsManager,
    sqs::{Name, Rules, Sqs},
    table_stream::StreamMapping,
};
use outbound::OVERLAP;
use serde_json::{Value, json};
use shared::{EventId, FingerprintKey, Secret, Timestamp, TokenHash};
use store::{AcceptedTokens, Delivery, Reader, Recorder, Settings, StoredDelivery};

use crate::{
    front::{Front, Mode},
    function::{BuiltFunction, Role},
    input::{TOKEN, received},
    tls::Authority,
};

/// The files with the system's root certificates: Debian's, then Amazon Linux's.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// About as long as Lambda's.
const SESSION_TOKEN: usize = 900;

/// Length of the text that stands for a signature or an event in the floors' requests.
const TEXT: usize = 300;

/// The root certificates that our functions trust on Lambda.
const AMAZON_TRUST_SERVICES: &str = include_str!("../../lambda/src/amazon_trust_services.pem");

/// The table of the peers' events, and that of Powertools.
const PEERS: [(&str, &[&str]); 2] = [("peers", &["pk", "sk"]), ("idempotency", &["id"])];
const SIGNING_SECRET_ID: &str = "forward";
const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FINGERPRINT_KEY: &str = "a key for measurements only";

/// The surroundings of the functions.
pub struct World {
    /// The embedded DynamoDB.
    pub dynamodb: DynamoDb,
    /// The way to it.
    pub to_dynamodb: Front,
    /// The queues.
    pub sqs: Sqs,
    to_sqs: Front,
    to_bus: Front,
    _bus: EventBus,
    to_secrets: Front,
    _secrets: SecretsManager,
    endpoint: Endpoint,
    recorder: Recorder,
    stream: Mutex<StreamMapping>,
    folder: PathBuf,
}

impl World {
    /// Starts them. The files that functions read are written into the folder.
    ///
    /// # Errors
    /// Fails when no port is free, or the folder cannot be written.
    pub async fn start(folder: &Path) -> Result<Self> {
        let authority = Authority::new()?;
        fs::create_dir_all(folder)?;
        authority.write(&folder.join("authority.pem"))?;
        authority.write_behind(&system_roots(), &folder.join("roots.pem"))?;
        authority.write_behind(AMAZON_TRUST_SERVICES, &folder.join("amazon.pem"))?;
        let dynamodb = DynamoDb::start().await?;
        for (table, keys) in PEERS {
            create_table(&dynamodb, table, keys).await?;
        }
        let tokens = AcceptedTokens::new(dynamodb.client(), dynamodb.events_table());
        let long_ago: Timestamp = "2026-01-01T00:00:00.000000Z".parse().context("a time is no time")?;
        tokens.accept(&TokenHash::of(TOKEN), long_ago).await?;
        let sqs = Sqs::start(Rules::default()).await?;
        let bus = EventBus::start().await?;
        let secrets = SecretsManager::start().await?;
        secrets.put(SIGNING_SECRET_ID, SIGNING_SECRET);
        // As long as a replaced secret is in use, for a day, the forwarder reads it too.
        secrets.age(SIGNING_SECRET_ID, OVERLAP);
        let settings = Settings {
            events_table: dynamodb.events_table().to_owned(),
            sealed_table: dynamodb.sealed_table().to_owned(),
            dedup_window: Duration::from_secs(600),
            retention: None,
        };
        Ok(Self {
            to_bus: Front::start(&bus.url(), authority.acceptor()).await?,
            _bus: bus,
            to_secrets: Front::start(&secrets.url(), authority.acceptor()).await?,
            _secrets: secrets,
            endpoint: Endpoint::start(SIGNING_SECRET).await?,
            recorder: Recorder::new(dynamodb.client(), settings),
            stream: Mutex::new(dynamodb.publisher_stream()?),
            to_dynamodb: Front::start(&dynamodb.url(), authority.acceptor()).await?,
            to_sqs: Front::start(&sqs.url(), authority.acceptor()).await?,
            dynamodb,
            sqs,
            folder: folder.to_owned(),
        })
    }

    /// Sets what happens to requests to AWS from now on.
    pub fn set_mode(&self, mode: Mode) {
        [&self.to_dynamodb, &self.to_sqs, &self.to_bus, &self.to_secrets].iter().for_each(|front| front.set_mode(mode));
    }

    /// Records a delivery that is received now, as the receiver does.
    ///
    /// # Errors
    /// Fails when it cannot be recorded.
    pub async fn record(&self, body: &Value) -> Result<StoredDelivery> {
        let delivery = Delivery::decode(&received(body), &FingerprintKey::new(Secret::new(FINGERPRINT_KEY))?);
        self.recorder.record(&delivery).await?;
        self.delivery(&delivery.id).await
    }

    /// Reads a recorded delivery.
    ///
    /// # Errors
    /// Fails when it is not there.
    pub async fn delivery(&self, id: &EventId) -> Result<StoredDelivery> {
        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        reader.delivery(id).await?.context("the delivery is not there")
    }

    /// Returns the stream's record of a delivery that was recorded last. Earlier records are dropped.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn stream_record(&self, id: &EventId) -> Result<Value> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(batch) = stream.batch()? {
            stream.settle(Some(&Value::Null));
            let is_its = |record: &&Value| record["dynamodb"]["Keys"]["sk"]["S"] == format!("event#{id}");
            let records = batch["Records"].as_array().into_iter().flatten();
            if let Some(record) = records.rev().find(is_its) {
                return Ok(record.clone());
            }
        }
        bail!("the stream has no record of {id}")
    }

    /// Returns the next new events of the stream, as the publisher gets them. They are not returned again.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn stream_batch(&self) -> Result<Option<Value>> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = stream.batch()?;
        stream.settle(Some(&Value::Null));
        Ok(batch)
    }

    /// Drops the records that the stream has, and the messages of the forward queue.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn skip(&self) -> Result<()> {
        while self.stream_batch()?.is_some() {}
        loop {
            let taken = self.sqs.take_from(Name::Forward, 10);
            if taken.is_empty() {
                return Ok(());
            }
            self.sqs.settle(&taken, Some(&json!({ "batchItemFailures": [] })));
        }
    }

    /// Returns how to run a function.
    pub fn setup(&self, function: &BuiltFunction) -> Setup {
        let own = match &function.role {
            Role::Receiver => self.of_ours(&[("ALLOWED_SOURCE_IPS", "34.165.99.212/32")]),
            Role::Redrive => self.of_ours(&[]),
            Role::Publisher => self.of_ours(&[
                ("EVENT_BUS_NAME", "bench"),
                ("PUBLISH_FAILURES_QUEUE_URL", &self.sqs.url_of(Name::PublishFailures)),
                ("FORWARD_QUEUE_URL", &self.sqs.url_of(Name::Forward)),
                ("AWS_ENDPOINT_URL_EVENTBRIDGE", self.to_bus.url()),
            ]),
            Role::Forwarder => self.of_ours(&[
                ("FORWARD_URL", &self.endpoint.url()),
                ("FORWARD_TIMEOUT_SECONDS", "10"),
                ("FORWARD_API_KEYS", "false"),
                ("FORWARD_QUEUE_URL", &self.sqs.url_of(Name::Forward)),
                ("FORWARD_DEAD_LETTER_QUEUE_URL", &self.sqs.url_of(Name::ForwardDeadLetters)),
                ("FORWARD_SECRET_ID", SIGNING_SECRET_ID),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.to_secrets.url()),
            ]),
            Role::PublisherFloor => self.of_ours(&[("CALLS", &self.publishers_calls().to_string())]),
            Role::ForwarderFloor => self.of_ours(&[("CALLS", &self.forwarders_calls().to_string())]),
            Role::Rust => self.of_a_peer(&[("SSL_CERT_FILE", &self.file("roots.pem"))]),
            Role::Python(python) => self.of_a_peer(&[
                ("AWS_CA_BUNDLE", &self.file("roots.pem")),
                ("PYTHON", &python.to_string_lossy()),
                // pip has compiled the packages already, and the peer's folder stays unchanged.
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ]),
            Role::Node(node, handler) => self.of_a_peer(&[
                // It has the public roots in its binary.
                ("NODE_EXTRA_CA_CERTS", &self.file("authority.pem")),
                ("NODE", &node.to_string_lossy()),
                ("HANDLER", &handler.to_string_lossy()),
            ]),
        };
        self.of_binary(&function.binary, own)
    }

    fn of_ours(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [
            ("EVENTS_TABLE", self.dynamodb.events_table()),
            ("SEALED_TABLE", self.dynamodb.sealed_table()),
            ("FALLBACK_QUEUE_URL", &self.sqs.queue_url()),
            ("DEDUP_WINDOW_SECONDS", "600"),
            ("RETENTION_DAYS", "365"),
            ("FINGERPRINT_KEY", FINGERPRINT_KEY),
            ("AWS_ENDPOINT_URL_SQS", self.to_sqs.url()),
            ("AWS_CA_BUNDLE", &self.file("amazon.pem")),
            // As the template has it.
            ("METRICS_NAMESPACE", "bench"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ];
        all.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The calls of the publisher's floor: the services of the publisher, in its order.
    fn publishers_calls(&self) -> Value {
        json!([
            call(
                self.to_bus.url(),
                "AWSEvents.PutEvents",
                &json!({ "Entries": [
                { "EventBusName": "bench", "Source": "floor", "DetailType": "floor", "Detail": json!({ "text": "e".repeat(TEXT) }).to_string() },
            ] })
            ),
            call(self.to_sqs.url(), "AmazonSQS.GetQueueAttributes", &json!({ "QueueUrl": self.sqs.queue_url() })),
            self.read_item(),
        ])
    }

    /// The calls of the forwarder's floor: the services of the forwarder, in its order.
    fn forwarders_calls(&self) -> Value {
        json!([
            call(self.to_secrets.url(), "secretsmanager.GetSecretValue", &json!({ "SecretId": SIGNING_SECRET_ID })),
            self.read_item(),
            { "url": self.endpoint.url(), "headers": {}, "body": { "text": "e".repeat(TEXT) } },
            self.read_item(),
        ])
    }

    /// A request to DynamoDB for an item that is not there.
    fn read_item(&self) -> Value {
        let key = json!({ "pk": { "S": "floor" }, "sk": { "S": "floor" } });
        call(self.to_dynamodb.url(), "DynamoDB_20120810.GetItem", &json!({ "TableName": "peers", "Key": key }))
    }

    fn of_a_peer(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [("TABLE", "peers"), ("IDEMPOTENCY_TABLE", "idempotency"), ("AWS_DEFAULT_REGION", "us-east-1")];
        all.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn of_binary(&self, binary: &Path, mut environment: Vec<(String, String)>) -> Setup {
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.to_dynamodb.url().to_owned()));
        // It goes with every request, and into its signature.
        environment.push(("AWS_SESSION_TOKEN".to_owned(), "t".repeat(SESSION_TOKEN)));
        Setup { binary: binary.to_owned(), environment, timeout: Duration::from_secs(30) }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

/// Returns a call to a service of AWS, with headers of about the usual length.
fn call(url: &str, target: &str, body: &Value) -> Value {
    json!({ "url": url, "body": body, "headers": {
        "content-type": "application/x-amz-json-1.0", "x-amz-target": target, "authorization": "s".repeat(TEXT),
        "x-amz-security-token": "t".repeat(SESSION_TOKEN),
    } })
}

/// Returns the system's root certificates; empty without such a file.
fn system_roots() -> String {
    SYSTEM_ROOTS.iter().find_map(|roots| fs::read_to_string(roots).ok()).unwrap_or_default()
}

async fn create_table(dynamodb: &DynamoDb, name: &str, keys: &[&str]) -> Result<()> {
    let mut create = dynamodb.client().create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        create = create
            .key_schema(KeySchemaElement::builder().attribute_name(*key).key_type(kind).build()?)
            .attribute_definitions(
                AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S).build()?,
            );
    }
    create.send().await.map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)))?;
    Ok(())
}
