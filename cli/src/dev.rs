//! `hooks dev`: the whole system on this machine.

mod build;
pub mod cargo_lambda;
mod event_source;
mod functions;
mod surroundings;
mod tour;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Result, anyhow};
use clap::{Args, error::ErrorKind};
use emulators::faults::Faults;
use inspector::ForwardedAddress;
use outbound::EndpointUrl;
use shared::TokenHash;
use store::AcceptedTokens;

use self::{
    build::build_functions,
    cargo_lambda::CargoLambda,
    functions::{FUNCTIONS, Functions, PORT},
    surroundings::{FIXED_PORTS, Ports, Surroundings},
    tour::{Fail, HandOn, Tour, redrive},
};
use crate::{
    faults::Fault,
    inspect,
    interrupt::interrupted,
    local_functions::LocalFunctions,
    output::say,
    project::{Project, from_here},
    samples,
    target::Target,
};

/// Runs the whole system on this machine, until Ctrl-C.
///
/// It registers the webhook with a stand-in for the provider, delivers the provider's documented events through the real receiver,
/// shows what is recorded, hands the events on to a sample consumer that verifies their signatures, sets the line's own webhook, and
/// finds an event that never came.
#[derive(Args)]
#[command(after_help = "\
The functions are built again when their code changes. Their logs are in target/hooks/functions.log. The calls of the sample
consumer are in target/hooks/consumer.jsonl, the entries on the event bus in target/hooks/event-bus.jsonl. With --once, while
another local run is up, all three are in target/hooks/once.

Examples:
  cargo hooks dev                   start, show the tour, stay up
  cargo hooks dev --once            start, show the tour, check, end
  cargo hooks dev --persist         keep the events for the next run
  cargo hooks dev --fail consumer   see how refused events are retried
  cargo hooks dev --forward http://127.0.0.1:8080/events
                                    post the events to your own server
  cargo hooks dev --services        only what the functions need, for `cargo lambda watch`")]
pub struct Dev {
    /// End after the tour. The exit code is 0 if every event was stored and handed on, the missed one was rebuilt, and the
    /// lines are live.
    #[arg(long)]
    once: bool,
    /// Keep the database in a file under target/ for the next run, which does not deliver the documented events again.
    #[arg(long)]
    persist: bool,
    /// Make something fail while the events are delivered, to show that they are still stored and handed on.
    #[arg(long, value_enum)]
    fail: Option<Fail>,
    /// URL of your own server to post the events to, instead of the sample consumer: http on a loopback address.
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// Port on which the functions are called. Default: 9000, or a free one if that is taken.
    #[arg(long)]
    port: Option<u16>,
    /// Address under which the browser reaches the page when its port is forwarded, such as http://localhost:8080.
    #[arg(long, value_name = "URL", conflicts_with = "once")]
    address: Option<ForwardedAddress>,
    /// Start only what the functions need: DynamoDB, SQS, Secrets Manager, the partner API, CloudFormation, EventBridge and the sample
    /// consumer, on ports 9001 to 9007. `cargo lambda watch` finds them there.
    #[arg(long, conflicts_with_all = ["once", "fail", "forward", "port", "address"])]
    services: bool,
}

impl Dev {
    /// Returns the URL of the server that takes the events; `None` for the sample consumer. Ends the program with a usage error, which
    /// does not repeat the URL, when it is not one of this machine.
    fn forward_url(&self) -> Option<EndpointUrl> {
        let refuse = |kind, fault: &str| -> ! { clap::Error::raw(kind, format!("--forward {fault}\n")).exit() };
        let text = self.forward.as_ref()?;
        if self.fail == Some(Fail::Consumer) {
            refuse(
                ErrorKind::ArgumentConflict,
                "replaces the sample consumer, so that --fail consumer has nothing to do",
            )
        }
        match EndpointUrl::parse(text) {
            // Over http, an endpoint has a loopback address.
            Ok(url) if url.url().scheme() == "http" => Some(url),
            Ok(_) => refuse(
                ErrorKind::ValueValidation,
                "is not on this machine; give a URL such as http://127.0.0.1:8080/events",
            ),
            Err(fault) => refuse(ErrorKind::ValueValidation, &fault.to_string()),
        }
    }
}

