//! A run of sync against the same requests sent by a client that does nothing else.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::{runtime, sync::oneshot};

use crate::{
    front::{self, Door, Exchange, Front, Mode},
    process::{self, Process},
    rounds::milliseconds,
    statistics::{Spread, percentile},
    world::World,
};

const SYNC: &str = r#"{"action":"sync"}"#;

/// A run that finds our URL registered. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SyncRun {
    /// From the start until it asks for its first event, on the clock.
    pub start: Spread,
    /// From the event until the report.
    pub report: Spread,
    /// Both together.
    pub cold: Spread,
    /// Both together on a core.
    pub cold_cpu: Spread,
    /// The same requests one after the other by a bare client, with a new connection to each of the three services.
    pub bare: Spread,
    /// How often the bare client's time the whole takes: the median of what it was in each round.
    pub ratio: f64,
    /// Requests to DynamoDB, Secrets Manager and the partner API.
    pub requests: [usize; 3],
    /// The most memory that it had, in MB.
    pub memory: Spread,
}

/// Runs it so many times.
///
/// # Errors
/// When sync does not report what it should.
pub async fn run(world: &World, binary: &Path, core: usize, rounds: usize) -> Result<SyncRun> {
    let fronts = [&world.to_dynamodb, &world.to_secrets, &world.to_partner];
    fronts.iter().for_each(|front| front.set_mode(Mode::Forward));
    // The first run registers the URL, all others find it.
    let (mut first, _) = Process::start(world.setup_of_sync(binary), &[core]).await?;
    first.handle(SYNC).await?;
    let [mut start, mut report, mut cold, mut cold_cpu, mut bare, mut memory] = [const { Vec::new() }; 6];
    let mut requests = [0; 3];
    for _ in 0..rounds {
        fronts.iter().for_each(|front| drop(front.take()));
        let (mut process, started) = Process::start(world.setup_of_sync(binary), &[core]).await?;
        let handled = process.handle(SYNC).await?;
        start.push(milliseconds(started.wall));
        report.push(milliseconds(handled.wall));
        cold.push(milliseconds(started.wall + handled.wall));
        cold_cpu.push(milliseconds(started.cpu + handled.cpu));
        memory.push(process.peak_memory()? as f64 / 1e6);
        let asked = fronts.map(Front::take);
        requests = [asked[0].len(), asked[1].len(), asked[2].len()];
        bare.push(by_a_bare_client(world, fronts, asked, core).await?);
    }
    let ratios: Vec<f64> = cold.iter().zip(&bare).map(|(cold, bare)| cold / bare).collect();
    Ok(SyncRun {
        start: Spread::of(&start),
        report: Spread::of(&report),
        cold: Spread::of(&cold),
        cold_cpu: Spread::of(&cold_cpu),
        bare: Spread::of(&bare),
        ratio: percentile(&ratios, 0.5),
        requests,
        memory: Spread::of(&memory),
    })
}

/// On the core on which sync has run, from where a request takes as long to get to the stand-ins and back.
async fn by_a_bare_client(world: &World, fronts: [&Front; 3], asked: [Vec<Exchange>; 3], core: usize) -> Result<f64> {
    let [dynamodb, secrets, partner] = fronts.map(|front| front.door(&world.authority));
    let doors = [dynamodb?, secrets?, partner?];
    let mut all: Vec<(usize, Exchange)> =
        asked.into_iter().enumerate().flat_map(|(n, asked)| asked.into_iter().map(move |asked| (n, asked))).collect();
    all.sort_by_key(|(_, exchange)| exchange.at);
    let (done, taken) = oneshot::channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let sent = process::run_on(None, &[core]).and_then(|()| runtime?.block_on(send_all(&doors, &all)));
        // Nobody waits any more when the program is about to end.
        let _ = done.send(sent);
    });
    Ok(milliseconds(taken.await??))
}

async fn send_all(doors: &[Door; 3], all: &[(usize, Exchange)]) -> Result<Duration> {
    let began = Instant::now();
    let mut connections = [const { None }; 3];
    for (n, exchange) in all {
        if connections[*n].is_none() {
            connections[*n] = Some(doors[*n].connect().await?);
        }
        front::send(connections[*n].as_mut().context("there is no connection")?, exchange).await?;
    }
    Ok(began.elapsed())
}
