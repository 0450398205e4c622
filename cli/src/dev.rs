//! `hooks dev`: the whole system on this machine.

mod build;
pub mod cargo_lambda;
mod event_source;
mod functions;
mod surroundings;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use emulators::faults::Faults;
use serde_json::{Value, json};
use shared::{Entity, EventId, TokenHash};
use store::{AcceptedTokens, Reader, State, StoredDelivery};

use self::{
    build::build_functions,
    cargo_lambda::CargoLambda,
    event_source::EventSource,
    functions::Functions,
    surroundings::{FIXED_PORTS, Ports, Surroundings},
};
use crate::{
    from_here, inspect,
    interrupt::interrupted,
    local_functions::LocalFunctions,
    output::tables,
    project::Project,
    samples,
    send::{self, Poster},
    target::Target,
};

/// The port on which the functions are called, here and under plain `cargo lambda watch`.
const PORT: u16 = 9000;

/// The maximum time until redrive has recorded what waited in the queue.
const REDRIVE: Duration = Duration::from_secs(30);

/// Runs the whole system on this machine, until Ctrl-C.
///
/// It registers the webhook with a stand-in for the provider, delivers the provider's documented events through the real receiver, and
/// shows what is recorded.
#[derive(Args)]
#[command(after_help = "\
The functions are built again when their code changes. What they write is in target/hooks/functions.log.

Examples:
  cargo hooks dev              start, deliver three events, stay up
  cargo hooks dev --once       start, deliver three events, check, end
  cargo hooks dev --persist    keep the events for the next run
  cargo hooks dev --services   only what the functions need, for `cargo lambda watch`")]
pub struct Dev {
    /// End after the first round trip. The exit code is 0 if every event was stored.
    #[arg(long)]
    once: bool,
    /// Keep the database in a file under target/, and continue with it next time.
    #[arg(long)]
    persist: bool,
    /// Let something fail while the events are delivered, and see that they are stored all the same.
    #[arg(long, value_enum)]
    fail: Option<Fail>,
    /// The port on which the functions are called. Default: 9000, or a free one if that is taken.
    #[arg(long)]
    port: Option<u16>,
    /// Start only what the functions need: DynamoDB, SQS, Secrets Manager, the partner API and CloudFormation, on ports 9001 to
    /// 9005. `cargo lambda watch` finds them there.
    #[arg(long, conflicts_with_all = ["once", "fail", "port"])]
    services: bool,
}

/// A part that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fail {
    /// DynamoDB takes connections and never answers.
    Dynamodb,
}

/// Runs it.
///
/// # Errors
/// Fails if a step fails. Everything that was started is ended.
pub async fn run(options: Dev) -> Result<ExitCode> {
    let project = Project::find()?;
    if !options.once {
        project.check_that_none_runs()?;
    }
    if options.services {
        return stay_for_cargo_lambda(&project, &options).await;
    }
    let cargo_lambda = CargoLambda::find_or_install(&project.root().join(".tools/cargo-lambda")).await?;
    println!("Building the functions");
    build_functions(&project).await?;

    let surroundings = start_surroundings(&project, &options, Ports::default()).await?;
    let to_dynamodb = Faults::before(&surroundings.dynamodb.url()).await?;
    let environment = |webhook: &str| surroundings.environment(&to_dynamodb.url(), webhook);
    let mut functions = tokio::select! {
        functions = Functions::start(&project, &cargo_lambda, options.port, environment) => functions?,
        () = interrupted() => return Err(anyhow!("interrupted")),
    };
    let tour = Tour {
        project: &project,
        surroundings: &surroundings,
        to_dynamodb: &to_dynamodb,
        functions: functions.caller(),
    };
    let toured = tokio::select! {
        toured = tour.run(options.fail) => toured,
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    if toured.is_ok() && !options.once {
        let webhook = surroundings.partner.registered().unwrap_or_default();
        let run = surroundings.run(functions.address(), &functions.webhook(), webhook.clone());
        let _remembered = project.remember(&run)?;
        let inspector = inspect::start(Target::of_local_run(run)?, inspect::PORT).await?;
        let _event_source = EventSource::start(Arc::clone(&surroundings.queue), functions.caller());
        print_next_steps(inspector.url(), &webhook, &functions, &cargo_lambda);
        tokio::select! {
            () = interrupted() => println!("\nEnding"),
            ended = functions.ended() => println!("cargo lambda watch has ended: {}", ended?),
        }
    }
    functions.stop().await;
    toured.map(|()| ExitCode::SUCCESS)
}

async fn start_surroundings(project: &Project, options: &Dev, ports: Ports) -> Result<Surroundings> {
    if !options.persist {
        return Surroundings::start(ports, None).await;
    }
    let file = project.scratch()?.join("dynamodb.db");
    println!("The events are kept in {}", from_here(&file).display());
    Surroundings::start(ports, Some(&file)).await
}

/// Starts what the functions need, and stays until Ctrl-C. The functions run elsewhere.
async fn stay_for_cargo_lambda(project: &Project, options: &Dev) -> Result<ExitCode> {
    let surroundings = start_surroundings(project, options, FIXED_PORTS).await?;
    // As if sync had registered the samples' token.
    let tokens = AcceptedTokens::new(surroundings.dynamodb.client(), surroundings.dynamodb.events_table());
    tokens.accept(&TokenHash::of(samples::TOKEN), SystemTime::now().into()).await?;

    let functions = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let address = format!("http://{functions}/v1/webhook");
    let webhook = format!("{address}/{}", samples::TOKEN);
    let _remembered = project.remember(&surroundings.run(functions, &address, webhook.clone()))?;
    let _event_source = EventSource::start(Arc::clone(&surroundings.queue), LocalFunctions::at(functions));
    println!(
        "DynamoDB, SQS, Secrets Manager, the partner API and CloudFormation are up on ports 9001 to 9005 until Ctrl-C.\n\
         \nNext, in another terminal, run the functions:\n\
         \n  cargo lambda watch\n\
         \nand in a third one, call them and look at what is stored:\n\
         \n  cargo lambda invoke receiver --data-file events/receiver/200-whatsapp.json\
         \n  curl --data-binary @events/bodies/whatsapp.json {webhook}\
         \n  cargo hooks events\n"
    );
    interrupted().await;
    println!("\nEnding");
    Ok(ExitCode::SUCCESS)
}

/// The main job, once: the webhook gets registered, the provider delivers its documented events, and they are stored.
struct Tour<'a> {
    project: &'a Project,
    surroundings: &'a Surroundings,
    to_dynamodb: &'a Faults,
    functions: LocalFunctions,
}