/// Runs it.
///
/// # Errors
/// Fails if a step fails. Everything that was started is ended.
pub async fn run(options: Dev) -> Result<ExitCode> {
    let forward_url = options.forward_url();
    let project = Project::find()?;
    if !options.once {
        project.check_that_none_runs()?;
    }
    if options.services {
        return stay_for_cargo_lambda(&project, &options).await;
    }
    if let Some(port) = options.port
        && let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
    {
        let what = format!("port {port} of 127.0.0.1 cannot be used: {}", error.kind());
        return Err(Fault::of_tool(what, "leave out --port, and the functions get a free one").into());
    }
    let cargo_lambda = CargoLambda::find_or_install(&project).await?;
    say("Building the functions");
    build_functions(&project, FUNCTIONS.map(|(name, _)| name)).await?;

    let is_continued = options.persist && database(&project)?.exists();
    let surroundings = start_surroundings(&project, &options, Ports::default(), forward_url.as_ref()).await?;
    let to_dynamodb = Faults::before(&surroundings.dynamodb.url()).await?;
    let environment = |webhook: &str| surroundings.environment(&to_dynamodb.url(), webhook);
    let mut functions = tokio::select! {
        functions = Functions::start(&project, &cargo_lambda, options.port, environment) => functions?,
        () = interrupted() => return Err(anyhow!("interrupted")),
    };
    if is_continued {
        surroundings.continue_run(&format!("{}/{}", functions.webhook(), samples::TOKEN)).await?;
        say("The signing secret and the token are the built-in ones again, even if you rotated them in an earlier run");
    }
    let hand_on = HandOn::start(&surroundings, functions.caller())?;
    let tour = Tour {
        project: &project,
        surroundings: &surroundings,
        to_dynamodb: &to_dynamodb,
        functions: functions.caller(),
        hand_on: &hand_on,
        is_continued,
    };
    let run = || {
        let webhook = format!("{}/{}", functions.webhook(), samples::TOKEN);
        surroundings.run(functions.address(), &functions.webhook(), webhook)
    };
    let mut remembered = None;
    if forward_url.is_some() && !options.once {
        remembered = Some(project.remember(&run())?);
        say(
            "Your server needs the signing secret to verify the events: run `cargo hooks forward secret` in another terminal. Every \
             local run starts with the same secret",
        );
    }
    let toured = tokio::select! {
        toured = tour.run(options.fail, options.once || forward_url.is_none()) => toured,
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    if toured.is_ok() && !options.once {
        let run = run();
        let webhook = run.webhook.clone();
        if remembered.is_none() {
            remembered = Some(project.remember(&run)?);
        }
        let target = Target::of_local_run(run)?;
        let inspector = inspect::start(target, None, inspect::kept_token(&project)?, options.address).await?;
        let _redrive = redrive(&surroundings.queue, functions.caller());
        print_next_steps(inspector.url(), &webhook, &functions, &cargo_lambda);
        tokio::select! {
            () = interrupted() => say("\nEnding"),
            ended = functions.ended() => say(&format!("cargo lambda watch has ended: {}", ended?)),
        }
    }
    drop(remembered);
    functions.stop().await;
    toured.map(|()| ExitCode::SUCCESS)
}

async fn start_surroundings(
    project: &Project,
    options: &Dev,
    ports: Ports,
    forward_url: Option<&EndpointUrl>,
) -> Result<Surroundings> {
    let file = options.persist.then(|| database(project)).transpose()?;
    if let Some(file) = &file {
        say(&format!("The events are kept in {}", from_here(file).display()));
    }
    let surroundings = Surroundings::start(ports, file.as_deref(), forward_url.map(EndpointUrl::expose)).await?;
    surroundings.log_to(&project.logs()?)?;
    Ok(surroundings)
}

/// Returns the file in which `--persist` keeps the database.
fn database(project: &Project) -> Result<PathBuf> {
    Ok(project.scratch()?.join("dynamodb.db"))
}

/// Starts what the functions need, and stays until Ctrl-C. The functions run elsewhere.
async fn stay_for_cargo_lambda(project: &Project, options: &Dev) -> Result<ExitCode> {
    let found = CargoLambda::find(project).await;
    let cargo_lambda = found.map_or_else(|| "cargo lambda".to_owned(), |found| found.to_string());
    let surroundings = start_surroundings(project, options, FIXED_PORTS, None).await?;
    // As if sync had registered the samples' token.
    let tokens = AcceptedTokens::new(surroundings.dynamodb.client(), surroundings.dynamodb.events_table());
    tokens.accept(&TokenHash::of(samples::TOKEN), SystemTime::now().into()).await?;

    let functions = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let address = format!("http://{functions}/v1/webhook");
    let webhook = format!("{address}/{}", samples::TOKEN);
    let _remembered = project.remember(&surroundings.run(functions, &address, webhook.clone()))?;
    let functions = LocalFunctions::at(functions);
    let _hand_on = HandOn::start(&surroundings, functions)?;
    let _redrive = redrive(&surroundings.queue, functions);
    say(&format!(
        "DynamoDB, SQS, Secrets Manager, the partner API, CloudFormation, EventBridge and the sample consumer are up on ports 9001 to \
         9007 until Ctrl-C.\n\
         \nNext, in another terminal, run the functions:\n\
         \n  {cargo_lambda} watch -A 127.0.0.1\n\
         \nand in a third one, call them and look at what is stored:\n\
         \n  {cargo_lambda} invoke -A 127.0.0.1 receiver --data-file events/receiver/200-whatsapp.json\
         \n  curl --data-binary @events/bodies/whatsapp.json {webhook}\
         \n  cargo hooks events\n"
    ));
    interrupted().await;
    say("\nEnding");
    Ok(ExitCode::SUCCESS)
}

fn print_next_steps(inspector: &str, webhook: &str, functions: &Functions, cargo_lambda: &CargoLambda) {
    say(&format!(
        "\nThis is what you get:\n\
         \n  registered  the provider's webhook URL is yours, and every period in which a check found another one is recorded\
         \n  stored      every event once, before it is acknowledged, with API keys in a table of their own\
         \n  handed on   to your event bus, and to your endpoint, signed and in order for each line, bot and inbox\
         \n  complete    a new client's missed event is found by comparison with the provider's lists, and rebuilt\
         \n  live        each line's own webhook is set and read back, and one command proves it\n\
         \nThree things to try in another terminal:\n\
         \n  cargo hooks lines                        all lines and their status; `cargo hooks line <number>` shows the proof of one\
         \n  cargo hooks inspect                      the same in the browser, with every event\
         \n  cargo hooks replay --since 1h --to bus   hands the events of the last hour on again\n\
         \nIt stays up until Ctrl-C.\n\
         \n  page       {inspector}\
         \n  webhook    curl --data-binary @events/bodies/whatsapp.json {webhook}\
         \n  functions  {cargo_lambda} invoke receiver -A 127.0.0.1 -P {port} --data-file events/receiver/200-online.json\
         \n  log        tail -f {log}\n",
        port = functions.address().port(),
        log = from_here(functions.log()).display(),
    ));
}
