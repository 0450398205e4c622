//! The lines: the webhook of each one is compared with the configured one, set, and read back.
//! `pass` checks the lines and writes the report. `decide` is pure.

mod decide;
mod pacer;
mod pass;
mod report;
mod services;

pub(crate) use report::log;
pub use report::{LineChanged, LinesOutcome, LinesReport, NotLive};
pub(crate) use services::LinesServices;

use crate::{
    action::LinesRequest,
    error::SyncError,
    guard::guarded,
    inventory::InventoryServices,
    invocation::{Clock, Invocation, Randomness},
    lines::pass::LinesPass,
};

/// Carries out a pass within the time of the invocation.
pub(crate) async fn act(
    tables: Option<&InventoryServices>,
    services: &LinesServices,
    request: &LinesRequest,
    invocation: &Invocation,
    clock: Clock,
) -> Result<LinesReport, SyncError> {
    let tables = tables.ok_or(SyncError::InventoryNotConfigured)?;
    let (time, random) = (invocation.for_the_run(), Randomness::new(invocation.random).ids());
    let pass = LinesPass { tables, services, request, clock, time, random };
    guarded(time.saturating_sub(clock.elapsed()), pass.run()).await
}
