//! `hooks show`: everything about one delivery.

use std::{process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use shared::{Kind, Timestamp};
use store::{StoredDelivery, TypedId};

use crate::{
    output::{Output, json, print, text, times},
    target::{Target, TargetArgs},
};

/// Shows everything about one event: when it was received and from where, what it duplicates, and its body.
#[derive(Args)]
#[command(after_help = "\
Exit code: 0, or 1 when there is no such event.

Examples:
  cargo hooks show 019aaaaa-0000-7000-8000-000000000000
  cargo hooks show …00000000                                 by its last digits
  cargo hooks show 019aaaaa-0000-7000-8000-000000000000 --output json | jq .body")]
pub struct Show {
    /// Id of the event, as in the receiver's answer, or its last digits, at least 6.
    id: TypedId,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows a delivery.
///
/// # Errors
/// Fails when there is no such delivery, or it cannot be read.
pub async fn run(Show { id, target, output }: Show) -> Result<ExitCode> {
    let reader = Target::find(target).await?.reader;
    let id = id.find(&reader, Timestamp::from(SystemTime::now())).await?;
    let found = reader.delivery(&id).await?;
    let delivery = found.with_context(|| format!("there is no event {id}; if it came just now, try again"))?;
    print(&match output {
        Output::Json => json::delivery(&delivery)?,
        Output::Table => in_full(&delivery),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns everything about a delivery, for people.
pub fn in_full(delivery: &StoredDelivery) -> String {
    let now = Timestamp::from(SystemTime::now());
    let mut facts = vec![
        ("id", delivery.id.to_string()),
        ("received", times::shown_exactly(delivery.received_at, now)),
        ("kind", delivery.kind.clone()),
        ("entity", delivery.entity.to_string()),
    ];
    facts.extend(delivery.reference.clone().map(|reference| ("reference", reference)));
    facts.extend(delivery.extra_info.as_ref().map(|extra_info| ("update", extra_info.to_string())));
    facts.extend(delivery.duplicate_of.map(|of| ("duplicate of", of.to_string())));
    facts.extend([
        ("source ip", delivery.source_ip.clone()),
        ("request id", delivery.request_id.clone()),
        ("fingerprint", delivery.fingerprint.clone()),
    ]);
    facts.extend(text::cause(delivery).map(|cause| ("cause", cause)));
    facts.extend(Kind::of(&delivery.kind).why_unnamed().map(|why| ("no kind", why.to_owned())));
    facts.extend(delivery.content_type.clone().map(|content_type| ("content type", content_type)));
    facts.extend(delivery.content_encoding.clone().map(|encoding| ("content encoding", encoding)));
    facts.extend(delivery.body_bytes.map(|bytes| ("body", format!("{bytes} bytes, in the sealed table"))));
    let body = delivery.body.as_deref().map(|body| format!("\n{}\n", shared::json::pretty(body)));
    text::facts(&facts) + &body.unwrap_or_default()
}
