//! The inventory: compares the provider's lists with the tables.
//!
//! `pass` leads from the lists to the report. `compare`, `rebuild` and `stuck` are pure.

mod compare;
mod lists;
mod pass;
mod rebuild;
mod report;
mod services;
mod stuck;

use std::cell::Cell;

pub use lists::ListReport;
pub(crate) use report::log;
pub use report::{Changed, Gap, Gone, InventoryOutcome, InventoryReport, Missed};
pub(crate) use services::InventoryServices;
pub use stuck::Stuck;

use crate::{
    action::PassMode,
    error::SyncError,
    guard::guarded,
    inventory::pass::InventoryPass,
    invocation::{Clock, Invocation},
    registration::{Run, Summary},
    services::Services,
};

/// Carries out a pass within the time of the invocation.
pub(crate) async fn act(
    services: &Services,
    inventory: Option<&InventoryServices>,
    mode: PassMode,
    invocation: &Invocation,
    clock: Clock,
    summary: &mut Summary,
) -> Result<InventoryReport, SyncError> {
    let inventory = inventory.ok_or(SyncError::InventoryNotConfigured)?;
    // From the registration's run it takes the session with the provider. Once credentials were refused, no pass gets a session.
    let mut run = Run::open(services, "inventory", clock, invocation.random).await?;
    let time = invocation.for_the_run();
    let pass = InventoryPass { services: inventory, mode, clock, time, missed: Cell::new(0) };
    let result = guarded(time.saturating_sub(clock.elapsed()), pass.run(&mut run)).await;
    summary.events_missed = pass.missed.get();
    run.close(&result, &mut Summary::default()).await;
    result
}
