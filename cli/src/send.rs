//! `hooks send`, and the one place from which an event is posted to a webhook.

use std::{
    io::{self, Read},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use shared::{WebhookUrl, text::plain};
use ureq::{Agent, Error, http::StatusCode};

use crate::{output::print, project::Project, route::Route, samples};

/// The time that the provider waits for the answer to an event.
pub const PROVIDER_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of bytes of an answer that are read.
const MAX_ANSWER: u64 = 64 * 1024;

/// Posts a sample event to the webhook of the local run.
#[derive(Args)]
#[command(after_help = "\
Exit code: 0 when the webhook answered 200, 1 otherwise.

Examples:
  cargo hooks send whatsapp                     events/bodies/whatsapp.json
  cargo hooks send my-event.json                a body of your own
  cargo hooks send online --url https://…       to another webhook")]
pub struct SendArgs {
    /// Name of a file in events/bodies, such as whatsapp, or path of a file with a body.
    event: String,
    /// URL to post to. Default: the one that the local run has registered.
    #[arg(long)]
    url: Option<String>,
}

/// Posts a sample or a file to a webhook, once, as the provider would.
///
/// # Errors
/// Fails if there is no such event, no webhook, or no answer. An answer other than 200 is printed and sets the exit code.
pub async fn run(SendArgs { event, url }: SendArgs) -> Result<ExitCode> {
    let project = Project::find()?;
    let body = samples::body(&project, &event)?;
    let url = match url {
        Some(url) => url,
        None => project.running("--url")?.webhook,
    };
    let url = WebhookUrl::parse(&url).context("the URL of the webhook")?;
    let (status, answer) = post(url, body).await?;
    print(&format!("{status} {}\n", plain(&answer)))?;
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Posts an event as the provider would: once, with 5 seconds for the answer. Returns its status and its body.
///
/// # Errors
/// Fails if there is no answer.
pub async fn post(url: WebhookUrl, body: Vec<u8>) -> Result<(u16, String)> {
    let answer = Poster::new(url.expose(), PROVIDER_TIMEOUT)?.post(body).await.with_context(|| url.to_string())?;
    Ok((answer.status.as_u16(), answer.body))
}

/// Posts to one webhook. Its connection stays open for the next event. It follows no redirect.
#[derive(Clone)]
pub struct Poster {
    agent: Agent,
    url: String,
    timeout: Duration,
}

/// The answer to a post, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    /// The first 64 KB of it. Bytes that are not UTF-8 are replaced.
    pub body: String,
    /// From the first byte sent to the last byte read.
    pub elapsed: Duration,
}

impl Poster {
    /// Prepares to post to a URL. `timeout` is for the whole of one post, from connecting to the end of the answer.
    ///
    /// # Errors
    /// Fails when there is no way to it.
    pub fn new(url: &str, timeout: Duration) -> Result<Self> {
        let Route { proxy, tls } = Route::to(url)?;
        let config = Agent::config_builder()
            .proxy(proxy)
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .build();
        Ok(Self { agent: Agent::new_with_config(config), url: url.to_owned(), timeout })
    }

    /// Posts a body as JSON.
    ///
    /// # Errors
    /// Fails if there is no answer. The URL is not in the message.
    pub async fn post(&self, body: Vec<u8>) -> Result<Answer> {
        let this = self.clone();
        let posted = tokio::task::spawn_blocking(move || this.post_and_wait(&body)).await?;
        posted.map_err(|error| match error {
            Error::Timeout(_) => anyhow!("no answer within {} s", self.timeout.as_secs()),
            // Its own text repeats the URL, which has a token in it.
            Error::BadUri(_) => anyhow!("no answer: the URL cannot be sent to"),
            Error::Io(error) => anyhow!("no answer: {error}"),
            error => anyhow!("no answer: {error}"),
        })
    }

    fn post_and_wait(&self, body: &[u8]) -> Result<Answer, Error> {
        let started = Instant::now();
        let mut response = self.agent.post(&self.url).content_type("application/json").send(body)?;
        let status = response.status();
        let mut start = Vec::new();
        // The status has said everything: an answer that breaks off is shorter.
        let _: io::Result<usize> = response.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut start);
        let body = String::from_utf8_lossy(&start).into_owned();
        Ok(Answer { status, body, elapsed: started.elapsed() })
    }
}

#[cfg(test)]
mod tests {
    use emulators::partner::Partner;

    use super::*;

    #[tokio::test]
    async fn an_event_goes_to_the_url_and_its_answer_comes_back() {
        let receiver = Partner::start().await.unwrap();
        let poster = Poster::new(&format!("{}/settings/setWebhook", receiver.url()), PROVIDER_TIMEOUT).unwrap();
        let answer = poster.post(b"{}".to_vec()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"reason":3,"status":"FAIL"}"#));
        assert_eq!(receiver.calls(), [emulators::partner::Call::Set]);
    }

    #[tokio::test]
    async fn a_post_without_an_answer_says_why_and_does_not_repeat_the_url() {
        for url in ["http://127.0.0.1:1/token", "no url, token"] {
            let poster = Poster::new(url, PROVIDER_TIMEOUT).unwrap();
            let error = poster.post(Vec::new()).await.map(drop).unwrap_err();
            let message = format!("{error:#}");
            assert!(message.starts_with("no answer: ") && !message.contains("token"), "{message}");
        }
    }
}
