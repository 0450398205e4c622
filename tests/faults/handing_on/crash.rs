//! SIGKILL of the publisher and of the forwarder at every request, before it is carried out and before its answer is read, and while
//! the function's own answer is on its way. Then the event source mapping hands the same records or messages out again.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    endpoint::Reply,
    faults::{Fault, Point},
    runtime_api::Function,
    sqs::Name,
};
use futures_util::{StreamExt, stream};

use crate::world::{Peer, World};

/// Number of crashes at a time.
const AT_ONCE: usize = 8;

/// The point at which a function is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    At(Peer, usize, Point),
    /// While its answer is on its way.
    AtAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    /// The publisher publishes events, and moves a record aside.
    Publish,
    /// The publisher retries entries and a message.
    PublishPartly,
    /// The endpoint takes the events.
    Forward,
    /// The forwarder sends API keys too.
    ForwardKeys,
    /// The endpoint refuses the first event of each entity once.
    Refused,
    /// The endpoint takes an event that it has refused before.
    SecondAttempt,
    /// The endpoint answers 410 to the first event of each entity.
    GivenUp,
    /// DynamoDB is in trouble.
    OwnFault,
}

impl Scenario {
    fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::PublishPartly)
    }
}

/// Kills the function while it works. Panics when the point is never reached.
async fn killed_at(world: &World, crash: Crash, function: &Function, work: impl Future<Output = ()>) {
    let held = match crash {
        Crash::At(peer, n, point) => Some(world.link(peer).hold(n, point)),
        Crash::AtAnswer => None,
    };
    let held_answer = held.is_none().then(|| function.hold_answer());
    let killer = async {
        let holding = match (held, held_answer) {
            (Some(held), _) => held.reached().await,
            (None, Some(answer)) => {
                answer.await.unwrap();
                None
            }
            (None, None) => None,
        };
        function.kill().await;
        drop(holding);
    };
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => panic!("{crash:?}: nothing is killed"),
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("{crash:?}: nothing is killed"),
        () = killer => work.await,
    }
}

/// Runs a scenario, with a crash or to count the requests to each peer, and then once more without faults. Returns the counts.
async fn run(scenario: Scenario, crash: Option<Crash>) -> Vec<(Peer, usize)> {
    let world = World::start().await;
    for number in 0..4 {
        world.record(number % 2).await;
    }
    let first: Vec<String> = (0..2).map(|entity| world.recorded(entity).remove(0)).collect();
    let function = if scenario.publishes() { world.publisher().await } else { forwarder(&world, scenario).await };
    if !scenario.publishes() {
        world.queue_all();
    }
    prepare(&world, scenario, &first, &function).await;
    Peer::ALL.iter().for_each(|peer| _ = world.link(*peer).take_seen());
    let work = async {
        if scenario.publishes() {
            world.publish_round(&function).await;
        } else {
            world.forward_round(&function).await;
        }
    };
    match crash {
        None => work.await,
        Some(crash) => killed_at(&world, crash, &function, work).await,
    }
    let requests = Peer::ALL.map(|peer| (peer, world.link(peer).take_seen().len())).to_vec();
    world.recover();
    world.sqs.show_all_in(Name::Forward);
    let again = if scenario.publishes() { world.publisher().await } else { forwarder(&world, scenario).await };
    if scenario.publishes() {
        world.publish_all(&again).await;
        check_aside(&world, scenario);
        world.check_published();
        let forwarder = world.forwarder().await;
        world.forward_all(&forwarder).await;
    } else {
        world.forward_all(&again).await;
    }
    world.check_forwarded(if scenario == Scenario::GivenUp { &first } else { &[] });
    world.check_secrets(&[&function, &again]).await;
    let tally = world.tally();
    // A crash repeats at most what one call had begun.
    let most = tally.recorded + if scenario.publishes() { 2 } else { 4 };
    assert!(tally.posts <= most, "{scenario:?} {crash:?}: {tally:?}");
    requests
}

async fn forwarder(world: &World, scenario: Scenario) -> Function {
    if scenario == Scenario::ForwardKeys { world.forwarder_with_api_keys().await } else { world.forwarder().await }
}

/// Brings a scenario up to the call in which the function is killed.
async fn prepare(world: &World, scenario: Scenario, first: &[String], function: &Function) {
    match scenario {
        Scenario::Publish => {
            let text = |text: &str| AttributeValue::S(text.to_owned());
            let spoilt = world.dynamodb.client().put_item().table_name("events").item("pk", text("whatsapp#1"));
            let spoilt = spoilt.item("sk", text("event#spoilt")).item("kind", text("whatsapp"));
            spoilt.send().await.unwrap();
        }
        Scenario::PublishPartly => {
            world.bus.refuse([None, Some("InternalFailure")]);
            world.sqs.refuse([None, Some("ServiceUnavailable")]);
        }
        Scenario::Forward | Scenario::ForwardKeys => {}
        Scenario::Refused => world.endpoint.reply([Reply::Status(500)]),
        Scenario::SecondAttempt => {
            world.endpoint.reply([Reply::Status(500)]);
            world.forward_round(function).await;
            let wait = world.sqs.hidden_in(Name::Forward).into_iter().max().unwrap_or_default();
            tokio::time::sleep(wait).await;
        }
        Scenario::GivenUp => first.iter().for_each(|id| world.endpoint.always(Some((id, Reply::Status(410))))),
        Scenario::OwnFault => world.link(Peer::DynamoDb).always(Fault::InternalError),
    }
}

fn check_aside(world: &World, scenario: Scenario) {
    let aside = world.sqs.bodies(Name::PublishFailures);
    assert_eq!(aside.is_empty(), scenario == Scenario::PublishPartly, "{aside:?}");
    assert!(aside.iter().all(|record| record.contains("event#spoilt")), "{aside:?}");
}

fn crashes(requests: &[(Peer, usize)]) -> Vec<Crash> {
    let points = [Point::Before, Point::After];
    let at = |(peer, requests): &(Peer, usize)| {
        let peer = *peer;
        (0..*requests).flat_map(move |n| points.map(|point| Crash::At(peer, n, point)))
    };
    requests.iter().flat_map(at).chain([Crash::AtAnswer]).collect()
}

async fn killed_anywhere(name: &str, scenarios: &[Scenario]) {
    let mut all = Vec::new();
    for scenario in scenarios {
        let requests = run(*scenario, None).await;
        let crashes = crashes(&requests);
        println!("{scenario:?}: {requests:?}, {} crashes", crashes.len());
        all.extend(crashes.into_iter().map(|crash| (*scenario, crash)));
    }
    let count = all.len();
    let runs = stream::iter(all)
        .map(async |(scenario, crash)| tokio::spawn(run(scenario, Some(crash))).await.map_err(|_| (scenario, crash)));
    let failed: Vec<_> = runs.buffered(AT_ONCE).filter_map(async |run| run.err()).collect().await;
    println!("the {name} was killed at {count} points");
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_anywhere_loses_nothing_and_keeps_the_order() {
    killed_anywhere("publisher", &[Scenario::Publish, Scenario::PublishPartly]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_killed_anywhere_loses_nothing_and_keeps_the_order() {
    let scenarios = [
        Scenario::Forward,
        Scenario::ForwardKeys,
        Scenario::Refused,
        Scenario::SecondAttempt,
        Scenario::GivenUp,
        Scenario::OwnFault,
    ];
    killed_anywhere("forwarder", &scenarios).await;
}