impl Tour<'_> {
    async fn run(&self, fail: Option<Fail>) -> Result<()> {
        let Surroundings { partner, dynamodb, queue, .. } = self.surroundings;
        println!("\n1. sync registers the webhook with the provider's stand-in");
        let report = self.functions.invoke("sync", json!({"action": "sync"})).await?;
        let registered = report["registered"].as_str().unwrap_or("nothing");
        println!("   outcome {}, registered {registered}, verified {}", report["outcome"], report["verified"]);
        ensure!(report["verified"] == true, "the registered URL is not our webhook");

        if fail == Some(Fail::Dynamodb) {
            println!("\n   DynamoDB does not answer from now on");
            self.to_dynamodb.hang();
        }
        println!("\n2. the provider's stand-in delivers the documented events to the registered URL");
        let ids = self.deliver(&partner.registered().context("no webhook is registered")?).await?;

        let reader = Reader::new(dynamodb.client(), dynamodb.events_table());
        if fail == Some(Fail::Dynamodb) {
            let (queued, stored) = (queue.queued().len(), stored_of(&reader, &ids).await?.len());
            println!("\n   {queued} deliveries are in the fallback queue, {stored} in DynamoDB; now it answers again");
            self.to_dynamodb.recover()?;
            let _event_source = EventSource::start(Arc::clone(queue), self.functions);
            let redriven = async {
                while stored_of(&reader, &ids).await?.len() < ids.len() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok::<_, anyhow::Error>(())
            };
            tokio::time::timeout(REDRIVE, redriven)
                .await
                .context("redrive has not recorded the queued deliveries")??;
        }
        let stored = stored_of(&reader, &ids).await?;
        println!("\n3. what is stored in DynamoDB\n{}", tables::deliveries(&stored));
        println!("\n4. the state of each entity\n{}", tables::states(&states_of(&reader, &stored).await?));
        ensure!(stored.len() == ids.len(), "{} of {} deliveries are stored", stored.len(), ids.len());
        println!("\n{} events stored, {registered} registered", stored.len());
        Ok(())
    }

    /// Delivers the documented events. Returns their ids: others may post meanwhile.
    async fn deliver(&self, webhook: &str) -> Result<Vec<EventId>> {
        let webhook = Poster::new(webhook, send::PROVIDER_TIMEOUT);
        let mut ids = Vec::new();
        for name in samples::DOCUMENTED {
            let send::Answer { status, body, elapsed } = webhook.post(samples::body(self.project, name)?, &[]).await?;
            println!("   {name:9} {} {body} ({} ms)", status.as_u16(), elapsed.as_millis());
            let answer: Value = serde_json::from_str(&body).unwrap_or_default();
            let id = answer["id"].as_str().filter(|_| status.is_success()).and_then(|id| id.parse().ok());
            ids.push(id.with_context(|| format!("the delivery of {name} was not acknowledged"))?);
        }
        Ok(ids)
    }
}

/// Returns the deliveries that are stored, of those with these ids.
async fn stored_of(reader: &Reader, ids: &[EventId]) -> Result<Vec<StoredDelivery>> {
    let mut stored = Vec::new();
    for id in ids {
        stored.extend(reader.delivery(id).await?);
    }
    Ok(stored)
}

/// Returns the states of the entities of deliveries, in the order of the entities.
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

fn print_next_steps(inspector: &str, webhook: &str, functions: &Functions, cargo_lambda: &CargoLambda) {
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
        port = functions.address().port(),
        log = from_here(functions.log()).display(),
    );
}
