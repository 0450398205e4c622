//! How a warm event of the receiver grows: with the events of its line, with the number of lines, and with the number of
//! processes that are handed events of one line.

use std::{collections::HashMap, path::Path, time::Instant};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::{
    error::DisplayErrorContext,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::{
    Cores,
    function::BuiltFunction,
    input::{Input, update},
    process::Process,
    rounds::milliseconds,
    statistics::percentile,
    table::Table,
    world::World,
};

const HISTORY: [usize; 3] = [1, 1_000, 100_000];
const LINES: [usize; 3] = [1, 1_000, 100_000];
const MILLION: usize = 1_000_000;
const PROCESSES: [usize; 4] = [1, 2, 8, 32];
/// Events for a row.
const EVENTS: usize = 400;
/// The most items of one `BatchWriteItem`.
const BATCH: usize = 25;

type Item = HashMap<String, AttributeValue>;

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Scale {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    size: usize,
    /// Milliseconds on the clock, of which half the events took less, and 99 of 100.
    p50: f64,
    p99: f64,
    /// Milliseconds on a core, in the mean.
    cpu: f64,
    /// Requests to DynamoDB for each event, in the mean.
    requests: f64,
    /// Events that went to the fallback queue.
    queued: usize,
    /// Events a second, of all processes together.
    rate: f64,
}

impl Scale {
    /// The table.
    pub fn text(&self) -> String {
        let mut table =
            Table::new(["", "number", "p50", "p99", "CPU", "requests an event", "events a second", "queued"]);
        for row in &self.rows {
            table.row([
                row.what.to_owned(),
                row.size.to_string(),
                format!("{:.2}", row.p50),
                format!("{:.2}", row.p99),
                format!("{:.2}", row.cpu),
                format!("{:.2}", row.requests),
                format!("{:.0}", row.rate),
                row.queued.to_string(),
            ]);
        }
        format!(
            "{EVENTS} warm events for each row, answered by the embedded DynamoDB, whose time is in them.\n\n{}",
            table.text()
        )
    }
}

/// Measures it, each row in a new world.
///
/// # Errors
/// When the receiver does not answer as it should, or DynamoDB cannot be filled.
pub async fn run(folder: &Path, receiver: &BuiltFunction, cores: &Cores, million: bool) -> Result<Scale> {
    let mut rows = Vec::new();
    for size in HISTORY {
        let world = World::start(folder).await?;
        fill(&world, receiver, cores, size, Filling::History).await?;
        rows.push(row(&world, receiver, &[cores.function], ("events of the line", size), 1, |_| 0).await?);
    }
    for size in LINES.into_iter().chain(million.then_some(MILLION)) {
        let world = World::start(folder).await?;
        fill(&world, receiver, cores, size, Filling::Lines).await?;
        let line = |n: usize| n * 7919 % size;
        rows.push(row(&world, receiver, &[cores.function], ("lines", size), 1, line).await?);
    }
    for size in PROCESSES {
        let world = World::start(folder).await?;
        fill(&world, receiver, cores, 1, Filling::Lines).await?;
        rows.push(row(&world, receiver, &cores.functions, ("processes, one line", size), size, |_| 0).await?);
    }
    Ok(Scale { rows })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Filling {
    /// All of one line.
    History,
    /// One for each of many lines.
    Lines,
}

/// Fills the tables with copies of what the receiver has recorded of one event: the first line's is the real one.
async fn fill(world: &World, receiver: &BuiltFunction, cores: &Cores, size: usize, filling: Filling) -> Result<()> {
    let (mut process, _) = Process::start(world.setup(receiver), &[cores.function]).await?;
    process.handle(&Input::Call.event(&update(0, 1))?).await?;
    let client = world.dynamodb.client();
    let pk = AttributeValue::S(line_key(0));
    let query = client.query().table_name(world.dynamodb.events_table()).key_condition_expression("pk = :pk");
    let found = query.expression_attribute_values(":pk", pk).send().await.map_err(with_cause)?;
    let originals = found.items();
    let mut copies = Vec::with_capacity(BATCH);
    for n in 1..size {
        copies.extend(originals.iter().filter_map(|item| copy(item, n, filling)));
        if copies.len() + originals.len() > BATCH || n + 1 == size {
            let requests = copies.drain(..).map(put).collect::<Result<Vec<_>>>()?;
            let write = client.batch_write_item().request_items(world.dynamodb.events_table(), requests);
            write.send().await.map_err(with_cause)?;
        }
    }
    world.to_dynamodb.take();
    Ok(())
}

/// The `n`th copy of an item; a line has but one state.
fn copy(item: &Item, n: usize, filling: Filling) -> Option<Item> {
    let mut copy = item.clone();
    let sk = item.get("sk")?.as_s().ok()?;
    match filling {
        Filling::History => {
            // Ids in the order of time, before that of the original.
            let id = sk.strip_prefix("event#")?;
            let earlier = format!("event#01000000-{:04x}-7{:03x}{}", n >> 12, n & 0xfff, id.get(18..)?);
            copy.insert("sk".to_owned(), AttributeValue::S(earlier));
        }
        Filling::Lines => {
            copy.insert("pk".to_owned(), AttributeValue::S(line_key(n)));
            copy.insert("reference".to_owned(), AttributeValue::S(format!("client-{n}")));
        }
    }
    Some(copy)
}

fn line_key(line: usize) -> String {
    format!("whatsapp#{}", 972_500_000_000 + line)
}

fn put(item: Item) -> Result<WriteRequest> {
    Ok(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build())
}

fn with_cause(error: impl std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", DisplayErrorContext(error))
}

async fn row(
    world: &World,
    receiver: &BuiltFunction,
    cores: &[usize],
    (what, size): (&'static str, usize),
    processes: usize,
    line: impl Fn(usize) -> usize,
) -> Result<Row> {
    let mut started = Vec::new();
    for n in 0..processes {
        let (mut process, _) = Process::start(world.setup(receiver), cores).await?;
        // Opens what the first event opens, and is not counted.
        process.handle(&Input::Call.event(&update(line(n), 90 + n))?).await?;
        let before = process.quiet().await?;
        let share = (n..EVENTS).step_by(processes);
        // Two events of a line never have the same body.
        let events = share.map(|n| Input::Call.event(&update(line(n), 1_000 + n))).collect::<Result<Vec<_>>>()?;
        started.push((process, before, events));
    }
    world.to_dynamodb.take();
    let began = Instant::now();
    let work = started.iter_mut().map(async |(process, before, events)| {
        let mut times = Vec::new();
        for event in events.iter() {
            times.push(milliseconds(process.answer_time(event).await?));
        }
        let ended = began.elapsed();
        let used = process.quiet().await?.saturating_sub(*before);
        anyhow::Ok((times, milliseconds(used), ended))
    });
    let done = try_join_all(work).await.with_context(|| format!("{what}: {size}"))?;
    let ended = done.iter().map(|(_, _, ended)| *ended).max().unwrap_or_default();
    let times: Vec<f64> = done.iter().flat_map(|(times, ..)| times.iter().copied()).collect();
    Ok(Row {
        what,
        size,
        p50: percentile(&times, 0.5),
        p99: percentile(&times, 0.99),
        cpu: done.iter().map(|(_, cpu, _)| cpu).sum::<f64>() / EVENTS as f64,
        requests: world.to_dynamodb.take().len() as f64 / EVENTS as f64,
        queued: world.queued(),
        rate: EVENTS as f64 / ended.as_secs_f64(),
    })
}
