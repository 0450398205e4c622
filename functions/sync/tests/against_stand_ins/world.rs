use std::time::{Duration, Instant, SystemTime};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use emulators::{
    cloudformation::CloudFormation,
    cloudwatch::CloudWatch,
    dynamodb::DynamoDb,
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    secrets::SecretsManager,
    sqs::{self, Rules, Sqs},
};
use fixtures::Log;
use futures_util::TryStreamExt;
use lambda::{Environment, Metrics};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use shared::{Timestamp, TokenHash};
use store::{AcceptedTokens, Change, ChangeKind, Listing, Order, Registration, RegistrationLedger};
use sync::{Answer, Config, Invocation, Limits, RANDOM, Report, Resolved, SyncError, WebhookSync};

pub const TOKEN: &str = "Webhook-Token-0123456789";
pub const ADDRESS: &str = "https://hooks.example.com/v1/webhook";
pub const OURS: &str = "https://hooks.example.com/v1/webhook/Webhook-Token-0123456789";
pub const OURS_MASKED: &str = "https://hooks.example.com/v1/webhook/***2b72";
pub const FOREIGN: &str = "https://other.example/in/Foreign-Token-9876543210";
const FINGERPRINT_KEY: &str = "Fingerprint-Key-of-the-Tests";
const NOWHERE: &str = "http://127.0.0.1:1";
pub const FIXED_ACCESS_TOKEN: &str = "Fixed-Access-Token-5555";

/// Short where a test waits for them, otherwise long enough for a slow machine.
pub const LIMITS: Limits = Limits {
    partner: partner::Limits { connect: Duration::from_secs(5), call: Duration::from_secs(10) },
    settle: Duration::ZERO,
    lease_margin: Duration::from_secs(6),
};

