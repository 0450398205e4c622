//! Counts the requests to DynamoDB and the write units of an event.

use anyhow::{Context, Result};
use hyper::StatusCode;
use serde::Serialize;

use crate::{
    event::event,
    front::{Exchange, Mode},
    function::BuiltFunction,
    input::{update, update_with_key},
    process::Process,
    world::World,
};

/// The cost of one event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Requests to DynamoDB.
    pub requests: usize,
    /// Write units: those that the embedded DynamoDB reports, and [`Cost::derived`].
    pub units: f64,
    /// Write units of refused writes, which DynamoDB does not report.
    pub derived: f64,
}

/// The costs of a function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Requests during the start.
    pub start: usize,
    /// A new event of a known line.
    pub new: Cost,
    /// The same event again.
    pub duplicate: Cost,
    /// An event with an API key.
    pub with_key: Cost,
}

/// Counts the costs of a function against the embedded DynamoDB, and learns its answers for later.
///
/// # Errors
/// Fails when the function does not answer as it should.
pub async fn count(world: &World, function: &BuiltFunction, core: usize) -> Result<Counts> {
    world.set_mode(Mode::Forward);
    world.to_dynamodb.take();
    let input = function.input();
    // A line of its own for each function.
    let line = 900_000 + function.name.bytes().map(usize::from).sum::<usize>();
    let (mut process, _) = Process::start(world.setup(function), core).await?;
    let start = world.to_dynamodb.take().len();
    process.handle(&event(world, input, &update(line, 1)).await?).await?;
    world.set_mode(Mode::Count);
    let mut costs = Vec::new();
    for body in [update(line, 2), update(line, 2), update_with_key(line, 3)] {
        let event = event(world, input, &body).await?;
        world.to_dynamodb.take();
        process.handle(&event).await?;
        costs.push(cost(&world.to_dynamodb.take()));
    }
    world.set_mode(Mode::Forward);
    let [new, duplicate, with_key] = costs.try_into().ok().context("not three costs")?;
    Ok(Counts { start, new, duplicate, with_key })
}

fn cost(exchanges: &[Exchange]) -> Cost {
    let done: f64 = exchanges.iter().map(|exchange| exchange.units.tables + exchange.units.indexes).sum();
    // A refused write takes of the table what it takes when it is carried out, here by the same event. Where it never is, it
    // is that of a condition on an item of up to 1 KB.
    let of_tables = exchanges.iter().map(|exchange| exchange.units.tables).fold(0.0, f64::max);
    let refused = |exchange: &&Exchange| exchange.is_write && exchange.status != StatusCode::OK;
    let derived = exchanges.iter().filter(refused).count() as f64 * of_tables.max(1.0);
    Cost { requests: exchanges.len(), units: done + derived, derived }
}
