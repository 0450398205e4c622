//! `hooks show`: everything about one delivery.

use std::{process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use shared::{Kind, Timestamp};
use store::{ForwardRecord, StoredDelivery, TypedId};

use crate::{
    output::{Output, json, print, text, times},
    target::{Target, TargetArgs},
};

/// Shows everything about one event: when it was received and from where, what it duplicates, whether your endpoint has accepted it, and its
/// body.
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
    let target = Target::find(target).await?;
    let reader = &target.reader;
    let id = id.find(reader, Timestamp::from(SystemTime::now())).await?;
    let found = reader.delivery(&id).await?;
    let delivery = found.with_context(|| format!("there is no event {id}; if it came just now, try again"))?;
    let forwarding = match (outbound::is_handed_on(&delivery), target.forwarding()) {
        (false, _) => None,
        (true, Err(_)) => Some(off()),
        (true, Ok(forwarding)) => Some(so_far(forwarding.records.of([(&delivery.entity, id)]).await?.get(&id))),
    };
    print(&match (output, forwarding) {
        (Output::Json, forwarding) => json::delivery_with(&delivery, forwarding.map(|(json, _)| json))?,
        (Output::Table, forwarding) => in_full(&delivery, forwarding.map(|(_, words)| words)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The forwarding of an event when there is no forwarder, as JSON and in words.
fn off() -> (Value, String) {
    (json!({ "status": "off" }), "only to the event bus: there is no ForwardUrl".to_owned())
}

/// Returns the forwarding of an event so far, as JSON and in words. Members keep their names in later versions.
fn so_far(record: Option<&ForwardRecord>) -> (Value, String) {
    let attempts = |number: u32| if number == 1 { "1 attempt".to_owned() } else { format!("{number} attempts") };
    match record {
        None => (
            json!({ "status": "not_known" }),
            "not known: no attempt to post it to your endpoint is recorded".to_owned(),
        ),
        Some(ForwardRecord::Taken(taken)) => (
            json!({ "status": "accepted", "at": taken.taken_at, "attempts": taken.attempts }),
            format!("accepted at {}, {}", times::shown(taken.taken_at), attempts(taken.attempts)),
        ),
        Some(ForwardRecord::Behind(refused)) => (
            json!({ "status": "behind", "event_id": refused.id }),
            format!("waiting behind {}, an earlier event of its entity that was refused", refused.id),
        ),
        Some(ForwardRecord::Failed(failure)) => {
            let (status, next) = match failure.next_attempt_at {
                Some(at) => ("waiting", format!("waiting: next attempt at {}", times::shown(at))),
                None => ("dead_letter", "dead letter: given up".to_owned()),
            };
            (
                json!({
                    "status": status, "attempts": failure.attempts, "last_attempt_at": failure.last_attempt_at,
                    "next_attempt_at": failure.next_attempt_at, "answer": failure.answer,
                }),
                format!("{next} after {}, last answer {}", attempts(failure.attempts), failure.answer),
            )
        }
    }
}

/// Returns everything about a delivery, for people, with its forwarding in words.
pub fn in_full(delivery: &StoredDelivery, forwarding: Option<String>) -> String {
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
    facts.extend(forwarding.map(|words| ("handed on", words)));
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
