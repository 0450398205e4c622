//! `hooks export`: every delivery of a time range, for programs.

use std::{
    io::{IsTerminal, stdout},
    pin::pin,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Result;
use clap::Args;
use futures_util::StreamExt;
use shared::Timestamp;
use store::PAGE;

use crate::{
    output::{json, note, print, progress::Progress, text, times},
    query::Selection,
    target::{Target, TargetArgs},
};

/// Writes every delivery received in a time range as JSON, one object on each line, oldest first.
#[derive(Args)]
#[command(after_help = "\
The objects are those of `cargo hooks events --output json`. Progress and the number of events go to standard error. \
Events of `cargo hooks doctor` are exported only with --kind doctor or --entity doctor#-.

An event that waited in the fallback queue is stored under its time of receipt. An export that ran before it was stored lacks it. \
`cargo hooks doctor` shows whether the queue is empty. For consecutive exports, set --until at least one minute in the past, because \
an index shows an event a moment after it is recorded.

Examples:
  cargo hooks export --since 30d > events.jsonl
  cargo hooks export --stack partner-webhook --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z > november.jsonl
  cargo hooks export --reference client-7 | jq -c .body")]
pub struct Export {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    target: TargetArgs,
}

/// Writes the deliveries to standard output as they are read, until nobody reads on.
///
/// # Errors
/// Fails when they cannot be read, or no event has named the entity or has the reference.
pub async fn run(Export { selection, target }: Export) -> Result<ExitCode> {
    let times = selection.range.resolve(Timestamp::from(SystemTime::now()));
    let reader = Target::find(target).await?.reader;
    let query = selection.query(&reader, times).await?;
    // On a terminal the lines themselves tell how far it is.
    let progress = (!stdout().is_terminal()).then(|| Progress::of("reading"));
    let mut number = 0_u64;
    let mut pages = pin!(query.walk(None).ready_chunks(PAGE.into()));
    while let Some(page) = pages.next().await {
        let page = page.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut lines = String::new();
        for delivery in &page {
            lines += &json::delivery(delivery)?;
        }
        if !print(&lines)? {
            return Ok(ExitCode::SUCCESS);
        }
        number += page.len() as u64;
        if let (Some(progress), Some(last)) = (&progress, page.last()) {
            let message = format!("{}, {}", text::events(number), times::shown(last.received_at));
            progress.reached(number, message);
        }
    }
    drop(progress);
    if number == 0 {
        selection.check_reference(&reader).await?;
    }
    note(&text::events(number));
    Ok(ExitCode::SUCCESS)
}
