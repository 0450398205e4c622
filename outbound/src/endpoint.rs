//! One attempt to post an event to an endpoint.

use std::{io::Read, time::Duration};

use shared::{EventId, Timestamp};
use ureq::{Agent, Body, Error, Proxy, http::Response, tls::TlsConfig};

use crate::{
    answer::{Answer, Refusal},
    endpoint_url::EndpointUrl,
    signing::Signer,
};

/// Maximum time for TCP and TLS of a new connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Maximum number of bytes read from an answer.
const LONGEST_ANSWER: u64 = 4_096;

/// Maximum number of characters kept from an answer.
const LONGEST_DETAIL: usize = 200;

/// Header with the event's time of receipt. The header `webhook-timestamp` is the time of the attempt.
const RECEIVED_AT: &str = "webhook-received-at";

/// An event in the form for an endpoint.
#[derive(Clone)]
pub struct Message {
    /// The header `webhook-id`, the same in every attempt.
    pub id: EventId,
    /// Time at which the provider delivered the event.
    pub received_at: Timestamp,
    /// The JSON text that is posted and signed.
    pub body: String,
}

/// The partner's endpoint, which events are posted to.
///
/// `Display` is its URL without the parts that may be a token.
#[derive(Clone)]
pub struct Endpoint {
    agent: Agent,
    url: EndpointUrl,
    timeout: Duration,
}

impl Endpoint {
    /// Creates an endpoint that is reached directly. `timeout` is the maximum time for each answer, including connecting.
    pub fn new(url: EndpointUrl, timeout: Duration) -> Self {
        Self::through(url, timeout, None, TlsConfig::default())
    }

    /// Creates an endpoint that is reached through a proxy, if there is one, and with these settings for TLS.
    pub fn through(url: EndpointUrl, timeout: Duration, proxy: Option<Proxy>, tls: TlsConfig) -> Self {
        let config = Agent::config_builder()
            .proxy(proxy)
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(timeout))
            .user_agent(concat!("partner-webhook/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: Agent::new_with_config(config), url, timeout }
    }

    /// Posts a message once, signed when there is a signer, and judges the answer.
    pub async fn offer(&self, message: &Message, signer: Option<&Signer>, now: Timestamp) -> Answer {
        let signature = signer.map(|signer| signer.sign(&message.id, now, &message.body));
        let (this, message) = (self.clone(), message.clone());
        // The HTTP client blocks.
        let attempt = tokio::task::spawn_blocking(move || this.post(&message, signature, now));
        attempt.await.unwrap_or_else(|_| Answer::Refused(Refusal::no_answer("the attempt was cut off")))
    }

    fn post(&self, message: &Message, signature: Option<String>, now: Timestamp) -> Answer {
        let mut request = self
            .agent
            .post(self.url.expose())
            .content_type("application/json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, message.id.to_string())
            .header(RECEIVED_AT, message.received_at.to_string());
        if let Some(signature) = signature {
            request = request
                .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now.as_secs().to_string())
                .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature);
        }
        match request.send(&message.body) {
            Ok(response) => self.judge(response, now),
            Err(error) => Answer::Refused(Refusal::no_answer(self.cause(&error))),
        }
    }

    fn judge(&self, response: Response<Body>, now: Timestamp) -> Answer {
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        // A short answer is read to its end, so that the connection can be reused for the next event.
        let start = start_of(response);
        match Answer::of(status, retry_after.as_deref(), now) {
            Answer::Taken => Answer::Taken,
            Answer::Refused(refusal) => Answer::Refused(refusal.with_detail(self.first_line(&start))),
        }
    }

    /// Returns the first line of an answer, for people: truncated, masked, without control characters.
    fn first_line(&self, answer: &[u8]) -> String {
        let answer = String::from_utf8_lossy(answer);
        let line = self.url.mask(answer.trim_start().lines().next().unwrap_or_default());
        line.chars().take(LONGEST_DETAIL).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
    }

    /// Returns the reason for a missing answer, without the secret parts of the URL, which some errors repeat.
    fn cause(&self, error: &Error) -> String {
        match error {
            Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
                format!("no connection within {} s", CONNECT.min(self.timeout).as_secs())
            }
            Error::Timeout(_) => format!("none within {} s", self.timeout.as_secs()),
            Error::HostNotFound => "the host name is unknown".to_owned(),
            Error::BadUri(_) => "the URL cannot be sent to".to_owned(),
            Error::Io(error) => self.url.mask(&error.to_string()),
            error => self.url.mask(&error.to_string()),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}

/// Reads the start of an answer's body. Its status has been judged, so a broken body does not matter.
fn start_of(response: Response<Body>) -> Vec<u8> {
    let mut start = Vec::new();
    let mut body = response.into_body();
    let _: std::io::Result<usize> = body.as_reader().take(LONGEST_ANSWER).read_to_end(&mut start);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_missing_answer_repeats_no_secret_part_of_the_host() {
        let url = EndpointUrl::parse("https://a1b2c3d4e5f6a7b8c9d0e1f2.example.com/events").unwrap();
        let endpoint = Endpoint::new(url, Duration::from_secs(1));
        let text = "certificate not valid for name \"a1b2c3d4e5f6a7b8c9d0e1f2.example.com\"";
        let cause = endpoint.cause(&Error::Io(std::io::Error::other(text)));
        assert_eq!(cause, "certificate not valid for name \"***.example.com\"");
    }
}
