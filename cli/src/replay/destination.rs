//! The destinations of a replay.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use outbound::{
    Answer, BusEntry, Endpoint, EndpointUrl, ForwardMessage, InvalidEndpointUrl, Message, Refusal, Signer,
    without_sealed,
};
use shared::{ForbiddenDestination, InvalidWebhookUrl, Timestamp, check_destination};
use store::StoredDelivery;
use url::Url;

use crate::{
    handing_on::{EventBus, Forwarding},
    route::Route,
};

/// Maximum time until an endpoint has answered.
const ANSWER: Duration = Duration::from_secs(10);

/// Wait before an event is sent again to a destination that requests no other wait.
const PAUSE: Duration = Duration::from_secs(1);

/// Maximum wait that an endpoint can request with `Retry-After`. After a request for more the event counts as refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A destination of a replay.
///
/// `Display` hides every part of a URL that may be a token.
pub enum Destination<'a> {
    /// An endpoint of the partner's.
    Endpoint(Box<Consumer>),
    /// The event bus.
    Bus(&'a EventBus),
    /// The forward queue.
    Forward {
        forwarding: &'a Forwarding,
        /// True to also send the events that the endpoint has accepted before.
        again: bool,
        /// A text that only this replay has, so that SQS does not mistake its messages for repetitions of others.
        nonce: String,
    },
}

/// An endpoint of the partner's, named by the person.
pub struct Consumer {
    url: EndpointUrl,
    endpoint: Endpoint,
    /// `None` when the events are sent without a signature.
    signer: Option<Signer>,
}

/// The outcome of an offered event.
#[derive(Debug)]
pub enum Offered {
    /// The destination has it.
    Taken,
    /// The endpoint accepted it before, so it was not sent.
    TakenBefore,
    /// The destination does not have it.
    Refused {
        /// One line, without the secret parts of a URL.
        cause: String,
        /// The wait after which it can be offered once more; `None` when that is of no use.
        retry_after: Option<Duration>,
        /// True when it may be refused for what it contains, and another event not.
        is_for_content: bool,
    },
}

impl Destination<'_> {
    /// Returns the endpoint with a URL. Without a signer the events are not signed.
    ///
    /// # Errors
    /// Fails when there is no way to it.
    pub fn endpoint(url: EndpointUrl, signer: Option<Signer>) -> Result<Self> {
        let Route { proxy, tls } = Route::to(url.expose())?;
        let endpoint = Endpoint::through(url.clone(), ANSWER, proxy, tls);
        Ok(Self::Endpoint(Box::new(Consumer { endpoint, url, signer })))
    }

    /// Returns a text that tells it from others. It may include a secret.
    pub fn identity(&self) -> &str {
        match self {
            Self::Endpoint(consumer) => consumer.url.expose(),
            Self::Bus(_) => "bus",
            Self::Forward { .. } => "forward",
        }
    }

    /// Offers an event with a body once.
    ///
    /// # Errors
    /// Fails when it is not known whether the endpoint accepted the event before.
    pub async fn offer(&self, event: &StoredDelivery, now: Timestamp) -> Result<Offered> {
        match self {
            Self::Endpoint(consumer) => {
                let body = without_sealed(event.body.as_deref().unwrap_or_default());
                let message = Message { id: event.id, received_at: event.received_at, body };
                Ok(match consumer.endpoint.offer(&message, consumer.signer.as_ref(), now).await {
                    Answer::Taken => Offered::Taken,
                    Answer::Refused(refusal) => {
                        let is_for_content = refusal.status().is_some_and(is_for_content);
                        Offered::Refused { cause: refusal.to_string(), retry_after: pause(&refusal), is_for_content }
                    }
                })
            }
            Self::Bus(bus) => Ok(match bus.put(&BusEntry::new(event, true)).await {
                Ok(()) => Offered::Taken,
                Err(error) => {
                    let is_temporary = error
                        .code
                        .as_deref()
                        .is_some_and(|code| ["InternalFailure", "ThrottlingException"].contains(&code));
                    let retry_after = is_temporary.then_some(PAUSE);
                    Offered::Refused { cause: error.to_string(), retry_after, is_for_content: !is_temporary }
                }
            }),
            Self::Forward { forwarding, again, nonce } => {
                let mut message = ForwardMessage::of(event);
                if *again {
                    message = message.again();
                } else if forwarding.records.taken(&event.entity, &event.id).await?.is_some() {
                    return Ok(Offered::TakenBefore);
                }
                let deduplication_id = format!("{nonce}-{}", event.id);
                Ok(match forwarding.send(&message, &deduplication_id).await {
                    Ok(()) => Offered::Taken,
                    Err(error) => {
                        Offered::Refused { cause: error.to_string(), retry_after: None, is_for_content: false }
                    }
                })
            }
        }
    }
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(consumer) => consumer.url.fmt(f),
            Self::Bus(_) => f.write_str("the event bus"),
            Self::Forward { .. } => f.write_str("the forward queue"),
        }
    }
}

