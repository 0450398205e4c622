//! Every way in which a peer can misbehave, for the built publisher and the built forwarder: the answer of the function, its time, and
//! what arrives in the end. Ends with a table of all cases.

use std::time::Duration;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use emulators::{
    endpoint::Reply,
    faults::{Fault, Faults},
    runtime_api::{Function, Outcome},
    sqs::Name,
};
use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::world::{Peer, TIMEOUT, Tally, World};

/// Number of cases at a time. They mostly wait.
const AT_ONCE: usize = 24;

const LATE: Duration = Duration::from_secs(3);

const TROUBLES: [(&str, Trouble); 18] = [
    ("refuses", Trouble::Refuses),
    ("never answers", Trouble::Always(Fault::Hang)),
    ("never answers once", Trouble::Times(1, Fault::Hang)),
    ("500 once", Trouble::Times(1, Fault::InternalError)),
    ("500 always", Trouble::Always(Fault::InternalError)),
    ("throttles once", Trouble::Times(1, Fault::Throttle)),
    ("throttles always", Trouble::Always(Fault::Throttle)),
    ("carries out, answers after 3 s", Trouble::Always(Fault::AnswerAfter(LATE))),
    ("carries out after 3 s", Trouble::Always(Fault::CarryOutAfter(LATE))),
    ("carries out, closes once", Trouble::Times(1, Fault::CarryOutAndDrop)),
    ("carries out, always closes", Trouble::Always(Fault::CarryOutAndDrop)),
    ("half an answer once", Trouble::Times(1, Fault::HalfAnAnswer)),
    ("half an answer always", Trouble::Always(Fault::HalfAnAnswer)),
    ("carries out, 500 once", Trouble::Times(1, Fault::CarryOutAndFail)),
    ("carries out, 500 always", Trouble::Always(Fault::CarryOutAndFail)),
    ("200 with garbage", Trouble::Always(Fault::Garbage)),
    ("not HTTP", Trouble::Always(Fault::NotHttp)),
    ("slow bytes", Trouble::Always(Fault::Drip(Duration::from_millis(100)))),
];

