use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use lambda_runtime::Diagnostic;
use local::{
    dynamodb::DynamoDb,
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    secrets::SecretsManager,
};
use serde_json::{Value, json};
use shared::Timestamp;
use startup::Environment;
use store::AcceptedTokens;
use sync::{Config, Limits, Report, SyncError, WebhookSync};

pub const TOKEN: &str = "Webhook-Token-0123456789";
pub const OURS: &str = "https://hooks.example.com/v1/webhook/Webhook-Token-0123456789";
pub const OURS_MASKED: &str = "https://hooks.example.com/v1/webhook/***2b72";
pub const FOREIGN: &str = "https://other.example/in/Foreign-Token-9876543210";
const NOWHERE: &str = "http://127.0.0.1:1";
pub const FIXED_ACCESS_TOKEN: &str = "Fixed-Access-Token-5555";

/// Short where a test has to sit it out, else long enough for a slow machine.
pub const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), call: Duration::from_secs(10), settle: Duration::ZERO };

/// The function and everything around it.
pub struct World {
    pub partner: Partner,
    pub secrets: SecretsManager,
    pub dynamodb: DynamoDb,
    pub sync: WebhookSync,
    pub now: Timestamp,
    log: Log,
    _logging: tracing::subscriber::DefaultGuard,
}

impl World {
    /// Good credentials, a good token, and nothing registered.
    pub async fn start() -> Self {
        let partner = Partner::start().await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        let dynamodb = DynamoDb::start().await.unwrap();
        let log = Log::default();
        let writer = log.clone();
        let lines = startup::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        let logging = tracing::subscriber::set_default(lines);
        let sync = WebhookSync::new(config(&partner.url()), LIMITS, secrets.client(), dynamodb.client());
        let now = SystemTime::now().into();
        Self { partner, secrets, dynamodb, sync, now, log, _logging: logging }
    }

    /// Starts the function anew, as Lambda does, with other limits.
    pub fn restart(&mut self, limits: Limits) {
        let config = config(&self.partner.url());
        self.sync = WebhookSync::new(config, limits, self.secrets.client(), self.dynamodb.client());
    }

    /// Starts the function anew, with another base URL of the partner API.
    pub fn restart_with_api_at(&mut self, url: &str) {
        self.sync = WebhookSync::new(config(url), LIMITS, self.secrets.client(), self.dynamodb.client());
    }

    /// Starts the function anew, with nobody where DynamoDB should be.
    pub fn restart_without_dynamodb(&mut self) {
        let config = self.dynamodb.client().config().to_builder();
        let nowhere = config.endpoint_url(NOWHERE).retry_config(RetryConfig::disabled()).build();
        let nowhere = aws_sdk_dynamodb::Client::from_conf(nowhere);
        self.sync = WebhookSync::new(self::config(&self.partner.url()), LIMITS, self.secrets.client(), nowhere);
    }

    /// Starts the function anew, with nobody where Secrets Manager should be.
    pub fn restart_without_secrets_manager(&mut self) {
        let config = self.secrets.client().config().to_builder();
        let nowhere = config.endpoint_url(NOWHERE).build();
        let nowhere = aws_sdk_secretsmanager::Client::from_conf(nowhere);
        self.sync = WebhookSync::new(self::config(&self.partner.url()), LIMITS, nowhere, self.dynamodb.client());
    }

    /// Sends an event to the function, and checks that neither its answer nor its log has a secret in it.
    pub async fn send(&self, event: Value) -> Result<Report, SyncError> {
        let result = self.sync.handle(event, self.now).await;
        let mut shown = format!("{result:?}\n{}\n", self.log().join("\n"));
        match &result {
            Ok(report) => shown.push_str(&serde_json::to_string(report).unwrap()),
            Err(error) => shown.push_str(&error.to_string()),
        }
        let mut secrets = self.partner.access_tokens();
        secrets.extend([TOKEN, CLIENT_ID, CLIENT_SECRET, FIXED_ACCESS_TOKEN, "Foreign-Token"].map(str::to_owned));
        for secret in secrets {
            assert!(!shown.contains(&secret), "{secret} is in\n{shown}");
        }
        result
    }

    /// Sends an action to the function.
    pub async fn run(&self, action: &str) -> Result<Report, SyncError> {
        self.send(json!({ "action": action })).await
    }

    /// The name of the cause by which an action fails.
    pub async fn cause(&self, action: &str) -> &'static str {
        self.run(action).await.unwrap_err().cause()
    }

    /// Whether the receiver would let a caller with our token in.
    pub async fn token_is_accepted(&self) -> bool {
        let accepted = AcceptedTokens::new(self.dynamodb.client(), self.dynamodb.events_table());
        let ours = shared::TokenHash::of(TOKEN);
        accepted.read().await.unwrap().iter().any(|hash| hash.matches(&ours))
    }

    /// The lines that the function has logged, each a JSON object.
    pub fn log(&self) -> Vec<String> {
        let log = self.log.0.lock().unwrap();
        String::from_utf8_lossy(&log).lines().map(str::to_owned).collect()
    }

    /// The line that the function has logged last.
    pub fn last_line(&self) -> Value {
        serde_json::from_str(self.log().last().unwrap()).unwrap()
    }
}

/// What was logged in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error as Lambda hands it to the caller.
pub fn as_lambda_error(error: SyncError) -> Value {
    serde_json::to_value(Diagnostic::from(error)).unwrap()
}

fn config(partner_api: &str) -> Config {
    let environment = Environment::from([
        ("PARTNER_API_BASE_URL", partner_api),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", "https://hooks.example.com/v1/webhook"),
        ("EVENTS_TABLE", "events"),
    ]);
    Config::read(&environment).unwrap()
}
