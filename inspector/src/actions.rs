//! Actions on the local run. A stack has none.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;
use shared::text::plain;

use super::source::{App, Notice, Shown};

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
