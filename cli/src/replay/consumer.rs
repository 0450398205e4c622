//! The consumer of a replay: an HTTP endpoint that takes one event after the other.

use std::time::Duration;

use anyhow::{Result, bail};
use shared::{EventId, Timestamp, text::plain};

use super::destination::Destination;
use crate::send::Poster;

/// Maximum time until a consumer has answered.
const ANSWER: Duration = Duration::from_secs(10);

/// Maximum number of characters of an answer that are shown.
const LONGEST_SHOWN: usize = 200;

/// Header with the id of the event, the same each time that it is sent (Standard Webhooks, `webhook-id`).
const ID: &str = "webhook-id";

/// Header with the time of receipt, as RFC 3339. The `webhook-timestamp` of Standard Webhooks is another time, that of the attempt.
const RECEIVED_AT: &str = "webhook-received-at";

/// An event as a consumer gets it.
pub struct StoredEvent {
    pub id: EventId,
    pub received_at: Timestamp,
    /// The body as recorded, without its secrets.
    pub body: String,
}

/// An endpoint that takes events.
pub struct Consumer {
    poster: Poster,
    /// The parts of the URL that must not be shown, although an answer may repeat them.
    hidden: Vec<String>,
}

impl Consumer {
    /// Prepares to send to an endpoint.
    pub fn to(destination: &Destination) -> Self {
        Self { poster: Poster::new(destination.expose(), ANSWER), hidden: destination.hidden() }
    }

    /// Sends an event, with the exact bytes of its recorded body, and waits for a 2xx.
    ///
    /// # Errors
    /// Fails when the endpoint gives another answer, or none.
    pub async fn send(&self, event: StoredEvent) -> Result<()> {
        let StoredEvent { id, received_at, body } = event;
        let headers = [(ID, id.to_string()), (RECEIVED_AT, received_at.to_string())];
        let answer = self.poster.post(body.into_bytes(), &headers).await?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let note = if status.is_redirection() { "; redirects are not followed" } else { "" };
        match first_line(&answer.body, &self.hidden) {
            line if line.is_empty() => bail!("{status}{note}"),
            line => bail!("{status}{note}: {line}"),
        }
    }
}

/// Returns the first line of an answer, without the hidden parts of the URL.
fn first_line(answer: &str, hidden: &[String]) -> String {
    let line = answer.trim_start().lines().next().unwrap_or_default().to_owned();
    let line = hidden.iter().fold(line, |line, hidden| line.replace(hidden, "***"));
    plain(&line.chars().take(LONGEST_SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_one_line_is_shown_that_a_terminal_does_not_obey() {
        assert_eq!(first_line("\r\n out of \x1b[2Jorder\nsecret line", &[]), "out of \\u{1b}[2Jorder");
        assert_eq!(first_line(&"é".repeat(300), &[]), "é".repeat(200));
        assert_eq!(first_line("", &[]), "");
    }

    #[test]
    fn parts_of_the_url_in_an_answer_are_not_shown() {
        let url = "https://a.example/in/long-s3cret-0/t0k/?key=k3y%21";
        let to = Destination::parse(url, "https://b.example/api", "https://c.example/v1").unwrap();
        for (answer, shown) in [
            ("Cannot POST /in/long-s3cret-0/t0k/?key=k3y%21 here", "Cannot POST ***/?*** here"),
            ("no such tenant: long-s3cret-0", "no such tenant: ***"),
            ("t0k is not good, nor is k3y!", "*** is not good, nor is ***"),
            ("in order", "in order"),
        ] {
            assert_eq!(first_line(answer, &to.hidden()), shown);
        }
        let long = format!("{}t0k", "x".repeat(198));
        assert_eq!(first_line(&long, &to.hidden()), format!("{}**", "x".repeat(198)), "nor the start of it");
    }
}
