use std::time::Duration;

use shared::{Entity, Timestamp};
use store::{ForwardFailure, ForwardTaken};

use crate::{
    visitor::{Visitor, attributes, text},
    world::World,
};

const LINE: &str = "whatsapp#972501234567";
const ANSWER: &str = "answered 503: <b>later\u{202e}";

/// A world in which one event was handed on, one waits, and one is a dead letter.
async fn world() -> World {
    let world = World::start().await;
    world.fill().await;
    let records = world.forward_records();
    let taken = ForwardTaken { taken_at: world.ago(50).plus(Duration::from_secs(70)), attempts: 1 };
    records.record_taken(&Entity::named(LINE), &world.id(50), taken, None, false).await.unwrap();
    records.record_failure(&failure(&world, 40, LINE, Some(world.ago(20)))).await.unwrap();
    records.record_failure(&failure(&world, 30, "builder#523", None)).await.unwrap();
    world
}

fn failure(world: &World, minutes: u64, entity: &str, next_attempt_at: Option<Timestamp>) -> ForwardFailure {
    ForwardFailure {
        id: world.id(minutes),
        entity: Entity::named(entity),
        attempts: 3,
        first_attempt_at: world.ago(minutes),
        last_attempt_at: world.ago(30),
        next_attempt_at,
        answer: ANSWER.to_owned(),
    }
}

#[tokio::test]
async fn a_row_says_whether_its_event_was_handed_on() {
    let world = world().await;
    let visitor = Visitor::of(&world).await;
    let marks = |page: &str| -> Vec<String> {
        page.split("<tr data-id=").skip(1).map(|row| text(row.rsplit_once("<td class=\"marks\">").unwrap().1)).collect()
    };
    let page = visitor.page("").await;
    let expected = ["quarantined", "dead letter", "waiting", "duplicate", "handed on"];
    let rows = page.split_once("</tbody>").unwrap().0;
    assert_eq!(marks(rows), expected);
    let titles = world.with_minutes(&attributes(rows, "title").join("\n"));
    assert!(titles.contains("Z, 70 s after receipt, 1 attempt"), "{titles}");
    assert!(titles.contains("3 attempts, the next at -20") && titles.contains("given up after 3 attempts"), "{titles}");
    let history = text(&visitor.page("entity?name=whatsapp%23972501234567").await);
    for mark in ["40 min ago waiting", "50 min ago handed on", "45 min ago duplicate"] {
        assert!(history.contains(mark), "{mark}\n{history}");
    }
}

