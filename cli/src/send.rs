use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use shared::WebhookUrl;
use ureq::Agent;

use crate::{project::Project, samples};

/// Posts an event as the provider would: once, with 5 seconds for the answer.
///
/// # Errors
/// When there is no such event, nowhere to send it, or no answer. An answer other than 200 is shown, and the exit code tells.
pub async fn run(event: &str, url: Option<String>) -> Result<ExitCode> {
    let project = Project::find()?;
    let body = samples::body(&project, event)?;
    let url = match url {
        Some(url) => url,
        None => project.running("--url")?.webhook,
    };
    let url = WebhookUrl::parse(&url).context("the URL of the webhook")?;
    let (status, answer) = post(url, body).await?;
    println!("{status} {answer}");
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Posts a body as the provider would, and gives the answer: its status and its body.
///
/// # Errors
/// When there is none within 5 seconds.
pub async fn post(url: WebhookUrl, body: Vec<u8>) -> Result<(u16, String)> {
    tokio::task::spawn_blocking(move || post_and_wait(&url, &body)).await?
}

fn post_and_wait(url: &WebhookUrl, body: &[u8]) -> Result<(u16, String)> {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build();
    let agent = Agent::new_with_config(config);
    let mut response = agent
        .post(url.expose())
        .content_type("application/json")
        .send(body)
        .with_context(|| format!("no answer from {url}"))?;
    Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
}
