use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path as InPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fixtures::ENVIRONMENT;
use futures_util::TryStreamExt;
use lambda::{Environment, Metrics, Patience};
use receiver::{Arrival, Config, Receiver};
use serde_json::{Value, json};
use shared::{Entity, EventId, Timestamp};
use store::{ForwardFailure, ForwardRecords, Listing, Order, Reader, StoredDelivery};
use tokio::net::TcpListener;

use crate::{
    program::{self, Ended, hooks},
    webhook::world::{self, ADDRESS, TOKEN},
};

const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "eu-west-1")];

/// A run with our URL registered, with the functions receiver and sync; the same as a stack.
pub struct World {
    pub webhook: world::World,
    /// Address of the gateway before the receiver, of Lambda and of CloudFormation.
    aws: SocketAddr,
    /// The programs that are installed.
    tools: PathBuf,
}

/// The server behind that address.
struct Aws {
    receiver: Receiver,
    /// Address at which sync is invoked.
    sync: String,
}

impl World {
    pub async fn start(name: &str) -> Self {
        let webhook = world::World::start(name).await;
        assert_eq!(webhook.webhook(&["sync"]).await.code, 0);
        let aws = serve(&webhook).await;
        let tools = webhook.project.join("bin");
        fs::create_dir_all(&tools).unwrap();
        let world = Self { webhook, aws, tools };
        world.of_run("webhook", |_| format!("http://{aws}/v1/webhook/{TOKEN}"));
        world.of_run("functions", |_| aws.to_string());
        for (tool, version) in [
            ("cargo", "cargo 1.0.0"),
            ("cargo-lambda", "cargo-lambda 1.0.0"),
            ("sam", "SAM CLI, version 1.0.0"),
            ("aws", "aws-cli/2.0.0"),
        ] {
            world.tool(tool, version);
        }
        world
    }

    pub fn project(&self) -> &Path {
        &self.webhook.project
    }

    /// Installs a program that says nothing but its version.
    pub fn tool(&self, name: &str, version: &str) {
        let file = self.tools.join(name);
        fs::write(&file, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The folder of the programs on the PATH.
    pub fn tools(&self) -> &Path {
        &self.tools
    }

    pub fn remove_tool(&self, name: &str) {
        fs::remove_file(self.tools.join(name)).unwrap();
    }

    /// Changes what `hooks dev` has left for the commands beside it.
    pub fn of_run(&self, member: &str, change: impl FnOnce(&str) -> String) {
        let file = self.project().join("target/hooks/run.json");
        let mut run: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        run[member] = change(run[member].as_str().unwrap()).into();
        fs::write(file, run.to_string()).unwrap();
    }

    /// Runs `hooks doctor` with these arguments, and returns the lines of its report.
    pub async fn doctor(&self, arguments: &[&str]) -> (Ended, Vec<Value>) {
        self.doctor_with(arguments, &CREDENTIALS).await
    }

    /// The same with these variables of AWS.
    pub async fn doctor_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Ended, Vec<Value>) {
        let arguments = [&["doctor", "--output", "json"], arguments].concat();
        let ended = self.hooks_with(&arguments, environment).await;
        let lines = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        (ended, lines)
    }

    pub async fn hooks(&self, arguments: &[&str]) -> Ended {
        self.hooks_with(arguments, &[]).await
    }

    async fn hooks_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let aws = format!("http://{}", self.aws);
        let (dynamodb, sqs, secrets) =
            (self.webhook.dynamodb.url(), self.webhook.sqs.url(), self.webhook.secrets.url());
        let ours = [
            ("PATH", self.tools.to_str().unwrap()),
            ("AWS_ENDPOINT_URL", &aws),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb),
            ("AWS_ENDPOINT_URL_SQS", &sqs),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets),
        ];
        let ended = program::run(hooks(self.project(), arguments, &[&ours, environment].concat())).await;
        self.webhook.assert_no_secret(&ended);
        ended
    }

    /// Records that the endpoint refused an event some minutes ago.
    pub async fn refused(&self, minutes: u64) {
        self.failed(minutes, Some(SystemTime::now().into())).await;
    }

    /// The same, with the next attempt; `None` makes it a dead letter.
    pub async fn failed(&self, minutes: u64, next_attempt_at: Option<Timestamp>) {
        let at = Timestamp::from(SystemTime::now()).minus(Duration::from_secs(minutes * 60));
        let failure = ForwardFailure {
            id: EventId::new(at, [7; 8]),
            entity: Entity::named("whatsapp#972501234567"),
            attempts: 2,
            first_attempt_at: at,
            last_attempt_at: at,
            next_attempt_at,
            answer: "answered 503".to_owned(),
        };
        let records = ForwardRecords::new(self.webhook.dynamodb.client(), self.webhook.dynamodb.events_table());
        records.record_failure(&failure).await.unwrap();
    }

    /// Every event in the table, oldest first.
    pub async fn events(&self) -> Vec<StoredDelivery> {
        let reader = Reader::new(self.webhook.dynamodb.client(), self.webhook.dynamodb.events_table());
        let now = Timestamp::from(SystemTime::now());
        let day = Duration::from_secs(24 * 60 * 60);
        let times = now.minus(day)..now.plus(day);
        reader
            .by_time(&Listing { times, order: Order::OldestFirst, after: None, page_size: 100 })
            .try_collect()
            .await
            .unwrap()
    }
}

