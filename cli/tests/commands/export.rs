use std::{process::Stdio, time::Duration};

use fixtures::LINE;
use serde_json::{Value, json};
use shared::EventId;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::{
    program::hooks,
    world::{World, objects},
};

/// Records this number of events, of two kinds in turn, and returns their ids in order.
async fn record_many(world: &World, number: u64) -> Vec<String> {
    let start = world.ago(60);
    let mut ids = Vec::new();
    for n in 0..number {
        let at = start.plus(Duration::from_millis(n));
        let id = EventId::new(at, n.to_be_bytes());
        let kind = if n.is_multiple_of(2) { "even" } else { "odd" };
        world.record_at(at, id, &json!({ "event": kind, "n": n, "padding": "x".repeat(500) }).to_string()).await;
        ids.push(id.to_string());
    }
    ids
}

fn ids(printed: &str) -> Vec<String> {
    objects(printed).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_export_has_the_objects_of_events_oldest_first() {
    let world = World::start("export").await;
    world.fill().await;
    let exported = world.hooks(&["export"]).await;
    assert_eq!((exported.code, exported.stderr.as_str()), (0, "5 events\n"));
    let mut listed = objects(&world.hooks(&["events", "--output", "json"]).await.stdout);
    listed.reverse();
    assert_eq!(objects(&exported.stdout), listed);
}

#[tokio::test]
async fn an_export_has_those_that_are_asked_for() {
    let world = World::start("export-choose").await;
    world.fill().await;
    for (arguments, expected) in [
        (&["--entity", LINE, "--since", "4d"][..], &[4_320, 50, 45, 40][..]),
        (&["--reference", "client-7", "--until", "43m"], &[50, 45]),
        (&["--kind", "builder"], &[30]),
        (&["--duplicates"], &[45]),
        (&["--since", "10m"], &[]),
    ] {
        let exported = world.hooks(&[&["export"], arguments].concat()).await;
        let expected: Vec<String> = expected.iter().map(|minutes| world.id(*minutes).to_string()).collect();
        let number = if expected.len() == 1 { "1 event\n".to_owned() } else { format!("{} events\n", expected.len()) };
        assert_eq!((exported.code, exported.stderr), (0, number), "{arguments:?}");
        assert_eq!(ids(&exported.stdout), expected, "{arguments:?}");
    }
    let nobody = world.hooks(&["export", "--entity", "whatsapp#1"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (1, ""));
    assert_eq!(nobody.stderr, "error: there is no entity whatsapp#1: no event has named it\n");
}

#[tokio::test]
async fn an_export_has_no_limit() {
    let world = World::start("export-pages").await;
    let recorded = record_many(&world, 450).await;
    assert_eq!(ids(&world.hooks(&["export"]).await.stdout), recorded);
    let odd: Vec<String> = recorded.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(ids(&world.hooks(&["export", "--kind", "odd"]).await.stdout), odd);
}

#[tokio::test]
async fn a_reader_of_an_export_may_stop_early() {
    let world = World::start("export-pipe").await;
    // More than a pipe holds.
    record_many(&world, 450).await;
    let mut export = hooks(world.project(), &["export"], &[]);
    let mut export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(export.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["body"]["n"], 0);
    drop(lines);
    let mut said = String::new();
    export.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!((export.wait().await.unwrap().code(), said.as_str()), (Some(0), ""));
}
