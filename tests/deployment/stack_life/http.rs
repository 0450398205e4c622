//! Plain HTTP, for services that are called without an SDK.

use std::time::Duration;

use ureq::{Agent, Body, RequestBuilder, http::Response, typestate::WithBody};

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Lambda's mark of a function that failed.
    pub failed: bool,
}

/// Posts a body.
///
/// # Panics
/// Panics without an answer within a time that is longer than any function's.
pub async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    send(agent().post(url), headers, body.into()).await
}

/// Puts a body, as [`post`] does.
pub async fn put(url: &str, body: impl Into<Vec<u8>>) -> Answer {
    send(agent().put(url), &[], body.into()).await
}

/// Sends a GET request.
///
/// # Panics
/// As [`post`].
pub async fn get(url: &str) -> Answer {
    let request = agent().get(url);
    finish(move || request.call()).await
}

fn agent() -> Agent {
    let config = Agent::config_builder().proxy(None).http_status_as_error(false);
    Agent::new_with_config(config.timeout_global(Some(Duration::from_secs(100))).build())
}

async fn send(mut request: RequestBuilder<WithBody>, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    finish(move || request.send(body)).await
}

async fn finish(exchange: impl FnOnce() -> Result<Response<Body>, ureq::Error> + Send + 'static) -> Answer {
    let sent = tokio::task::spawn_blocking(move || {
        let mut response = exchange()?;
        Ok::<_, ureq::Error>(Answer {
            status: response.status().as_u16(),
            failed: response.headers().contains_key("x-amz-function-error"),
            body: response.body_mut().read_to_string()?,
        })
    });
    // The error of a request may repeat its URL, in which there may be a token.
    sent.await.unwrap().unwrap_or_else(|_| panic!("a call of the emulator was not answered"))
}
