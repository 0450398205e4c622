use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use emulators::{
    dynamodb::DynamoDb,
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    secrets::SecretsManager,
    sqs::{Rules, Sqs},
};
use lambda::{Environment, Metrics};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use store::RegistrationLedger;
use sync::{Config, Invocation, Limits, RANDOM, WebhookSync};
use tokio::{
    net::TcpListener,
    process::Child,
    sync::{mpsc, oneshot},
};

use crate::program::{self, Ended, hooks, project, run};

pub const TOKEN: &str = "Webhook-Token-0123456789";
pub const ADDRESS: &str = "https://hooks.example.com/v1/webhook";
pub const OURS: &str = "https://hooks.example.com/v1/webhook/Webhook-Token-0123456789";
pub const FOREIGN: &str = "https://other.example/in/Foreign-Token-9876543210";

const LIMITS: Limits = Limits {
    partner: partner::Limits { connect: Duration::from_secs(5), call: Duration::from_secs(10) },
    settle: Duration::ZERO,
    lease_margin: Duration::from_secs(6),
};

/// A local run, as `hooks dev` leaves it for the commands beside it, with the function sync and everything that it needs.
pub struct World {
    pub partner: Partner,
    pub secrets: SecretsManager,
    pub dynamodb: DynamoDb,
    pub sqs: Sqs,
    /// Where Lambda and CloudFormation are.
    pub aws: String,
    pub project: PathBuf,
}

impl World {
    /// A run with nothing registered. Each test has a project folder of its own, by this name.
    pub async fn start(name: &str) -> Self {
        Self::with_mode(name, "enforce").await
    }

    /// The same, where sync registers our URL only on request.
    pub async fn observing(name: &str) -> Self {
        Self::with_mode(name, "observe").await
    }

    async fn with_mode(name: &str, mode: &str) -> Self {
        let partner = Partner::start().await.unwrap();
        let secrets = SecretsManager::start().await.unwrap();
        secrets.put("partner", &json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }).to_string());
        secrets.put("webhook-token", TOKEN);
        let dynamodb = DynamoDb::start().await.unwrap();
        let sqs = Sqs::start(Rules::default()).await.unwrap();
        let functions = serve_sync(&partner, &secrets, &dynamodb, &sqs, mode).await;
        let project = project(name);
        program::remember(&project, (ADDRESS, &partner.url()), functions, &dynamodb, &sqs);
        Self { partner, secrets, dynamodb, sqs, aws: format!("http://{functions}"), project }
    }

    /// Runs `hooks webhook` with these arguments, and checks that no secret is shown.
    pub async fn webhook(&self, arguments: &[&str]) -> Ended {
        self.hooks(&[&["webhook"], arguments].concat()).await
    }

    /// Runs `hooks` with these arguments, and checks that no secret is shown.
    pub async fn hooks(&self, arguments: &[&str]) -> Ended {
        let ended = run(hooks(&self.project, arguments, &[])).await;
        self.assert_no_secret(&ended);
        ended
    }

    /// The same away from any checkout, with the world as AWS. The environment is the user's.
    pub async fn webhook_of_stack(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        self.hooks_of_stack(&[&["webhook"], arguments].concat(), environment).await
    }

    /// The same for any command of `hooks`.
    pub async fn hooks_of_stack(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let (dynamodb, sqs) = (self.dynamodb.url(), self.sqs.url());
        let endpoints = [
            ("AWS_ENDPOINT_URL", self.aws.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.as_str()),
            ("AWS_ENDPOINT_URL_SQS", sqs.as_str()),
        ];
        let ended = run(hooks(Path::new("/"), arguments, &[&endpoints, environment].concat())).await;
        self.assert_no_secret(&ended);
        ended
    }

    /// The same, started and left running.
    pub fn start_hooks_of_stack(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        let dynamodb = self.dynamodb.url();
        let endpoints = [("AWS_ENDPOINT_URL", self.aws.as_str()), ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.as_str())];
        let mut hooks = hooks(Path::new("/"), arguments, &[&endpoints, environment].concat());
        hooks.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    /// Checks that no secret is shown.
    pub fn assert_no_secret(&self, ended: &Ended) {
        let mut secrets = self.partner.access_tokens();
        secrets.extend(self.secrets.values("webhook-token"));
        secrets.extend([CLIENT_ID, CLIENT_SECRET, "Foreign-Token"].map(str::to_owned));
        for secret in secrets {
            assert!(!format!("{ended:?}").contains(&secret), "{secret} is in {ended:?}");
        }
    }

    /// Leaves the local run's file as a killed run does: without a lock. Its process id has meanwhile become that of another process.
    pub fn is_killed(&self) {
        let file = self.project.join("target/hooks/run.json");
        let run = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(file, run).unwrap();
    }

    /// Returns the registration's items in the table.
    pub fn ledger(&self) -> RegistrationLedger {
        RegistrationLedger::new(self.dynamodb.client(), self.dynamodb.events_table())
    }
}

type Call = (Value, oneshot::Sender<Result<Value, Diagnostic>>);

