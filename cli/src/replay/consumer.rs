//! Handing one event to a consumer.

use std::{
    io::{self, Read},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use shared::{EventId, Timestamp, text::plain};
use ureq::{Agent, Body, Error, http::Response};

use super::destination::Destination;

/// How long a consumer may take for its answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How much of an answer is read.
const MOST_OF_AN_ANSWER: u64 = 4_096;

/// How many characters of an answer are shown.
const MOST_SHOWN: usize = 200;

/// The id of the event, the same each time that it is handed over (Standard Webhooks, `webhook-id`).
const ID: &str = "webhook-id";

/// When the event was received, as RFC 3339. The `webhook-timestamp` of Standard Webhooks is another time, that of the attempt.
const RECEIVED_AT: &str = "webhook-received-at";

/// An event as a consumer gets it.
pub struct StoredEvent {
    pub id: EventId,
    pub received_at: Timestamp,
    /// Without its secrets.
    pub body: String,
}

/// Hands events to a consumer.
#[derive(Clone)]
pub struct Consumer {
    agent: Agent,
    url: String,
    /// What of the URL must not be shown, although an answer may repeat it.
    hidden: Vec<String>,
}

impl Consumer {
    /// To that one.
    pub fn to(destination: &Destination) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(ANSWER))
            .build();
        Self {
            agent: Agent::new_with_config(config),
            url: destination.expose().to_owned(),
            hidden: destination.hidden(),
        }
    }

    /// Hands it one, and waits until it has said that it took it.
    ///
    /// # Errors
    /// When it has not: what it has answered, or why it has not answered.
    pub async fn hand(&self, event: StoredEvent) -> Result<()> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.post(&event)).await.context("the handing over has ended")?
    }

    fn post(&self, event: &StoredEvent) -> Result<()> {
        let request = self
            .agent
            .post(&self.url)
            .content_type("application/json")
            .header(ID, event.id.to_string())
            .header(RECEIVED_AT, event.received_at.to_string());
        let response = request.send(&event.body).map_err(|error| match error {
            Error::Timeout(_) => anyhow!("no answer within {} s", ANSWER.as_secs()),
            Error::Io(error) => anyhow!("no answer: {error}"),
            // The URL would be part of the message.
            Error::BadUri(_) => anyhow!("no answer: it is no URL to send to"),
            error => anyhow!("no answer: {error}"),
        })?;
        let status = response.status();
        let start = start_of(response);
        if status.is_success() {
            return Ok(());
        }
        let note = if status.is_redirection() { "; redirects are not followed" } else { "" };
        match first_line(&start, &self.hidden) {
            line if line.is_empty() => bail!("{status}{note}"),
            line => bail!("{status}{note}: {line}"),
        }
    }
}

/// The start of an answer, as far as it comes. If that is all, the connection serves for the next event.
fn start_of(response: Response<Body>) -> Vec<u8> {
    let mut start = Vec::new();
    // The status has said everything; what comes after it is only shown.
    let mut body = response.into_body();
    let _: io::Result<usize> = body.as_reader().take(MOST_OF_AN_ANSWER).read_to_end(&mut start);
    start
}

/// The first line of an answer, without what is to be hidden.
fn first_line(answer: &[u8], hidden: &[String]) -> String {
    let answer = String::from_utf8_lossy(answer);
    let line = answer.trim_start().lines().next().unwrap_or_default().to_owned();
    let line = hidden.iter().fold(line, |line, hidden| line.replace(hidden, "***"));
    plain(&line.chars().take(MOST_SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_one_line_is_shown_that_a_terminal_does_not_obey() {
        assert_eq!(first_line(b"\r\n out of \x1b[2Jorder\nsecret line", &[]), "out of \\u{1b}[2Jorder");
        assert_eq!(first_line("é".repeat(300).as_bytes(), &[]), "é".repeat(200));
        assert_eq!(first_line(b"", &[]), "");
    }

    #[test]
    fn what_an_answer_repeats_of_the_url_is_not_shown() {
        let url = "https://a.example/in/long-s3cret-0/t0k/?key=k3y%21";
        let to = Destination::parse(url, "https://b.example/api", "https://c.example/v1").unwrap();
        for (answer, shown) in [
            ("Cannot POST /in/long-s3cret-0/t0k/?key=k3y%21 here", "Cannot POST ***/?*** here"),
            ("no such tenant: long-s3cret-0", "no such tenant: ***"),
            ("t0k is not good, nor is k3y!", "*** is not good, nor is ***"),
            ("in order", "in order"),
        ] {
            assert_eq!(first_line(answer.as_bytes(), &to.hidden()), shown);
        }
        let long = format!("{}t0k", "x".repeat(198));
        assert_eq!(first_line(long.as_bytes(), &to.hidden()), format!("{}**", "x".repeat(198)), "nor the start of it");
    }
}
