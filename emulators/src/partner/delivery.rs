use std::time::{Duration, Instant};

use thiserror::Error;
use ureq::Agent;

use super::Partner;

/// How long the provider waits for the answer to an event (its page on the webhook of the WhatsApp V2 API).
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are looked at.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// What the registered URL answered to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// From the first byte sent to the last byte received.
    pub elapsed: Duration,
}

/// Why an event was not answered. For the provider that is the end of it: it does not send it again.
#[derive(Debug, Error)]
pub enum DeliveryFailed {
    /// There is nowhere to send it.
    #[error("no webhook is registered")]
    NothingRegistered,
    /// No answer within 5 seconds.
    #[error("the webhook did not answer within {} s", PATIENCE.as_secs())]
    TooLate,
    /// No connection, or one that broke.
    #[error("the webhook could not be reached: {0}")]
    Unreachable(String),
}

impl Partner {
    /// Sends an event to the registered URL, as the provider does: one POST, 5 seconds, never again.
    ///
    /// # Errors
    /// When there is no answer, whatever its status.
    pub async fn deliver(&self, event: Vec<u8>) -> Result<Delivered, DeliveryFailed> {
        let url = self.registered().ok_or(DeliveryFailed::NothingRegistered)?;
        let sent = tokio::task::spawn_blocking(move || post(&url, &event)).await;
        sent.map_err(|_| DeliveryFailed::Unreachable("the delivery was given up".to_owned()))?
    }
}

fn post(url: &str, event: &[u8]) -> Result<Delivered, DeliveryFailed> {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(PATIENCE))
        .build();
    let started = Instant::now();
    let response = Agent::new_with_config(config).post(url).content_type("application/json").send(event);
    let mut response = response.map_err(failed)?;
    let body = response.body_mut().with_config().limit(LONGEST_ANSWER).lossy_utf8(true).read_to_string();
    Ok(Delivered { status: response.status().as_u16(), body: body.map_err(failed)?, elapsed: started.elapsed() })
}

fn failed(error: ureq::Error) -> DeliveryFailed {
    match error {
        ureq::Error::Timeout(_) => DeliveryFailed::TooLate,
        // Its own text repeats the URL, in which there is a token.
        ureq::Error::BadUri(_) => DeliveryFailed::Unreachable("what is registered is not a URL".to_owned()),
        error => DeliveryFailed::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_goes_to_the_registered_url_and_its_answer_comes_back() {
        let (partner, receiver) = (Partner::start().await.unwrap(), Partner::start().await.unwrap());
        partner.register(Some(&format!("{}/settings/setWebhook", receiver.url())));
        let delivered = partner.deliver(b"{}".to_vec()).await.unwrap();
        assert_eq!((delivered.status, delivered.body.as_str()), (200, r#"{"reason":3,"status":"FAIL"}"#));
        assert_eq!(receiver.calls(), [super::super::Call::Set]);
    }

    #[tokio::test]
    async fn a_delivery_without_an_answer_says_why() {
        let partner = Partner::start().await.unwrap();
        assert!(matches!(partner.deliver(Vec::new()).await, Err(DeliveryFailed::NothingRegistered)));
        for url in ["http://127.0.0.1:1/token", "no url, token"] {
            partner.register(Some(url));
            let failed = partner.deliver(Vec::new()).await.unwrap_err();
            assert!(matches!(failed, DeliveryFailed::Unreachable(_)) && !failed.to_string().contains("token"));
        }
    }
}
