mod build;
pub mod cargo_lambda;
mod event_source;
mod functions;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use emulators::{
    dynamodb::DynamoDb,
    link::Link,
    partner::{CLIENT_ID, CLIENT_SECRET, Partner},
    secrets::SecretsManager,
    sqs::{Rules, Sqs},
};
use rustix::process::getpid;
use serde_json::{Value, json};
use shared::{Entity, Timestamp};
use store::{Listing, Order, Reader, State, StoredDelivery};

use self::{build::build_functions, cargo_lambda::CargoLambda, event_source::EventSource, functions::Functions};
use crate::{
    from_here, inspect,
    interrupt::interrupted,
    local_functions::LocalFunctions,
    output::tables,
    project::{Project, Run},
    samples,
    target::Target,
};

/// How `hooks dev` was asked to run.
pub struct Options {
    pub once: bool,
    pub persist: bool,
    pub fail: Option<Fail>,
    pub port: u16,
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fail {
    /// DynamoDB takes connections and never answers.
    Dynamodb,
}

/// How long redrive may take to record what waited in the queue.
const REDRIVE: Duration = Duration::from_secs(30);

/// The defaults of the template.
const DEDUP_WINDOW_SECONDS: &str = "600";
const RETENTION_DAYS: &str = "365";

/// Runs everything on this machine and takes the main job through it once: register, deliver, look.
///
/// # Errors
/// When a step fails; everything that was started is ended.
pub async fn run(options: Options) -> Result<ExitCode> {
    let project = Project::find()?;
    if !options.once {
        project.check_that_none_runs()?;
    }
    let cargo_lambda = CargoLambda::find_or_bring(&project.root().join(".tools/cargo-lambda")).await?;
    println!("Building the functions");
    build_functions(&project).await?;

    let world = World::start(&project, &options).await?;
    let address = Functions::choose_address(options.port)?;
    if address.port() != options.port {
        println!("Port {} is taken: the functions are called on {}", options.port, address.port());
    }
    let webhook_address = format!("http://{address}/v1/webhook");
    let environment = world.environment(&webhook_address);
    let mut functions = Functions::start(&project, &cargo_lambda, address, &environment).await?;
    let round_trip = tokio::select! {
        round_trip = world.round_trip(&project, functions.caller(), options.fail) => round_trip,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    let stay = round_trip.is_ok() && !options.once;
    if stay {
        let webhook = world.partner.registered().unwrap_or_default();
        let run = Run {
            pid: getpid().as_raw_nonzero().get(),
            webhook: webhook.clone(),
            address: webhook_address,
            partner_api: world.partner.url(),
            functions: address,
            dynamodb: world.dynamodb.url(),
            events_table: world.dynamodb.events_table().to_owned(),
            sealed_table: world.dynamodb.sealed_table().to_owned(),
            dedup_window_seconds: DEDUP_WINDOW_SECONDS.to_owned(),
            retention_days: RETENTION_DAYS.to_owned(),
            sqs: world.queue.url(),
            fallback_queue: world.queue.queue_url(),
            dead_letter_queue: world.queue.dead_letter_queue_url(),
        };
        let _remembered = project.remember(&run)?;
        let inspector = inspect::start(Target::of_local_run(run)?, inspect::PORT).await?;
        let _event_source = EventSource::start(Arc::clone(&world.queue), functions.caller());
        next_steps(inspector.url(), &webhook, &functions, &cargo_lambda);
        tokio::select! {
            () = interrupted() => println!("\nEnding"),
            ended = functions.ended() => println!("cargo lambda watch has ended: {}", ended?),
        }
    }
    functions.stop().await;
    round_trip.map(|()| ExitCode::SUCCESS)
}

/// What the functions find around them.
struct World {
    dynamodb: DynamoDb,
    /// The functions reach DynamoDB through this, so that it can be made to hang.
    dynamodb_link: Link,
    queue: Arc<Sqs>,
    secrets: SecretsManager,
    partner: Partner,
}

impl World {
    async fn start(project: &Project, options: &Options) -> Result<Self> {
        let dynamodb = if options.persist {
            let file = project.scratch()?.join("dynamodb.db");
            println!("The events are kept in {}", from_here(&file).display());
            DynamoDb::start_in(&file).await
        } else {
            DynamoDb::start().await
        };
        let secrets = SecretsManager::start().await?;
        secrets.put("partner", &json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}).to_string());
        secrets.put("webhook-token", samples::TOKEN);
        let dynamodb = dynamodb.context("the embedded DynamoDB")?;
        let dynamodb_link = Link::to(&dynamodb.url()).await?;
        let queue = Arc::new(Sqs::start(Rules::default()).await?);
        Ok(Self { dynamodb, dynamodb_link, queue, secrets, partner: Partner::start().await? })
    }

