//! Every way in which DynamoDB can misbehave, each with every way in which SQS can: the caller's answer, its time, and the
//! place of the event. Ends with a table of all cases.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the table is the result"
)]

mod common;

use std::time::Duration;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use common::{ANSWER_WITHIN, Answer, FORGED, World, call, call_from_elsewhere, call_with_token, logged, send, update};
use emulators::faults::{Fault, Faults};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::TcpListener;

/// The number of cases at a time. They mostly wait.
const AT_ONCE: usize = 12;

#[derive(Clone, Copy)]
struct Case {
    dynamodb: Trouble,
    sqs: Trouble,
    /// Set when DynamoDB is in trouble before the receiver starts, so that it never reads the accepted tokens.
    cold: bool,
    /// Set when the call comes from an address that is not on the list, so that its delivery is to be held.
    unlisted: bool,
}

impl Case {
    fn warmth(&self) -> &'static str {
        if self.cold { "cold" } else { "warm" }
    }

    fn source(&self) -> &'static str {
        if self.unlisted { "unlisted" } else { "listed" }
    }
}

#[derive(Clone, Copy)]
struct Trouble {
    name: &'static str,
    kind: Kind,
    /// Set when a call succeeds all the same.
    passes: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Healthy,
    Refuses,
    /// The receiver is given an https address at which nobody ever answers the handshake.
    TlsHangs,
    Times(usize, Fault),
    Always(Fault),
}

const fn trouble(name: &'static str, kind: Kind, passes: bool) -> Trouble {
    Trouble { name, kind, passes }
}

const LATE: Duration = Duration::from_secs(3);

const DYNAMODB: [Trouble; 21] = [
    trouble("healthy", Kind::Healthy, true),
    trouble("refuses", Kind::Refuses, false),
    trouble("accepts and never answers", Kind::Always(Fault::Hang), false),
    trouble("never answers once", Kind::Times(1, Fault::Hang), true),
    trouble("carries out, answers after 3 s", Kind::Always(Fault::AnswerAfter(LATE)), false),
    trouble("carries out after 3 s", Kind::Always(Fault::CarryOutAfter(LATE)), false),
    trouble("500 once", Kind::Times(1, Fault::InternalError), true),
    trouble("500 always", Kind::Always(Fault::InternalError), false),
    trouble("throttles once", Kind::Times(1, Fault::Throttle), true),
    trouble("throttles always", Kind::Always(Fault::Throttle), false),
    trouble("conflict once", Kind::Times(1, Fault::Conflict), true),
    trouble("conflict 5 times", Kind::Times(5, Fault::Conflict), true),
    trouble("conflict always", Kind::Always(Fault::Conflict), false),
    trouble("commits, drops the connection once", Kind::Times(1, Fault::CarryOutAndDrop), true),
    trouble("commits, always drops the connection", Kind::Always(Fault::CarryOutAndDrop), false),
    trouble("commits, answers 500 once", Kind::Times(1, Fault::CarryOutAndFail), true),
    trouble("commits, always answers 500", Kind::Always(Fault::CarryOutAndFail), false),
    trouble("200 with garbage", Kind::Always(Fault::Garbage), false),
    trouble("not HTTP", Kind::Always(Fault::NotHttp), false),
    trouble("slow bytes", Kind::Always(Fault::Drip(Duration::from_millis(100))), false),
    trouble("TLS handshake hangs", Kind::TlsHangs, false),
];

const SQS: [Trouble; 6] = [
    trouble("healthy", Kind::Healthy, true),
    trouble("refuses", Kind::Refuses, false),
    trouble("hangs once", Kind::Times(1, Fault::Hang), true),
    trouble("hangs", Kind::Always(Fault::Hang), false),
    trouble("500", Kind::Always(Fault::InternalError), false),
    trouble("commits, drops", Kind::Always(Fault::CarryOutAndDrop), false),
];

/// A row of the table.
struct Row {
    case: Case,
    answer: Answer,
    place: &'static str,
    in_the_end: &'static str,
}

fn bring(trouble: Trouble, faults: &Faults) {
    match trouble.kind {
        Kind::Healthy | Kind::TlsHangs => {}
        Kind::Refuses => faults.refuse(),
        Kind::Times(times, fault) => faults.times(times, fault),
        Kind::Always(fault) => faults.always(fault),
    }
}