/// Returns whether an endpoint that answers with this status may accept other events.
fn is_for_content(status: u16) -> bool {
    (400..500).contains(&status) && ![401, 403, 408, 410, 429].contains(&status)
}

/// Returns the wait before an event is offered once more to an endpoint that refused it; `None` when it is not.
fn pause(refusal: &Refusal) -> Option<Duration> {
    let is_temporary = refusal.status().is_some_and(|status| status == 429 || status >= 500);
    let wait = refusal.retry_after().unwrap_or(PAUSE);
    (is_temporary && wait <= LONGEST_PAUSE).then_some(wait)
}

/// Reads the URL of an endpoint, which must be neither the provider's nor our own webhook's, whose addresses are given.
///
/// # Errors
/// Fails when it is no URL, or one of those. Only its host is in the message.
pub fn endpoint_url(text: &str, partner_api: &str, webhook: &str) -> Result<EndpointUrl> {
    let example = "--to is the URL of your own endpoint, such as https://example.com/events";
    let url = match EndpointUrl::parse(text) {
        Ok(url) => url,
        Err(InvalidEndpointUrl::Forbidden(fault)) => bail!("{fault}; {example}"),
        Err(InvalidEndpointUrl::Url(InvalidWebhookUrl::NotAUrl)) => {
            bail!("--to is neither bus nor forward, and not an absolute URL such as https://example.com/events")
        }
        Err(fault) => return Err(anyhow!("the URL of --to {fault}")),
    };
    let provider = Url::parse(partner_api).context("the address of the partner API")?;
    let webhook = Url::parse(webhook).context("the address of the webhook")?;
    match check_destination(url.url(), &[&provider], Some(&webhook)) {
        Err(fault @ ForbiddenDestination::OwnWebhook(_)) => {
            bail!("{fault}: it would record the events again, without their secrets; {example}")
        }
        Err(fault) => bail!("{fault}; {example}"),
        Ok(()) => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "https://partners.example.net/api";
    const WEBHOOK: &str = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook";

    fn refusal(text: &str) -> String {
        endpoint_url(text, API, WEBHOOK).unwrap_err().to_string()
    }

    #[test]
    fn a_consumer_is_taken_and_shown_without_its_token() {
        let url = endpoint_url("https://consumer.example.com/in/s3cret?key=s3cret", API, WEBHOOK).unwrap();
        let to = Destination::endpoint(url, None).unwrap();
        let shown = to.to_string();
        assert!(shown.starts_with("https://consumer.example.com/in/***") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(to.identity(), "https://consumer.example.com/in/s3cret?key=s3cret");
    }

    #[test]
    fn the_provider_and_our_own_webhook_are_refused() {
        for (text, message) in [
            ("https://PARTNERS.example.net.:8443/s3cret", "partners.example.net is the provider's; "),
            ("https://api.99digital.co.il/s3cret", "api.99digital.co.il is the provider's; "),
            (&format!("{WEBHOOK}/s3cret"), " is this webhook's own address: it would record the events again"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(message) && !refusal.contains("s3cret"), "{refusal}");
        }
    }

    #[test]
    fn a_text_that_is_no_url_for_events_is_refused_with_a_remedy() {
        for (text, message) in [
            ("consumer.example.com/s3cret", "not an absolute URL such as https://example.com/events"),
            ("buss", "--to is neither bus nor forward"),
            ("http://consumer.example.com/s3cret", "such as http://127.0.0.1:8080/events"),
            ("https://u:s3cret@consumer.example.com/", "has a user name or password; "),
            ("https://consumer.example.com/#s3cret", "has a fragment"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(message) && !refusal.contains("s3cret"), "{refusal}");
        }
    }

    #[test]
    fn a_429_and_a_5xx_are_tried_once_more_after_a_wait_of_at_most_a_minute() {
        let now = Timestamp::from_micros(1_795_339_800_000_000);
        let pause = |status, retry_after| match Answer::of(status, retry_after, now) {
            Answer::Taken => panic!("{status} is no refusal"),
            Answer::Refused(refusal) => pause(&refusal).map(|wait| wait.as_secs()),
        };
        for status in [429, 500, 503, 599] {
            assert_eq!(pause(status, None), Some(1), "{status}");
        }
        assert_eq!(pause(503, Some("0")), Some(0));
        assert_eq!(pause(429, Some("60")), Some(60));
        assert_eq!(pause(429, Some("61")), None);
        for status in [302, 400, 404, 408, 410] {
            assert_eq!(pause(status, Some("1")), None, "{status}");
        }
        assert_eq!(super::pause(&Refusal::no_answer("timed out")), None);
    }
}