/// The function and everything around it.
pub struct World {
    pub partner: Partner,
    pub secrets: SecretsManager,
    pub dynamodb: DynamoDb,
    pub sqs: Sqs,
    pub cloudformation: CloudFormation,
    pub cloudwatch: CloudWatch,
    pub sync: WebhookSync,
    /// Start of the next run, not counting the duration of earlier runs.
    pub now: Timestamp,
    began: Instant,
    settings: Vec<(&'static str, &'static str)>,
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
        let cloudformation = CloudFormation::start().await.unwrap();
        let log = Log::default();
        let writer = log.clone();
        let lines = lambda::log_subscriber(Some("JSON"), Some("TRACE"), move || writer.clone());
        let logging = tracing::subscriber::set_default(lines);
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let cloudwatch = CloudWatch::default();
        let config = config(&partner.url(), &sqs, &[]);
        let (queues, metrics) = (sqs::client(&sqs.url()), metrics(&cloudwatch));
        let sync = WebhookSync::new(config, LIMITS, secrets.client(), dynamodb.client(), queues, metrics);
        let now = SystemTime::now().into();
        let settings = Vec::new();
        let began = Instant::now();
        Self {
            partner,
            secrets,
            dynamodb,
            sqs,
            cloudformation,
            cloudwatch,
            sync,
            now,
            began,
            settings,
            log,
            _logging: logging,
        }
    }

    /// The same, with these environment variables beside the usual ones.
    pub async fn start_with(settings: &[(&'static str, &'static str)]) -> Self {
        let mut world = Self::start().await;
        world.configure(settings);
        world
    }

    /// Starts the function again, as Lambda does, with other limits.
    pub fn restart(&mut self, limits: Limits) {
        self.sync = self.process(limits);
    }

    /// Returns another process of the function.
    pub fn process(&self, limits: Limits) -> WebhookSync {
        self.process_with_api_at(&self.partner.url(), limits)
    }

    /// Returns another process of the function, with another base URL of the partner API.
    pub fn process_with_api_at(&self, url: &str, limits: Limits) -> WebhookSync {
        self.process_with(url, limits, self.secrets.client(), self.dynamodb.client())
    }

    fn process_with(
        &self,
        partner_api: &str,
        limits: Limits,
        secrets: aws_sdk_secretsmanager::Client,
        dynamodb: aws_sdk_dynamodb::Client,
    ) -> WebhookSync {
        let config = config(partner_api, &self.sqs, &self.settings);
        let sqs = sqs::client(&self.sqs.url());
        WebhookSync::new(config, limits, secrets, dynamodb, sqs, metrics(&self.cloudwatch))
    }

    /// Starts the function again, with another base URL of the partner API.
    pub fn restart_with_api_at(&mut self, url: &str) {
        self.sync = self.process_with_api_at(url, LIMITS);
    }

    /// Starts the function again, with a closed port as DynamoDB.
    pub fn restart_without_dynamodb(&mut self) {
        self.restart_with_dynamodb_at(NOWHERE);
    }

    /// Starts the function again, with DynamoDB at another address.
    pub fn restart_with_dynamodb_at(&mut self, url: &str) {
        let there = self.dynamodb.client().config().to_builder();
        let there = there.endpoint_url(url).retry_config(RetryConfig::disabled()).build();
        let there = aws_sdk_dynamodb::Client::from_conf(there);
        self.sync = self.process_with(&self.partner.url(), LIMITS, self.secrets.client(), there);
    }

    /// Starts the function again, with a closed port as Secrets Manager.
    pub fn restart_without_secrets_manager(&mut self) {
        let nowhere = self.secrets.client().config().to_builder();
        let nowhere = aws_sdk_secretsmanager::Client::from_conf(nowhere.endpoint_url(NOWHERE).build());
        self.sync = self.process_with(&self.partner.url(), LIMITS, nowhere, self.dynamodb.client());
    }

    /// Starts the function again, with these environment variables beside the usual ones.
    pub fn configure(&mut self, settings: &[(&'static str, &'static str)]) {
        self.settings = settings.to_vec();
        self.restart(LIMITS);
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Sends an event to the function, and checks that neither its answer nor its log nor the events table has a secret in it.
    pub async fn send(&self, event: Value) -> Result<Report, SyncError> {
        match self.invoke(event).await? {
            Answer::Report(report) => Ok(report),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request of CloudFormation to the function. Returns its answer, and its message to CloudFormation.
    pub async fn send_request(&self, kind: &str, register: &str) -> (Result<Resolved, SyncError>, Value) {
        let result = self.invoke(self.request(kind, register)).await.map(|answer| match answer {
            Answer::Resolved(resolved) => resolved,
            other => panic!("{other:?}"),
        });
        let [told] = self.cloudformation.take_answers().try_into().unwrap();
        (result, told)
    }

    /// A request as CloudFormation sends it.
    pub fn request(&self, kind: &str, register: &str) -> Value {
        json!({
            "RequestType": kind,
            "ResponseURL": self.cloudformation.response_url(),
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Registration",
            "ResourceType": "Custom::WebhookRegistration",
            "ResourceProperties": { "ServiceToken": "arn:aws:lambda:…", "RegisterOnDeploy": register },
        })
    }

    pub async fn invoke(&self, event: Value) -> Result<Answer, SyncError> {
        self.invoke_at(&self.sync, event).await
    }

    /// Sends an event to a process of the function.
    pub async fn invoke_at(&self, sync: &WebhookSync, event: Value) -> Result<Answer, SyncError> {
        self.invoke_within(sync, event, Duration::from_secs(120)).await
    }

    /// Invokes the function with a time limit, as Lambda sets one.
    pub async fn invoke_within(
        &self,
        sync: &WebhookSync,
        event: Value,
        time_left: Duration,
    ) -> Result<Answer, SyncError> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).unwrap();
        let now = self.now.plus(self.began.elapsed());
        let result = sync.handle(Invocation { event, now, time_left, random }).await;
        let mut shown = format!("{result:?}\n{}\n{:?}\n", self.log().join("\n"), self.cloudwatch.lines().unwrap());
        match &result {
            Ok(answer) => shown.push_str(&serde_json::to_string(answer).unwrap()),
            Err(error) => shown.push_str(&error.to_string()),
        }
        let events = self.dynamodb.client().scan().table_name(self.dynamodb.events_table()).send().await.unwrap();
        shown.push_str(&format!("{:?}", events.items()));
        let mut secrets = self.partner.access_tokens();
        secrets.extend(self.secrets.values("webhook-token"));
        secrets.extend(
            [
                TOKEN,
                CLIENT_ID,
                CLIENT_SECRET,
                FIXED_ACCESS_TOKEN,
                FINGERPRINT_KEY,
                "Foreign-Token",
                "X-Amz-Signature",
                "Line-Key",
                "Line-Secret",
            ]
            .map(str::to_owned),
        );
        for secret in secrets.iter().filter(|secret| secret.len() > 5) {
            assert!(!shown.contains(secret), "{secret} is in\n{shown}");
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

    /// Returns whether the receiver would accept a call with our token.
    pub async fn token_is_accepted(&self) -> bool {
        self.is_accepted(TOKEN, self.now).await
    }

    /// Returns whether the receiver would accept a call with a token at a time.
    pub async fn is_accepted(&self, token: &str, at: Timestamp) -> bool {
        let accepted = AcceptedTokens::new(self.dynamodb.client(), self.dynamodb.events_table());
        accepted.read().await.unwrap().iter().any(|accepted| accepted.lets_in(&TokenHash::of(token), at))
    }

    /// Returns whether the receiver accepts calls of the registered URL: it is our address with an accepted token.
    pub async fn registered_url_is_let_in(&self) -> bool {
        let registered = self.partner.registered().unwrap_or_default();
        match registered.strip_prefix(&format!("{ADDRESS}/")) {
            Some(token) => self.is_accepted(token, self.now).await,
            None => false,
        }
    }

    /// Returns the sum of a metric, in total (`Drift`) or by the cause (`SyncFailed WrongCredentials`).
    pub fn sum(&self, metric: &str) -> f64 {
        let (name, cause) = metric.split_once(' ').map_or((metric, None), |(name, cause)| (name, Some(cause)));
        self.cloudwatch.sum(name, cause.map(|cause| ("Cause", cause))).unwrap()
    }

    /// Returns the state of the registration.
    pub async fn registration(&self) -> Registration {
        self.stored_ledger().read().await.unwrap()
    }

    /// Returns all ledger entries, oldest first.
    pub async fn changes(&self) -> Vec<Change> {
        let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: 1_000 };
        self.stored_ledger().changes(&listing).try_collect().await.unwrap()
    }

    /// The kinds of everything in the ledger.
    pub async fn ledger(&self) -> Vec<ChangeKind> {
        self.changes().await.iter().map(|change| change.kind).collect()
    }

    fn stored_ledger(&self) -> RegistrationLedger {
        RegistrationLedger::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    /// The lines that the function has logged, each a JSON object.
    pub fn log(&self) -> Vec<String> {
        self.log.text().lines().map(str::to_owned).collect()
    }

    /// The line that the function has logged last.
    pub fn last_line(&self) -> Value {
        serde_json::from_str(self.log().last().unwrap()).unwrap()
    }
}

/// An error as Lambda hands it to the caller.
pub fn as_lambda_error(error: SyncError) -> Value {
    serde_json::to_value(Diagnostic::from(error)).unwrap()
}

fn metrics(cloudwatch: &CloudWatch) -> Metrics {
    Metrics::read(&Environment::from([]), cloudwatch.clone()).unwrap()
}

fn config(partner_api: &str, sqs: &Sqs, settings: &[(&str, &str)]) -> Config {
    let mut environment = Environment::from([
        ("PARTNER_API_BASE_URL", partner_api),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", ADDRESS),
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("FINGERPRINT_KEY", FINGERPRINT_KEY),
        ("FALLBACK_QUEUE_URL", &sqs.queue_url()),
        ("DEAD_LETTER_QUEUE_URL", &sqs.dead_letter_queue_url()),
        ("DEDUP_WINDOW_SECONDS", "600"),
        ("RETENTION_DAYS", "365"),
        ("LINE_API_BASE_URL", &format!("{}/whatsapp/v2", partner_api.trim_end_matches("/api"))),
    ]);
    environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::read(&environment).unwrap()
}
