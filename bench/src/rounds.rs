//! Cold starts and warm events, all functions in turn, in another order each round.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    event::event,
    front::Mode,
    function::BuiltFunction,
    input::update,
    process::Process,
    statistics::{Spread, percentile},
    world::World,
};

/// The timings of one process, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Wall time from its start until it asked for its first event.
    pub start: f64,
    /// CPU time of the same.
    pub start_cpu: f64,
    /// Wall time of the first event.
    pub first: f64,
    /// CPU time of the same.
    pub first_cpu: f64,
    /// Median wall time of the warm events.
    pub warm: f64,
    /// 99th percentile of their wall time.
    pub warm_p99: f64,
    /// Mean CPU time of a warm event.
    pub warm_cpu: f64,
    /// Peak memory, in MB.
    pub memory: f64,
}

impl Sample {
    /// Wall time of a cold call: start and first event.
    pub fn cold(&self) -> f64 {
        self.start + self.first
    }

    /// CPU time of a cold call.
    pub fn cold_cpu(&self) -> f64 {
        self.start_cpu + self.first_cpu
    }
}

/// The samples of a function, one per round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Returns the spread of a measure.
    pub fn spread(&self, measure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(&self.0.iter().map(measure).collect::<Vec<_>>())
    }

    /// Returns the ratio of a measure to another function's: the median over the rounds.
    pub fn ratio(&self, other: &Self, measure: impl Fn(&Sample) -> f64) -> f64 {
        let ratios: Vec<f64> = self.0.iter().zip(&other.0).map(|(own, other)| measure(own) / measure(other)).collect();
        percentile(&ratios, 0.5)
    }
}

/// Runs the functions for a number of rounds, with replayed answers of DynamoDB.
///
/// # Errors
/// Fails when a function does not answer as it should.
pub async fn run(
    world: &World,
    functions: &[&BuiltFunction],
    core: usize,
    rounds: usize,
    warm: usize,
) -> Result<Vec<Samples>> {
    world.set_mode(Mode::Replay);
    let mut samples = vec![Samples::default(); functions.len()];
    let mut order: Vec<usize> = (0..functions.len()).collect();
    for round in 0..rounds {
        fastrand::shuffle(&mut order);
        for &n in &order {
            let sample = sample(world, functions[n], core, warm).await;
            samples[n].0.push(sample.with_context(|| format!("{} in round {}", functions[n].name, round + 1))?);
        }
    }
    world.set_mode(Mode::Forward);
    Ok(samples)
}

async fn sample(world: &World, function: &BuiltFunction, core: usize, warm: usize) -> Result<Sample> {
    let input = function.input();
    let mut events = Vec::with_capacity(warm + 1);
    for n in 0..=warm {
        // Unlike the events of the rounds before: the publisher skips duplicates.
        events.push(event(world, input, &update(n, fastrand::usize(..1_000_000))).await?);
    }
    let [first, events @ ..] = events.as_slice() else { return Err(anyhow::anyhow!("there is no event")) };
    let (mut process, started) = Process::start(world.setup(function), core).await?;
    let first = process.handle(first).await?;
    let before = process.quiet().await?;
    let mut times = Vec::with_capacity(events.len());
    for event in events {
        times.push(milliseconds(process.answer_time(event).await?));
    }
    let used = process.quiet().await?.saturating_sub(before);
    world.to_dynamodb.take();
    Ok(Sample {
        start: milliseconds(started.wall),
        start_cpu: milliseconds(started.cpu),
        first: milliseconds(first.wall),
        first_cpu: milliseconds(first.cpu),
        warm: percentile(&times, 0.5),
        warm_p99: percentile(&times, 0.99),
        warm_cpu: milliseconds(used) / warm.max(1) as f64,
        memory: process.peak_memory()? as f64 / 1e6,
    })
}

/// Returns a duration in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
