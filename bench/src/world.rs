//! What the functions have around them: DynamoDB, SQS and Secrets Manager behind TLS, and the partner API.

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
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    runtime_api::Setup,
    secrets::SecretsManager,
    sqs::{Rules, Sqs},
};
use serde_json::json;
use shared::{Timestamp, TokenHash};
use store::AcceptedTokens;

use crate::{
    front::Front,
    function::{BuiltFunction, Role},
    input::TOKEN,
    tls::Authority,
};

/// Where Linux distributions keep the roots that programs trust; the first is Debian's, the second Amazon Linux's.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// About as long as Lambda's.
const SESSION_TOKEN: usize = 900;

/// What our functions trust on Lambda.
const AMAZON_TRUST_SERVICES: &str = include_str!("../../lambda/src/amazon_trust_services.pem");

/// The table of the peers' events, and that of Powertools.
const PEERS: [(&str, &[&str]); 2] = [("peers", &["pk", "sk"]), ("idempotency", &["id"])];
/// The address of the webhook, as sync registers it.
const ADDRESS: &str = "https://hooks.example.com/v1/webhook";
const FINGERPRINT_KEY: &str = "a key for measurements only";

/// Everything around the functions.
pub struct World {
    /// The embedded DynamoDB.
    pub dynamodb: DynamoDb,
    /// The way to it.
    pub to_dynamodb: Front,
    /// The way to Secrets Manager.
    pub to_secrets: Front,
    /// The way to the partner API, which is without TLS.
    pub to_partner: Front,
    /// Who has signed the certificates.
    pub authority: Authority,
    sqs: Sqs,
    to_sqs: Front,
    _secrets: SecretsManager,
    _partner: Partner,
    folder: PathBuf,
}

impl World {
    /// Starts it; files that functions read go into the folder.
    ///
    /// # Errors
    /// When no port is to be had, or the folder cannot be written.
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
        let secrets = SecretsManager::start().await?;
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        let partner = Partner::start().await?;
        Ok(Self {
            to_dynamodb: Front::with_tls(&dynamodb.url(), authority.acceptor()).await?,
            to_sqs: Front::with_tls(&sqs.url(), authority.acceptor()).await?,
            to_secrets: Front::with_tls(&secrets.url(), authority.acceptor()).await?,
            to_partner: Front::without_tls(&partner.url()).await?,
            authority,
            dynamodb,
            sqs,
            _secrets: secrets,
            _partner: partner,
            folder: folder.to_owned(),
        })
    }

    /// How a function is run here.
    pub fn setup(&self, function: &BuiltFunction) -> Setup {
        let own = match &function.role {
            Role::Receiver => self.of_ours(&[("ALLOWED_SOURCE_IPS", "34.165.99.212/32")]),
            Role::Redrive => self.of_ours(&[]),
            Role::Rust => self.of_a_peer(&[("SSL_CERT_FILE", &self.file("roots.pem"))]),
            Role::Python(python) => self.of_a_peer(&[
                ("AWS_CA_BUNDLE", &self.file("roots.pem")),
                ("PYTHON", &python.to_string_lossy()),
                // What pip has installed is compiled already, and the peer's folder stays as it is.
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

    /// How sync is run here.
    pub fn setup_of_sync(&self, binary: &Path) -> Setup {
        let own = self.of_ours(&[
            ("PARTNER_API_BASE_URL", &format!("{}/api", self.to_partner.url())),
            ("PARTNER_SECRET_ID", "partner"),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
            ("WEBHOOK_URL", ADDRESS),
            // The token is as old as the year, and stays.
            ("TOKEN_MAX_AGE_DAYS", "0"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.to_secrets.url()),
        ]);
        self.of_binary(binary, own)
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

    /// How many deliveries went to the fallback queue so far.
    pub fn queued(&self) -> usize {
        self.sqs.queued().len()
    }
}

/// What the system trusts; nothing where it has no such file.
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
