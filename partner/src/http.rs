use std::time::Duration;

use ureq::{Agent, Body, RequestBuilder, Timeout, http::Response};

use crate::{
    base_url::ApiBaseUrl,
    error::{PartnerError, Unexpected, Unreached, is_outage},
    operation::Operation,
};

/// Size of the buffer in each direction and limit of the headers, in bytes: as much as web servers send and accept. The HTTP
/// client's own default, 128 KiB each, is a fifth of the memory pages that a run touches.
const BUFFER: usize = 16 * 1024;

/// Time limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum time to connect: name, TCP and TLS.
    pub connect: Duration,
    /// Maximum time of a whole call, from its start to the last byte of the answer.
    pub call: Duration,
}

/// An API over HTTP. Every call is one request: it follows no redirect and does not retry.
pub(crate) struct HttpClient {
    base: ApiBaseUrl,
    agent: Agent,
}

impl HttpClient {
    pub(crate) fn new(base: ApiBaseUrl, limits: Limits) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.call))
            // Lambda stops the process between two runs, so a connection of an earlier run may be dead without a sign. None is
            // reused within a run either: a server that closes it meanwhile would lose a call that is not retried.
            .max_idle_connections(0)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(BUFFER - 1)
            .build();
        Self { base, agent: Agent::new_with_config(config) }
    }

    pub(crate) fn base(&self) -> &ApiBaseUrl {
        &self.base
    }

    /// Sends a request: GET without a body, POST with one. It runs on a thread of its own because the HTTP client blocks.
    pub(crate) async fn send(
        &self,
        operation: Operation,
        authorization: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, PartnerError> {
        let (agent, url) = (self.agent.clone(), self.base.join(operation.path()));
        let exchange = move || {
            let response = match body {
                None => authorized(agent.get(url), authorization).call(),
                Some(body) => authorized(agent.post(url), authorization).content_type("application/json").send(&body),
            };
            Answer::receive(operation, response.map_err(|error| failed(operation, &error))?)
        };
        let given_up = |_| PartnerError::Unreachable { operation, cause: Unreached::GivenUp };
        tokio::task::spawn_blocking(exchange).await.map_err(given_up)?
    }
}

fn authorized<B>(request: RequestBuilder<B>, authorization: Option<String>) -> RequestBuilder<B> {
    match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    }
}

/// An answer over HTTP whose body has not been read yet.
pub(crate) struct Answer {
    operation: Operation,
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn receive(operation: Operation, response: Response<Body>) -> Result<Self, PartnerError> {
        let mut answer = Self { operation, status: response.status().as_u16(), body: Vec::new() };
        if response.status().is_redirection() {
            return Err(answer.not_the_api(Unexpected::Redirect));
        }
        let limit = operation.max_answer_bytes();
        match response.into_body().into_with_config().limit(limit).read_to_vec() {
            Ok(body) => answer.body = body,
            Err(ureq::Error::BodyExceedsLimit(_)) => return Err(answer.not_the_api(Unexpected::TooLong(limit))),
            Err(error) => return Err(failed(operation, &error)),
        }
        Ok(answer)
    }

    /// Reads the body. The HTTP status of a refusal does not count, because the reason in the body says more. But with the status of an
    /// outage no body counts: a failing gateway may repeat an old answer, and a server that fails refuses everything.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&[u8]) -> Result<T, Unexpected>) -> Result<T, PartnerError> {
        let answer = read(&self.body).map_err(|answer| self.not_the_api(answer))?;
        if is_outage(self.status) { Err(self.not_the_api(Unexpected::FailedStatus)) } else { Ok(answer) }
    }

    /// Fails when the HTTP status is not one of success.
    pub(crate) fn succeeded(&self) -> Result<(), PartnerError> {
        if (200..300).contains(&self.status) { Ok(()) } else { Err(self.not_the_api(Unexpected::FailedStatus)) }
    }

    pub(crate) fn not_the_api(&self, answer: Unexpected) -> PartnerError {
        PartnerError::NotTheApi { operation: self.operation, status: Some(self.status), answer }
    }
}

fn failed(operation: Operation, error: &ureq::Error) -> PartnerError {
    let not_the_api = |answer| PartnerError::NotTheApi { operation, status: None, answer };
    let cause = match error {
        ureq::Error::HostNotFound => Unreached::UnknownHost,
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Unreached::NoConnection,
        ureq::Error::Timeout(_) => Unreached::NoAnswer,
        ureq::Error::LargeResponseHeader(..) => return not_the_api(Unexpected::LongHeaders),
        ureq::Error::Protocol(_) => return not_the_api(Unexpected::NotHttp),
        ureq::Error::Io(error) => Unreached::Broken(error.to_string()),
        ureq::Error::Rustls(error) => Unreached::Broken(error.to_string()),
        ureq::Error::Tls(error) => Unreached::Broken((*error).to_owned()),
        _ => Unreached::GivenUp,
    };
    PartnerError::Unreachable { operation, cause }
}