#[derive(Clone, Debug)]
enum Trouble {
    Refuses,
    Times(usize, Fault),
    Always(Fault),
    /// Single entries or messages of the first request are refused.
    Partly,
    /// The endpoint's answer to the first call.
    Consumer(Reply),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Subject {
    Publisher,
    Forwarder,
    /// In trouble before it starts.
    ColdForwarder,
}

#[derive(Clone, Debug)]
struct Case {
    subject: Subject,
    peer: Peer,
    name: &'static str,
    trouble: Trouble,
    /// The first event of each entity becomes a dead letter.
    gives_up: bool,
}

struct Row {
    case: Case,
    slowest: Duration,
    tally: Tally,
}

impl Case {
    /// Brings the trouble. `first` are the ids of each entity's first event.
    fn bring(&self, world: &World, first: &[String]) {
        let link: &Faults = world.link(self.peer);
        match &self.trouble {
            Trouble::Refuses => link.refuse(),
            Trouble::Times(times, fault) => link.times(*times, *fault),
            Trouble::Always(fault) => link.always(*fault),
            Trouble::Partly if self.peer == Peer::Bus => {
                world.bus.refuse([None, Some("InternalFailure"), Some("ThrottlingException"), None]);
            }
            Trouble::Partly => world.sqs.refuse([Some("ServiceUnavailable"), None, Some("RequestThrottled")]),
            Trouble::Consumer(reply) if self.gives_up => {
                first.iter().for_each(|id| world.endpoint.always(Some((id, reply.clone()))));
            }
            Trouble::Consumer(reply) => world.endpoint.reply(vec![reply.clone(); first.len()]),
        }
    }
}

/// Records two events each of three entities, one after the other.
async fn record(world: &World) {
    for number in 0..6 {
        world.record(number % 3).await;
    }
}

/// Asserts that the function answered in time, and returns its time.
fn answered(case: &Case, function: &Function, (outcome, took): (Outcome, Duration)) -> Duration {
    assert!(matches!(outcome, Outcome::Answer(_)), "{case:?}: {outcome:?} {:#?}", function.log());
    assert!(took < TIMEOUT, "{case:?}: {took:?}");
    took
}

async fn run(case: Case) -> Row {
    let world = World::start().await;
    let slowest = match case.subject {
        Subject::Publisher => publisher(&world, &case).await,
        Subject::Forwarder | Subject::ColdForwarder => forwarder(&world, &case).await,
    };
    Row { slowest, tally: world.tally(), case }
}

async fn publisher(world: &World, case: &Case) -> Duration {
    let publisher = world.publisher().await;
    record(world).await;
    case.bring(world, &[]);
    let took = answered(case, &publisher, world.publish_round(&publisher).await.unwrap());
    world.recover();
    world.publish_all(&publisher).await;
    world.check_published();
    assert!(world.sqs.bodies(Name::PublishFailures).is_empty(), "{case:?}: nothing here is unpublishable");
    if matches!(case.trouble, Trouble::Always(Fault::CarryOutAfter(_))) {
        tokio::time::sleep(LATE).await;
    }
    let forwarder = world.forwarder().await;
    world.forward_all(&forwarder).await;
    check(world, &[], &[&publisher, &forwarder]).await;
    took
}

async fn forwarder(world: &World, case: &Case) -> Duration {
    let first: Vec<String> = {
        record(world).await;
        (0..3).map(|entity| world.recorded(entity).remove(0)).collect()
    };
    if case.subject == Subject::ColdForwarder {
        case.bring(world, &first);
    }
    if case.peer == Peer::Sqs {
        // The queues have a part only when the endpoint does not take an event.
        world.endpoint.always(Some((&first[0], Reply::Status(410))));
    }
    let forwarder = match case.trouble {
        Trouble::Consumer(_) => world.forwarder_at_endpoint().await,
        _ => world.forwarder().await,
    };
    if case.subject == Subject::Forwarder {
        // Of another entity, so that the forwarder is warm.
        world.record(3).await;
        world.queue_all();
        while world.endpoint.taken().is_empty() {
            // The message of the other entity is the last one.
            let all = world.sqs.take_from(Name::Forward, 10);
            let event = emulators::sqs::event(&all[all.len() - 1..]);
            forwarder.invoke(&event.to_string()).await;
        }
        world.sqs.show_all_in(Name::Forward);
        case.bring(world, &first);
        if case.peer == Peer::Sqs {
            world.endpoint.reply([Reply::Status(500), Reply::Status(500)]);
        }
    } else {
        world.queue_all();
    }
    let mut slowest = Duration::ZERO;
    // Each entity's first message is tried once, and those of the others are not in its way.
    while let Some(round) = world.forward_round(&forwarder).await {
        slowest = slowest.max(answered(case, &forwarder, round));
    }
    world.recover();
    if matches!(case.trouble, Trouble::Always(Fault::CarryOutAfter(_))) {
        tokio::time::sleep(LATE).await;
    }
    world.forward_all(&forwarder).await;
    let dead = match case.peer {
        Peer::Sqs => &first[..1],
        _ if case.gives_up => &first,
        _ => &[],
    };
    check(world, dead, &[&forwarder]).await;
    slowest
}

async fn check(world: &World, dead: &[String], functions: &[&Function]) {
    world.check_forwarded(dead);
    assert!(world.endpoint.received().iter().all(|call| call.is_verified));
    world.check_secrets(functions).await;
}

fn cases() -> Vec<Case> {
    let case = |subject, peer, (name, trouble): (&'static str, Trouble)| Case {
        subject,
        peer,
        name,
        trouble,
        gives_up: false,
    };
    let mut cases = Vec::new();
    for peer in [Peer::DynamoDb, Peer::Bus, Peer::Sqs] {
        cases.extend(TROUBLES.map(|trouble| case(Subject::Publisher, peer, trouble)));
    }
    cases.extend([Peer::Bus, Peer::Sqs].map(|peer| case(Subject::Publisher, peer, ("refuses some", Trouble::Partly))));
    for peer in [Peer::DynamoDb, Peer::Sqs, Peer::Endpoint] {
        // The endpoint has no answer of throttling, and garbage with 200 is a good answer of it: both are below.
        let troubles = TROUBLES.into_iter().filter(|(name, _)| {
            peer != Peer::Endpoint || !(name.starts_with("throttles") || *name == "200 with garbage")
        });
        cases.extend(troubles.map(|trouble| case(Subject::Forwarder, peer, trouble)));
    }
    cases.extend(TROUBLES.map(|trouble| case(Subject::ColdForwarder, Peer::SecretsManager, trouble)));
    let consumers = [
        ("redirects", Reply::Redirect("http://127.0.0.1:1/".to_owned()), false),
        ("redirects to AWS's metadata", Reply::Redirect("http://169.254.169.254/".to_owned()), false),
        ("429, Retry-After 2", Reply::RetryAfter(429, "2".to_owned()), false),
        ("Retry-After without sense", Reply::RetryAfter(503, "-1 century".to_owned()), false),
        ("answers after 3 s", Reply::After(LATE), false),
        ("answers after 0.5 s", Reply::After(Duration::from_millis(500)), false),
        ("200 without an end", Reply::Endless(200), false),
        ("500 without an end", Reply::Endless(500), false),
        ("500 with the body sent", Reply::Echo(500), false),
        ("404 once", Reply::Status(404), false),
        ("299", Reply::Status(299), false),
        ("410", Reply::Status(410), true),
    ];
    cases.extend(consumers.map(|(name, reply, gives_up)| Case {
        gives_up,
        ..case(Subject::Forwarder, Peer::Endpoint, (name, Trouble::Consumer(reply)))
    }));
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_queue_delays_a_batch_and_does_not_stop_it() {
    let world = World::start().await;
    let publisher = world.publisher().await;
    for _ in 0..50 {
        world.record(0).await;
    }
    world.link(Peer::Sqs).always(Fault::AnswerAfter(Duration::from_secs(1)));
    let (outcome, took) = world.publish_round(&publisher).await.unwrap();
    assert!(matches!(outcome, Outcome::Answer(_)) && took < TIMEOUT, "{outcome:?} {took:?}");
    let sent = world.ids_in(Name::Forward).len();
    let batch = world.batch().unwrap();
    let is_event = |record: &&Value| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().starts_with("event#");
    let left = batch["Records"].as_array().unwrap().iter().filter(is_event).count();
    println!("of 50 messages at one a second {sent} were sent in {} s, and {left} come again", took.as_secs());
    // The last one may have been cut off before its answer.
    assert!(sent > 0 && left <= 50 - sent + 1, "{sent} were sent, {left} come again");
    world.recover();
    world.publish_all(&publisher).await;
    world.check_published();
    assert_eq!(world.ids_in(Name::Forward), world.recorded(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_peer_does_every_event_arrives_in_order_and_every_answer_is_in_time() {
    let runs = stream::iter(cases()).map(async |case| (case.clone(), tokio::spawn(run(case)).await)).buffered(AT_ONCE);
    let (mut rows, mut failed) = (Vec::new(), 0);
    for (case, row) in runs.collect::<Vec<_>>().await {
        match row {
            Ok(row) => rows.push(row),
            Err(_) => {
                failed += 1;
                println!("FAILED: {case:?}");
            }
        }
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["function", "peer", "trouble", "slowest ms", "recorded", "bus entries", "posts", "dead letters"]);
    for Row { case, slowest, tally } in &rows {
        table.add_row([
            format!("{:?}", case.subject),
            format!("{:?}", case.peer),
            case.name.to_owned(),
            slowest.as_millis().to_string(),
            tally.recorded.to_string(),
            tally.entries.to_string(),
            tally.posts.to_string(),
            tally.dead_letters.to_string(),
        ]);
    }
    let slowest = rows.iter().map(|row| row.slowest).max().unwrap_or_default();
    println!("{table}\n{} cases; the slowest answer took {} ms", rows.len() + failed, slowest.as_millis());
    assert_eq!(failed, 0);
}