async fn serve(webhook: &world::World) -> SocketAddr {
    let mut environment = Environment::from(ENVIRONMENT);
    environment.extend([("ALLOWED_SOURCE_IPS".to_owned(), "34.165.99.212/32,127.0.0.1/32".to_owned())]);
    let config = Config::read(&environment);
    let metrics = Metrics::read(&Environment::from([]), std::io::sink()).unwrap();
    let dynamodb = aws(&webhook.dynamodb.url(), receiver::DYNAMODB).await;
    let queue = aws(&webhook.sqs.url(), receiver::QUEUE).await;
    let now = SystemTime::now().into();
    let receiver = Receiver::start(config.unwrap(), &dynamodb, &queue, metrics, now).await;
    let router = Router::new()
        .route("/v1/webhook/{token}", post(through_the_gateway))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .route("/2015-03-31/functions/{name}/configuration", get(configuration))
        .route("/2015-03-31/event-source-mappings", get(event_source_mappings))
        .route("/", post(describe_stacks))
        .with_state(Arc::new(Aws { receiver, sync: webhook.aws.clone() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// The SDK as the function configures it, but for where it connects to.
async fn aws(url: &str, patience: Patience) -> SdkConfig {
    emulators::sdk::to(url, lambda::aws_config(&Environment::from([]), patience).await.unwrap())
}

async fn through_the_gateway(State(aws): State<Arc<Aws>>, InPath(token): InPath<String>, body: String) -> Response {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/receiver/200-whatsapp.json");
    let mut event: Value = serde_json::from_str(&fs::read_to_string(sample).unwrap()).unwrap();
    event["path"] = format!("/webhook/{token}").into();
    event["requestContext"]["path"] = format!("/v1/webhook/{token}").into();
    event["requestContext"]["identity"]["sourceIp"] = "127.0.0.1".into();
    event["body"] = body.into();
    let (status, body) = receive(&aws, &event.to_string()).await;
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

/// Has the receiver handle a gateway's event.
async fn receive(aws: &Aws, event: &str) -> (u16, String) {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let arrival = Arrival { received_at: SystemTime::now().into(), random };
    let answer = aws.receiver.handle(serde_json::from_str(event).unwrap(), arrival).await;
    let status = answer.status().as_u16();
    (status, String::from_utf8(answer.into_body().to_vec()).unwrap())
}

async fn invoke(State(aws): State<Arc<Aws>>, InPath(name): InPath<String>, event: Bytes) -> Response {
    if name == "sync" {
        let url = format!("{}/2015-03-31/functions/sync/invocations", aws.sync);
        let answer = tokio::task::spawn_blocking(move || {
            ureq::post(&url).send(&event[..]).unwrap().into_body().read_to_string().unwrap()
        });
        return answer.await.unwrap().into_response();
    }
    match name.as_str() {
        "redrive" => return Json(json!({ "batchItemFailures": [] })).into_response(),
        // The API calls the alias.
        "receiver:live" => {}
        "receiver" if event == "{}" => {}
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    let (status, body) = receive(&aws, std::str::from_utf8(&event).unwrap()).await;
    Json(json!({ "statusCode": status, "headers": {}, "body": body, "isBase64Encoded": false })).into_response()
}

/// Some are as their names say.
async fn configuration(InPath(name): InPath<String>) -> Json<Value> {
    let state = if name.ends_with("-pending") { "Pending" } else { "Active" };
    let update = if name.ends_with("-failed") || name.ends_with("-stuck:live") { "Failed" } else { "Successful" };
    Json(json!({ "FunctionName": name, "State": state, "LastUpdateStatus": update }))
}

/// Each function has one, but for those whose names say otherwise.
async fn event_source_mappings(Query(asked): Query<BTreeMap<String, String>>) -> Json<Value> {
    let name = asked["FunctionName"].as_str();
    let state = if name == "publisher-disabled" { "Disabled" } else { "Enabled" };
    let mapping = json!({ "UUID": "b0b1", "State": state });
    let has_none = name.starts_with("receiver") || name == "sync" || name == "redrive-uncalled";
    Json(json!({ "EventSourceMappings": if has_none { json!([]) } else { json!([mapping]) } }))
}

/// Describes the stack `hooks`, and variants whose names say how they differ; refuses others.
async fn describe_stacks(request: String) -> Response {
    let name = request.split("StackName=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let xml = [("content-type", "text/xml")];
    let refusal = match name.as_str() {
        "expired" => Some(("ExpiredToken", "The security token included in the request is expired".to_owned())),
        "forbidden" => Some(("AccessDenied", "not yours".to_owned())),
        name if !name.starts_with("hooks") => Some(("ValidationError", format!("Stack with id {name} does not exist"))),
        _ => None,
    };
    if let Some((code, message)) = refusal {
        let error = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        return (StatusCode::BAD_REQUEST, xml, error).into_response();
    }
    let status = match name.as_str() {
        "hooks-rolled-back" => "ROLLBACK_COMPLETE",
        "hooks-undone" => "UPDATE_ROLLBACK_COMPLETE",
        _ => "UPDATE_COMPLETE",
    };
    let [receiver, redrive, publisher] =
        ["receiver", "redrive", "publisher"].map(|function| name.replace("hooks", function));
    let member = |kind: &str, (key, value): (&str, &str)| {
        format!("<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>")
    };
    let outputs = [
        ("WebhookUrl", ADDRESS),
        ("EventsTableName", "events"),
        ("SealedTableName", "sealed"),
        ("ReceiverFunctionName", &receiver),
        ("RedriveFunctionName", &redrive),
        ("SyncFunctionName", "sync"),
        ("PublisherFunctionName", &publisher),
        ("FallbackQueueUrl", "http://127.0.0.1/fallback"),
        ("DeadLetterQueueUrl", "http://127.0.0.1/dead-letter"),
        ("WebhookTokenSecretId", "webhook-token"),
    ]
    .map(|output| member("Output", output));
    let forwarding = [
        ("ForwardQueueUrl", "http://127.0.0.1/forward.fifo"),
        ("ForwardDeadLetterQueueUrl", "http://127.0.0.1/forward-dead-letters.fifo"),
        ("ForwardSecretId", "forward"),
        ("ForwarderFunctionName", "forwarder"),
    ]
    .map(|output| member("Output", output));
    let optional = match name.as_str() {
        "hooks-forward" => forwarding.concat(),
        "hooks-lines" => member("Output", ("LineWebhookMode", "fill")),
        _ => String::new(),
    };
    let parameters = [
        ("DedupWindowSeconds", "600"),
        ("RetentionDays", "365"),
        ("PartnerApiBaseUrl", "https://partners.example.net/api"),
        ("AllowedSourceIps", "34.165.99.212/32,203.0.113.0/24"),
        ("SyncMode", if name == "hooks-observing" { "observe" } else { "enforce" }),
    ]
    .map(|parameter| member("Parameter", parameter));
    let described = format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName>\
         <CreationTime>2026-11-22T09:30:00Z</CreationTime><StackStatus>{status}</StackStatus>\
         <Parameters>{}</Parameters><Outputs>{}{optional}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        parameters.concat(),
        outputs.concat(),
    );
    (xml, described).into_response()
}
