//! Events through the receiver, the publisher and the forwarder, with stand-ins for what Lambda does between them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use emulators::sqs::{self, Name};
use serde::Serialize;
use serde_json::Value;

use crate::{
    event::event,
    function::{BuiltFunction, Role},
    input::{Input, update},
    process::Process,
    rounds::milliseconds,
    statistics::Spread,
    world::World,
};

/// Pause of a mapping that found nothing. Lambda reads a shard of a stream four times a second.
const POLL: Duration = Duration::from_millis(1);

/// Number of lines whose events are sent.
const LINES: usize = 200;

/// Time between two events when the lag is measured: the chain is idle in between.
const APART: Duration = Duration::from_millis(40);

/// The results of the chain.
#[derive(Debug, Serialize)]
pub struct Chain {
    /// Events sent at once.
    pub burst: usize,
    /// Events a second, from the first call of the webhook until the endpoint had taken the last event.
    pub rate: f64,
    /// Events sent one by one.
    pub single: usize,
    /// Milliseconds from the webhook's answer until the forwarder had answered.
    pub lag: Spread,
    /// The 99th percentile of the same.
    pub lag_p99: f64,
}

/// Sends events through the three functions: single ones, then a burst.
///
/// The single ones come first, because the embedded DynamoDB reads all records of its stream for every write and every poll: it gets slower
/// with each event.
///
/// # Errors
/// Fails when one of the functions is not there, or does not answer as it should.
pub async fn run(
    world: &World,
    functions: &[&BuiltFunction],
    core: usize,
    burst: usize,
    single: usize,
) -> Result<Chain> {
    let start = async |role: Role| {
        let function = functions.iter().find(|function| function.role == role).context("a function is missing")?;
        let (process, _) = Process::start(world.setup(function), core).await?;
        anyhow::Ok(process)
    };
    let processes = [start(Role::Receiver).await?, start(Role::Publisher).await?, start(Role::Forwarder).await?];
    world.skip()?;
    // The first events open the connections.
    send(world, &processes, 10, Duration::ZERO).await?;
    let lags = send(world, &processes, single, APART).await?;
    let began = Instant::now();
    send(world, &processes, burst, Duration::ZERO).await?;
    let rate = burst as f64 / began.elapsed().as_secs_f64();
    let lag_p99 = crate::statistics::percentile(&lags, 0.99);
    Ok(Chain { burst, rate, single, lag: Spread::of(&lags), lag_p99 })
}

/// Sends events, and returns the lag of each once the last one was handed on.
async fn send(world: &World, processes: &[Process; 3], number: usize, apart: Duration) -> Result<Vec<f64>> {
    let [receiver, publisher, forwarder] = processes;
    let (answered, handed_on) = (RefCell::new(HashMap::new()), RefCell::new(HashMap::new()));
    let left = Cell::new(number);
    let call = async || {
        for n in 0..number {
            // Unlike every event before.
            let body = update(n % LINES, fastrand::u32(..) as usize);
            let (answer, _) = receiver.call(&event(world, Input::Call, &body).await?).await?;
            let answer: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
            let id = answer["id"].as_str().context("an answer has an id")?.to_owned();
            answered.borrow_mut().insert(id, Instant::now());
            tokio::time::sleep(apart).await;
        }
        anyhow::Ok(())
    };
    let publish = async || {
        while left.get() > 0 {
            match world.stream_batch()? {
                Some(batch) => _ = publisher.call(&batch.to_string()).await?,
                None => tokio::time::sleep(POLL).await,
            }
        }
        anyhow::Ok(())
    };
    let forward = async || {
        while left.get() > 0 {
            let taken = world.sqs.take_from(Name::Forward, 1);
            if taken.is_empty() {
                tokio::time::sleep(POLL).await;
                continue;
            }
            let event = sqs::event(&taken);
            let (answer, _) = forwarder.call(&event.to_string()).await?;
            world.sqs.settle(&taken, Some(&answer));
            let message: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap_or_default())?;
            let id = message["id"].as_str().context("a message has an id")?.to_owned();
            handed_on.borrow_mut().insert(id, Instant::now());
            left.set(left.get() - 1);
        }
        anyhow::Ok(())
    };
    tokio::try_join!(call(), publish(), forward())?;
    let (answered, handed_on) = (answered.into_inner(), handed_on.into_inner());
    let lag = |(id, answered): (&String, &Instant)| {
        handed_on.get(id).map(|at| milliseconds(at.saturating_duration_since(*answered))).context("an event is missing")
    };
    answered.iter().map(lag).collect()
}