#[tokio::test]
async fn a_delivery_has_its_attempts_and_the_last_answer() {
    let world = world().await;
    let visitor = Visitor::of(&world).await;
    for (minutes, expected) in [
        (50, "Z, 70 s after receipt, 1 attempt Source IP"),
        (40, "Handing on waiting 3 attempts, the next at -20 Last answer answered 503: <b>later\\u{202e} Source IP"),
        (30, "Handing on dead letter given up after 3 attempts Last answer answered 503: <b>later\\u{202e} Source IP"),
        (4_320, "Handing on no attempt is recorded Source IP"),
    ] {
        let shown = world.with_minutes(&text(&visitor.page(&format!("delivery?id={}", world.id(minutes))).await));
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    for minutes in [45, 20] {
        let shown = text(&visitor.page(&format!("delivery?id={}", world.id(minutes))).await);
        let details = shown.split_once("Details").unwrap().1;
        assert!(!details.contains("Handing on"), "a duplicate and a quarantined delivery are not handed on: {details}");
    }
}

#[tokio::test]
async fn the_events_that_wait_and_the_dead_letters_are_on_a_page() {
    let world = world().await;
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("forwarding").await;
    let shown = text(&page);
    assert!(shown.contains("Refused, to be retried 1 Dead letters 1 "), "{shown}");
    assert!(!shown.contains("forward secret"), "503 says nothing about the secret: {shown}");
    let rows: Vec<String> = page.split("<tr>").skip(2).map(text).collect();
    for (row, entity, next) in [(&rows[0], "builder#523", "dead letter"), (&rows[1], LINE, &clock(world.ago(20)))] {
        let last = clock(world.ago(30));
        let expected = format!("{entity} answered 503: <b>later\\u{{202e}} 3 {last} {next}");
        assert!(row.contains(&expected), "{expected}\n{row}");
    }
    for command in ["cargo hooks forward status Copy", "cargo hooks dlq redrive --all --queue forward Copy"] {
        assert!(shown.contains(command), "{command}\n{shown}");
    }
    let links = attributes(&page, "href");
    assert!(links.contains(&format!("delivery?id={}", world.id(40))), "{links:?}");
    assert!(!shown.contains("Only the newest"), "{shown}");
}

/// The day and the time as the pages show them.
fn clock(time: Timestamp) -> String {
    let time = time.to_string();
    format!("{} {}", &time[5..10], &time[11..19])
}

#[tokio::test]
async fn the_page_names_the_command_for_the_secret_that_the_endpoint_seems_to_lack() {
    for answer in ["401", "403: invalid signature"] {
        let world = World::start().await;
        let refused = ForwardFailure { answer: answer.to_owned(), ..failure(&world, 40, LINE, Some(world.ago(20))) };
        world.forward_records().record_failure(&refused).await.unwrap();
        let shown = text(&Visitor::of(&world).await.page("forwarding").await);
        assert!(shown.contains("cargo hooks forward secret Copy Prints the signing secret"), "{answer}: {shown}");
    }
}

#[tokio::test]
async fn a_long_list_says_that_it_is_cut() {
    let world = World::start().await;
    let records = world.forward_records();
    for minutes in 100..301 {
        records.record_failure(&failure(&world, minutes, "builder#1", None)).await.unwrap();
    }
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("forwarding").await;
    assert!(text(&page).contains("Only the newest 200 are listed."), "{}", text(&page));
    assert!(text(&page).contains("Refused, to be retried at least 0 Dead letters at least 200"), "{}", text(&page));
    assert_eq!(page.matches("<tr>").count(), 201, "the head, and the rows");
}

#[tokio::test]
async fn nothing_waits_while_the_endpoint_accepts_everything() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    let shown = text(&visitor.page("forwarding").await);
    assert!(shown.contains("Nothing is waiting") && !shown.contains("dlq redrive"), "{shown}");
}

#[tokio::test]
async fn without_a_forwarder_no_page_mentions_forwarding() {
    let world = world().await;
    let mut source = world.source();
    source.forward_records = None;
    let visitor = Visitor::to(source).await;
    for link in ["", "entity?name=whatsapp%23972501234567", &format!("delivery?id={}", world.id(50)), "states"] {
        let shown = text(&visitor.page(link).await);
        for word in ["Handing on", "handed on", "waiting", "dead letter"] {
            assert!(!shown.contains(word), "{word} in {link}: {shown}");
        }
    }
    assert_eq!(visitor.get("forwarding").await.status, 404);
}

#[tokio::test]
async fn an_event_waits_behind_a_refused_one_of_its_entity() {
    let world = world().await;
    world.record(10, &fixtures::update(6)).await;
    // Nothing waits behind a dead letter.
    world.record(9, r#"{"event":"builder","builderID":523,"n":9}"#).await;
    let visitor = Visitor::of(&world).await;
    let shown = world.with_minutes(&text(&visitor.page(&format!("delivery?id={}", world.id(10))).await));
    let behind = "Handing on waiting behind the refused event received at -40 Source IP";
    assert!(shown.contains(behind), "{shown}");
    let shown = text(&visitor.page(&format!("delivery?id={}", world.id(9))).await);
    assert!(shown.contains("Handing on no attempt is recorded"), "{shown}");
    let history = text(&visitor.page("entity?name=whatsapp%23972501234567").await);
    assert!(history.contains("10 min ago waiting"), "{history}");
}
