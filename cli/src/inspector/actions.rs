//! What can be done on the local run. A stack has none of it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Shown};
use crate::{local_functions::read_answer, output::text::plain, project::Project, samples, send};

/// What an action came to.
pub struct Notice {
    pub is_good: bool,
    pub text: String,
}

/// What to send.
#[derive(Deserialize)]
pub struct Send {
    sample: String,
}

/// Posts a sample to the webhook, as the provider would.
pub async fn send(State(shown): App, Form(Send { sample }): Form<Send>) -> Response {
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

/// The next page shows it.
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
    let project = Project::find()?;
    // Not any file: a name of those that the page offers.
    let names = samples::names(&project);
    let name = names.iter().find(|name| *name == sample).context("there is no such sample")?;
    let webhook = shown.target.webhook.clone().context("a stack is only looked at")?;
    let (status, answer) = send::post(webhook, samples::body(&project, name)?).await?;
    let answered: Value = serde_json::from_str(&answer).unwrap_or_default();
    let Some(id) = answered["id"].as_str().filter(|_| status == 200) else {
        bail!("{name} was answered {status}: {}", answer.trim_end());
    };
    let duplicate = if answered["duplicate_of"].is_string() { ", a duplicate" } else { "" };
    Ok(format!("Sent {name}: answered {status}, id {}{duplicate}.", plain(id)))
}

async fn run_sync(shown: &Shown) -> Result<String> {
    let report = read_answer(&shown.target.call_sync(&json!({ "action": "sync" })).await?)?;
    let text = |name: &str| plain(report[name].as_str().unwrap_or("nothing"));
    Ok(format!("Sync: {}. Registered is {}.", text("outcome").replace('_', " "), text("registered")))
}