/// Runs the function behind the API of Lambda, which that of a local run is a part of, beside that of CloudFormation.
async fn serve_sync(
    partner: &Partner,
    secrets: &SecretsManager,
    dynamodb: &DynamoDb,
    sqs: &Sqs,
    mode: &str,
) -> SocketAddr {
    let mut environment = Environment::from(fixtures::ENVIRONMENT);
    let (partner_api, line_api) = (partner.url(), partner.line_api_url());
    let (fallback, dead_letters) = (sqs.queue_url(), sqs.dead_letter_queue_url());
    let own = [
        ("PARTNER_API_BASE_URL", partner_api.as_str()),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", ADDRESS),
        ("SYNC_MODE", mode),
        ("EVENTS_TABLE", dynamodb.events_table()),
        ("SEALED_TABLE", dynamodb.sealed_table()),
        ("FALLBACK_QUEUE_URL", &fallback),
        ("DEAD_LETTER_QUEUE_URL", &dead_letters),
        ("MISSED_AFTER_MINUTES", "0"),
        ("LINE_WEBHOOK_URL", "https://lines.example.com/{whatsapp}"),
        ("LINE_API_BASE_URL", &line_api),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let config = Config::read(&environment);
    let metrics = Metrics::read(&Environment::from([]), io::sink()).unwrap();
    let sqs = emulators::sqs::client(&sqs.url());
    let sync = WebhookSync::new(config.unwrap(), LIMITS, secrets.client(), dynamodb.client(), sqs, metrics);
    let (calls, mut called) = mpsc::channel::<Call>(1);
    // On a thread of its own, as in Lambda: what it waits for cannot move to another.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            while let Some((event, answer)) = called.recv().await {
                let mut random = [0; RANDOM];
                getrandom::fill(&mut random).unwrap();
                let now = SystemTime::now().into();
                let done = sync.handle(Invocation { event, now, time_left: Duration::from_secs(120), random }).await;
                let done = done.map(|answer| serde_json::to_value(answer).unwrap()).map_err(Diagnostic::from);
                answer.send(done).unwrap();
            }
        });
    });
    let router = Router::new()
        .route("/2015-03-31/functions/sync/invocations", post(invoke))
        .route("/", post(describe_stacks))
        .with_state(calls);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn invoke(State(calls): State<mpsc::Sender<Call>>, event: Bytes) -> Response {
    let (answer, answered) = oneshot::channel();
    calls.send((serde_json::from_slice(&event).unwrap(), answer)).await.unwrap();
    match answered.await.unwrap() {
        Ok(answer) => answer.to_string().into_response(),
        Err(error) => ([("x-amz-function-error", "Unhandled")], serde_json::to_string(&error).unwrap()).into_response(),
    }
}

/// Describes the stack `hooks`, `hooks-lines`, which keeps lines, `hooks-observing`, which observes, and `empty`, which has no outputs.
async fn describe_stacks(request: String) -> Response {
    let stack = |outputs: &str, parameters: &str| {
        format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>a</StackName>\
             <StackId>arn:aws:cloudformation:eu-west-1:123456789012:stack/a/1</StackId>\
             <CreationTime>2026-11-22T09:30:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
             <Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        )
    };
    let parameter = |(key, value): (&str, &str)| {
        format!("<member><ParameterKey>{key}</ParameterKey><ParameterValue>{value}</ParameterValue></member>")
    };
    let outputs = [
        ("WebhookUrl", ADDRESS),
        ("EventsTableName", "events"),
        ("SealedTableName", "sealed"),
        ("SyncFunctionName", "sync"),
        ("FallbackQueueUrl", "http://127.0.0.1/fallback"),
        ("DeadLetterQueueUrl", "http://127.0.0.1/dead-letter"),
    ]
    .map(|(key, value)| format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"));
    let parameters = [
        ("AllowedSourceIps", "34.165.99.212/32"),
        ("DedupWindowSeconds", "600"),
        ("RetentionDays", "365"),
        ("PartnerApiBaseUrl", "https://partners.example.net/api"),
        // With NoEcho, CloudFormation shows also an empty value so.
        ("LineWebhookUrl", "****"),
    ]
    .map(parameter);
    let observing = parameter(("SyncMode", "observe"));
    let xml = [("content-type", "text/xml")];
    let lines = "<member><OutputKey>LineWebhookMode</OutputKey><OutputValue>fill</OutputValue></member>";
    if request.contains("StackName=hooks-lines") {
        (xml, stack(&(outputs.concat() + lines), &parameters.concat())).into_response()
    } else if request.contains("StackName=hooks-observing") {
        (xml, stack(&outputs.concat(), &(parameters.concat() + &observing))).into_response()
    } else if request.contains("StackName=hooks") {
        (xml, stack(&outputs.concat(), &parameters.concat())).into_response()
    } else if request.contains("StackName=empty") {
        (xml, stack("", "")).into_response()
    } else {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                     <Message>Stack with id other does not exist</Message></Error></ErrorResponse>";
        (StatusCode::BAD_REQUEST, xml, error).into_response()
    }
}