    /// The environment of the functions, as template.yaml gives it on AWS; only the addresses are others.
    fn environment(&self, webhook: &str) -> Vec<(&'static str, String)> {
        [
            ("EVENTS_TABLE", self.dynamodb.events_table()),
            ("SEALED_TABLE", self.dynamodb.sealed_table()),
            // The provider's address, for the samples of events/receiver, and this machine.
            ("ALLOWED_SOURCE_IPS", "34.165.99.212/32,127.0.0.1/32"),
            ("DEDUP_WINDOW_SECONDS", DEDUP_WINDOW_SECONDS),
            ("RETENTION_DAYS", RETENTION_DAYS),
            ("FINGERPRINT_KEY", "fingerprint-key-of-the-local-run"),
            ("PARTNER_API_BASE_URL", &self.partner.url()),
            ("PARTNER_SECRET_ID", "partner"),
            ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
            ("WEBHOOK_URL", webhook),
            ("FALLBACK_QUEUE_URL", &self.queue.queue_url()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb_link.url()),
            ("AWS_ENDPOINT_URL_SQS", &self.queue.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets.url()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    /// The main job: the webhook gets registered, the provider delivers its documented events, and they are stored.
    async fn round_trip(&self, project: &Project, functions: LocalFunctions, fail: Option<Fail>) -> Result<()> {
        let started = Timestamp::from(SystemTime::now());
        println!("\n1. sync registers the webhook with the provider's stand-in");
        let report = functions.invoke("sync", json!({"action": "sync"})).await?;
        let registered = report["registered"].as_str().unwrap_or("nothing");
        println!("   outcome {}, registered {registered}, verified {}", report["outcome"], report["verified"]);
        ensure!(report["verified"] == true, "what is registered is not our webhook");

        if fail == Some(Fail::Dynamodb) {
            println!("\n   DynamoDB does not answer from now on");
            self.dynamodb_link.hang();
        }
        println!("\n2. the provider's stand-in delivers the documented events to the registered URL");
        for name in samples::DOCUMENTED {
            let delivered = self.partner.deliver(samples::body(project, name)?).await?;
            println!("   {name:9} {} {} ({} ms)", delivered.status, delivered.body, delivered.elapsed.as_millis());
            let answer: Value = serde_json::from_str(&delivered.body).unwrap_or_default();
            ensure!(delivered.status == 200 && answer["status"] == "OK", "the delivery of {name} was not acknowledged");
        }

        let reader = Reader::new(self.dynamodb.client(), self.dynamodb.events_table());
        if fail == Some(Fail::Dynamodb) {
            let (queued, stored) = (self.queue.queued().len(), stored_since(&reader, started).await?.len());
            println!("\n   {queued} deliveries are in the fallback queue, {stored} in DynamoDB; now it answers again");
            self.dynamodb_link.mend();
            let _event_source = EventSource::start(Arc::clone(&self.queue), functions);
            self.wait_until_redriven().await?;
        }
        let stored = stored_since(&reader, started).await?;
        println!("\n3. what is stored in DynamoDB\n{}", tables::deliveries(&stored));
        println!("\n4. the state of each entity\n{}", tables::states(&states_of(&reader, &stored).await?));
        ensure!(
            stored.len() == samples::DOCUMENTED.len(),
            "{} of {} deliveries are stored",
            stored.len(),
            samples::DOCUMENTED.len()
        );
        println!("\n{} events stored, {registered} registered", stored.len());
        Ok(())
    }

    async fn wait_until_redriven(&self) -> Result<()> {
        let emptied = async {
            while !self.queue.queued().is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(REDRIVE, emptied).await.context("redrive has not emptied the fallback queue")
    }
}

async fn stored_since(reader: &Reader, start: Timestamp) -> Result<Vec<StoredDelivery>> {
    let end = Timestamp::from(SystemTime::now()).plus(Duration::from_secs(1));
    let listing = Listing { times: start..end, order: Order::OldestFirst, after: None, limit: 100 };
    Ok(reader.by_time(&listing).await?.items)
}

/// The states of the entities that deliveries are about, in their order.
///
/// # Errors
/// When the store does not answer.
async fn states_of(reader: &Reader, deliveries: &[StoredDelivery]) -> Result<Vec<State>> {
    let mut entities: Vec<&Entity> = deliveries.iter().map(|delivery| &delivery.entity).collect();
    entities.sort();
    entities.dedup();
    let mut states = Vec::new();
    for entity in entities {
        states.extend(reader.state(entity).await?);
    }
    Ok(states)
}

fn next_steps(inspector: &str, webhook: &str, functions: &Functions, cargo_lambda: &CargoLambda) {
    println!(
        "\nIt stays up until Ctrl-C. Look at it in the browser:\n\
         \n  {inspector}\n\
         \nNext, in another terminal:\n\
         \n  curl --data-binary @events/bodies/whatsapp.json {webhook}\
         \n  cargo hooks send package\
         \n  {cargo_lambda} invoke receiver -A 127.0.0.1 -P {port} --data-file events/receiver/200-online.json\
         \n  cargo hooks events --follow\
         \n  cargo hooks state whatsapp#972501234567\
         \n  cargo hooks webhook status\
         \n  cargo hooks webhook rotate\
         \n  tail -f {log}\n",
        port = functions.port(),
        log = from_here(functions.log()).display(),
    );
}
