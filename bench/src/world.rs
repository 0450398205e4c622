//! The surroundings of the functions: DynamoDB and SQS behind TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::{
    error::DisplayErrorContext,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use emulators::{
    dynamodb::DynamoDb,
    runtime_api::Setup,
    sqs::{Rules, Sqs},
};
use shared::{Timestamp, TokenHash};
use store::AcceptedTokens;

use crate::{
    front::Front,
    function::{BuiltFunction, Role},
    input::TOKEN,
    tls::Authority,
};

/// The files with the system's root certificates: Debian's, then Amazon Linux's.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// About as long as Lambda's.
const SESSION_TOKEN: usize = 900;

/// The root certificates that our functions trust on Lambda.
const AMAZON_TRUST_SERVICES: &str = include_str!("../../lambda/src/amazon_trust_services.pem");

/// The table of the peers' events, and that of Powertools.
const PEERS: [(&str, &[&str]); 2] = [("peers", &["pk", "sk"]), ("idempotency", &["id"])];
const FINGERPRINT_KEY: &str = "a key for measurements only";

/// The surroundings of the functions.
pub struct World {
    /// The embedded DynamoDB.
    pub dynamodb: DynamoDb,
    /// The way to it.
    pub to_dynamodb: Front,
    sqs: Sqs,
    to_sqs: Front,
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
        Ok(Self {
            to_dynamodb: Front::start(&dynamodb.url(), authority.acceptor()).await?,
            to_sqs: Front::start(&sqs.url(), authority.acceptor()).await?,
            dynamodb,
            sqs,
            folder: folder.to_owned(),
        })
    }

    /// Returns how to run a function.
    pub fn setup(&self, function: &BuiltFunction) -> Setup {
        let own = match &function.role {
            Role::Receiver => self.of_ours(&[("ALLOWED_SOURCE_IPS", "34.165.99.212/32")]),
            Role::Redrive => self.of_ours(&[]),
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
