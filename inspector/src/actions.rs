//! Actions on the local run. A stack has none.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use askama::Template;
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;
use shared::{EventId, text::plain};

use super::{
    frame::{Layout, Part},
    layout::link,
    problem::{Problem, render},
    source::{App, Notice, Shown},
};

/// Maximum number of bytes that are shown.
const SHOWN: usize = 64 * 1024;

/// The form with the sample to send.
#[derive(Deserialize)]
pub struct SampleForm {
    sample: String,
}

/// Posts a sample to the webhook, as the provider would.
pub async fn send(State(shown): App, Form(SampleForm { sample }): Form<SampleForm>) -> Response {
    let sent = send_sample(&shown, &sample).await;
    tell(&shown, sent);
    Redirect::to("./").into_response()
}

/// The form of a quarantined delivery.
#[derive(Deserialize)]
pub struct QuarantinedForm {
    id: String,
    /// `yes` when the person has ticked the box.
    #[serde(default)]
    consent: String,
}

#[derive(Template)]
#[template(path = "raw.html")]
struct Raw {
    layout: Layout,
    id: String,
    back: String,
    text: String,
    length: usize,
    is_text: bool,
    is_cut: bool,
}

/// Shows the bytes of a quarantined delivery, after the person has agreed.
pub async fn raw(State(shown): App, Form(form): Form<QuarantinedForm>) -> Result<Response, Problem> {
    let id = parsed(&form)?;
    let back = link("delivery", &[("id", &form.id)]);
    if form.consent != "yes" {
        tell(&shown, Err(anyhow!("Not shown: tick the box first.")));
        return Ok(Redirect::to(&back).into_response());
    }
    let actions = shown.source.actions.as_ref().context("A stack is read-only.")?;
    let Some(bytes) = (actions.raw)(id).await? else {
        return Err(Problem::NotFound(format!("The bytes of {id} do not exist, or have been deleted.")));
    };
    let start = &bytes[..bytes.len().min(SHOWN)];
    // A character may be cut in two at the end.
    let whole = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_text = start.len() - whole.len() < 4;
    Ok(render(&Raw {
        layout: Layout::of(&shown, Part::Deliveries).await,
        id: id.to_string(),
        back,
        text: if is_text { lines(whole) } else { hex(start) },
        length: bytes.len(),
        is_text,
        is_cut: start.len() < bytes.len(),
    }))
}

/// Tries to record a quarantined delivery as an event, after the person has agreed.
pub async fn retry(State(shown): App, Form(form): Form<QuarantinedForm>) -> Result<Response, Problem> {
    let id = parsed(&form)?;
    let done = match form.consent.as_str() {
        "yes" => retry_one(&shown, id).await,
        _ => Err(anyhow!("Not retried: tick the box first.")),
    };
    tell(&shown, done);
    Ok(Redirect::to(&link("delivery", &[("id", &form.id)])).into_response())
}

fn parsed(form: &QuarantinedForm) -> Result<EventId, Problem> {
    form.id.parse().map_err(|error| Problem::Unclear(format!("{:?} is {error}.", plain(&form.id))))
}

async fn retry_one(shown: &Shown, id: EventId) -> Result<String> {
    let actions = shown.source.actions.as_ref().context("A stack is read-only.")?;
    Ok(format!("Retried: {}.", plain(&(actions.retry)(id).await?)))
}

/// Returns a text with its lines, and with all other control characters escaped.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| plain(line.trim_end_matches('\r'))).collect::<Vec<_>>().join("\n")
}

/// Returns bytes in hexadecimal, 16 in a line.
fn hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(16).map(line).collect::<Vec<_>>().join("\n")
}

/// Runs sync, as the schedule does.
pub async fn sync(State(shown): App) -> Response {
    let done = run_sync(&shown).await;
    tell(&shown, done);
    Redirect::to("registration").into_response()
}

/// Leaves the outcome for the next page.
fn tell(shown: &Arc<Shown>, done: Result<String>) {
    let notice = match done {
        Ok(text) => Notice { is_good: true, text },
        Err(error) => Notice { is_good: false, text: plain(&format!("{error:#}")) },
    };
    if let Ok(mut place) = shown.notice.lock() {
        *place = Some(notice);
    }
}

async fn send_sample(shown: &Shown, sample: &str) -> Result<String> {
    let actions = shown.source.actions.as_ref().context("A stack is read-only.")?;
    // Only names that the page offers, no path to another file.
    let name = actions.samples.iter().find(|name| *name == sample).context("There is no such sample.")?;
    let (status, answer) = (actions.send)(name.clone()).await?;
    let answered: Value = serde_json::from_str(&answer).unwrap_or_default();
    let Some(id) = answered["id"].as_str().filter(|_| status == 200) else {
        bail!("{name} was answered {status}: {}", answer.trim_end());
    };
    let duplicate = if answered["duplicate_of"].is_string() { ", a duplicate" } else { "" };
    Ok(format!("Sent {name}: answered {status}, id {}{duplicate}.", plain(id)))
}

async fn run_sync(shown: &Shown) -> Result<String> {
    let actions = shown.source.actions.as_ref().context("A stack is read-only.")?;
    let report = (actions.sync)(()).await?;
    let text = |name: &str| plain(report[name].as_str().unwrap_or("nothing"));
    Ok(format!("Sync: {}. Registered: {}.", text("outcome").replace('_', " "), text("registered")))
}