async fn run(case: Case) -> Row {
    let world = World::start().await;
    let mut answers = Vec::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = if matches!(case.dynamodb.kind, Kind::TlsHangs) {
        world.receiver_with_dynamodb(&format!("https://{}", silent.local_addr().unwrap())).await
    } else {
        if case.cold {
            bring(case.dynamodb, &world.to_dynamodb);
        }
        world.receiver().await
    };
    if !case.cold {
        let first = send(&receiver, &call(&update(0, 1))).await;
        assert_eq!(first.status, Some(200));
        answers.push(first);
        bring(case.dynamodb, &world.to_dynamodb);
    }
    bring(case.sqs, &world.to_sqs);

    let body = update(0, 2);
    let answer = send(&receiver, &if case.unlisted { call_from_elsewhere(&body) } else { call(&body) }).await;
    answers.push(answer.clone());
    let announced = answer.body.get("quarantined").and_then(Value::as_bool);
    assert_eq!(announced, (case.unlisted && answer.status == Some(200)).then_some(true), "{answer:?}");
    let expected = if case.dynamodb.passes || case.sqs.passes { 200 } else { 503 };
    assert_eq!(
        answer.status,
        Some(expected),
        "{} / {}: {answer:?} {:#?}",
        case.dynamodb.name,
        case.sqs.name,
        receiver.log()
    );
    if expected == 503 {
        // A lost event can be entered again from the log.
        assert!(logged(&receiver, &["delivery not recorded", "client-0"]).await, "{:#?}", receiver.log());
    }
    let place = match answer.id() {
        Some(id) => world.whereabouts(&id).await,
        None => "log",
    };
    if case.cold {
        // A receiver that cannot check tokens accepts forged calls too; redrive checks them.
        let forged = send(&receiver, &call_with_token(&update(1, 9), FORGED)).await;
        assert!(forged.took <= ANSWER_WITHIN, "{:?}", forged.took);
        assert_eq!(forged.status, Some(expected));
    }
    world.check_kept(&answers).await;
    if matches!(case.dynamodb.kind, Kind::Always(Fault::CarryOutAfter(_))) {
        tokio::time::sleep(LATE).await;
    }

    let redrive = world.recover_and_drain().await;
    world.check_all(2, &answers, &[&receiver, &redrive]).await;
    world.check_held().await;
    let stored = world.stored_ids().await;
    let in_the_end = match answer.id() {
        Some(id) if stored.contains(&id) => "stored",
        Some(_) => "LOST",
        None if stored.len() == 2 || (case.cold && stored.len() == 1) => "stored all the same",
        None => "log",
    };
    let states = world.items("events").await;
    assert!(
        !states.iter().any(|item| item["pk"].as_s().unwrap().ends_with("972500000001")),
        "the forged delivery is stored"
    );
    Row { case, answer, place, in_the_end }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_failure_acknowledged_events_are_kept_once_and_answers_are_in_time() {
    let mut cases = Vec::new();
    for dynamodb in DYNAMODB {
        let lasting = matches!(dynamodb.kind, Kind::Refuses | Kind::TlsHangs | Kind::Always(_));
        // A conflict is not what a reading meets, and a slow answer to the reading of the tokens may still be in time.
        let met_by_reading = !matches!(dynamodb.kind, Kind::Always(Fault::Conflict));
        for sqs in SQS {
            if !matches!(dynamodb.kind, Kind::TlsHangs) {
                cases.push(Case { dynamodb, sqs, cold: false, unlisted: false });
            }
            if lasting && met_by_reading {
                cases.push(Case { dynamodb, sqs, cold: true, unlisted: false });
            }
            if matches!(sqs.kind, Kind::Healthy | Kind::Refuses) {
                let of_warmth = |cold| Case { dynamodb, sqs, cold, unlisted: true };
                cases.extend((!matches!(dynamodb.kind, Kind::TlsHangs)).then(|| of_warmth(false)));
                cases.extend((lasting && met_by_reading).then(|| of_warmth(true)));
            }
        }
    }
    let runs = stream::iter(cases).map(async |case| (case, tokio::spawn(run(case)).await)).buffered(AT_ONCE);
    let (mut rows, mut failed) = (Vec::new(), 0);
    for (case, row) in runs.collect::<Vec<_>>().await {
        match row {
            Ok(row) => rows.push(row),
            Err(_) => {
                failed += 1;
                println!(
                    "FAILED: {} / {} / SQS {} / {}",
                    case.dynamodb.name,
                    case.warmth(),
                    case.sqs.name,
                    case.source()
                );
            }
        }
    }

    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["DynamoDB", "receiver", "SQS", "source", "answer", "ms", "then in", "in the end"]);
    for Row { case, answer, place, in_the_end } in &rows {
        table.add_row([
            case.dynamodb.name.to_owned(),
            case.warmth().to_owned(),
            case.sqs.name.to_owned(),
            case.source().to_owned(),
            answer.status.unwrap().to_string(),
            answer.took.as_millis().to_string(),
            (*place).to_owned(),
            (*in_the_end).to_owned(),
        ]);
    }
    let slowest = rows.iter().map(|row| row.answer.took).max().unwrap();
    println!("{table}\n{} cases; the slowest answer took {} ms", rows.len() + failed, slowest.as_millis());
    assert_eq!(failed, 0);
}
