use std::fmt;

use shared::{
    WebhookUrl,
    partner_api::{self, AccessTokenAnswer, Reason, WebhookAnswer},
};
use thiserror::Error;
use ureq::{Agent, Body, RequestBuilder, Timeout, http::Response};

use crate::{
    Answered, ApiBaseUrl, Limits, SyncError,
    credentials::{AccessToken, ClientCredentials, Grant},
};

/// The most bytes of an answer that are read; the API's own have some hundred.
const LONGEST_ANSWER: u64 = 64 * 1024;
/// Room for what is sent and received at a time, in bytes, as much as web servers take and give headers. The HTTP client's
/// own choice, 128 KiB in each direction, is a fifth of the memory pages that a run touches.
const BUFFER: usize = 16 * 1024;

/// A call of the partner API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST /settings/accessToken`
    AccessToken,
    /// `GET /settings/getWebhook`
    Get,
    /// `POST /settings/setWebhook`
    Set,
}

/// A call about the webhook, with what it sends.
#[derive(Clone, Copy)]
pub(crate) enum WebhookCall<'a> {
    Get,
    Set(&'a WebhookUrl),
}

/// How the partner API was not reached. Neither the URL nor anything that was sent is part of it.
#[derive(Debug, Error)]
pub enum Unreached {
    /// Its name is not known.
    #[error("its host name cannot be resolved")]
    UnknownHost,
    /// No connection in time.
    #[error("no connection came about in time")]
    NoConnection,
    /// No whole answer in time.
    #[error("it did not answer in time")]
    NoAnswer,
    /// TCP or TLS failed.
    #[error("the connection failed: {0}")]
    Broken(String),
    /// The HTTP client ended without an answer, for another cause.
    #[error("the request was given up")]
    GivenUp,
}

/// The partner API over HTTP. Every method makes one request: it follows no redirect and does not try again.
pub(crate) struct PartnerApi {
    base: ApiBaseUrl,
    agent: Agent,
}

impl PartnerApi {
    pub(crate) fn new(base: ApiBaseUrl, limits: Limits) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.call))
            // Lambda stops the process between two runs, and a connection of the run before may be dead without a sign. Nor is one
            // used again within a run: a server that closes it meanwhile would take a call with it that is not made again.
            .max_idle_connections(0)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(BUFFER - 1)
            .build();
        Self { base, agent: Agent::new_with_config(config) }
    }

    /// Where it is.
    pub(crate) fn base(&self) -> &ApiBaseUrl {
        &self.base
    }

    pub(crate) async fn access_token(&self, client: &ClientCredentials) -> Result<Grant, SyncError> {
        let call = Call::AccessToken;
        let body = partner_api::access_token_request(&client.id, &client.secret);
        let answer = self.exchange(call, None, Some(body)).await?;
        match answer.read(AccessTokenAnswer::read)? {
            AccessTokenAnswer::Granted { token, expires_at } => match AccessToken::new(token) {
                Some(token) => Ok(Grant { token, expires_at }),
                None => Err(answer.not_the_api(Answered::UnusableToken)),
            },
            AccessTokenAnswer::Refused(Reason::WRONG_CREDENTIALS) => Err(SyncError::WrongCredentials { call }),
            AccessTokenAnswer::Refused(Reason::BLOCKED) => Err(SyncError::AddressBlocked),
            AccessTokenAnswer::Refused(Reason(number)) => Err(SyncError::UnknownReason { call, number }),
        }
    }

    pub(crate) async fn webhook(&self, call: WebhookCall<'_>, token: &AccessToken) -> Result<WebhookAnswer, SyncError> {
        let answer = match call {
            WebhookCall::Get => self.exchange(call.name(), Some(token), None).await?,
            WebhookCall::Set(url) => {
                let body = partner_api::set_webhook_request(url);
                self.exchange(call.name(), Some(token), Some(body)).await?
            }
        };
        answer.read(WebhookAnswer::read)
    }

    /// Makes a request, on a thread of its own because the HTTP client blocks.
    async fn exchange(
        &self,
        call: Call,
        token: Option<&AccessToken>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, SyncError> {
        let (agent, url) = (self.agent.clone(), self.base.call(call.path()));
        let authorization = token.map(AccessToken::authorization);
        let exchange = move || {
            let response = match body {
                None => authorized(agent.get(url), authorization).call(),
                Some(body) => authorized(agent.post(url), authorization).content_type("application/json").send(&body),
            };
            Answer::receive(call, response.map_err(|error| failed(call, &error))?)
        };
        let given_up = |_| SyncError::PartnerUnreachable { call, fault: Unreached::GivenUp };
        tokio::task::spawn_blocking(exchange).await.map_err(given_up)?
    }
}

fn authorized<B>(request: RequestBuilder<B>, authorization: Option<String>) -> RequestBuilder<B> {
    match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    }
}

/// What came back over HTTP, before anything is known about it.
struct Answer {
    call: Call,
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn receive(call: Call, response: Response<Body>) -> Result<Self, SyncError> {
        let mut answer = Self { call, status: response.status().as_u16(), body: Vec::new() };
        if response.status().is_redirection() {
            return Err(answer.not_the_api(Answered::Redirect));
        }
        match response.into_body().into_with_config().limit(LONGEST_ANSWER).read_to_vec() {
            Ok(body) => answer.body = body,
            Err(ureq::Error::BodyExceedsLimit(_)) => return Err(answer.not_the_api(Answered::TooLong)),
            Err(error) => return Err(failed(call, &error)),
        }
        Ok(answer)
    }

    /// The HTTP status does not count if the body is the API's: its reason says more.
    fn read<T>(&self, read: fn(&[u8]) -> Result<T, partner_api::NotTheApi>) -> Result<T, SyncError> {
        read(&self.body).map_err(|fault| self.not_the_api(Answered::Other(fault)))
    }

    fn not_the_api(&self, answered: Answered) -> SyncError {
        SyncError::NotTheApi { call: self.call, status: Some(self.status), answered }
    }
}

fn failed(call: Call, error: &ureq::Error) -> SyncError {
    let fault = match error {
        ureq::Error::HostNotFound => Unreached::UnknownHost,
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Unreached::NoConnection,
        ureq::Error::Timeout(_) => Unreached::NoAnswer,
        ureq::Error::LargeResponseHeader(..) => {
            return SyncError::NotTheApi { call, status: None, answered: Answered::LongHeaders };
        }
        ureq::Error::Protocol(_) => {
            return SyncError::NotTheApi { call, status: None, answered: Answered::NotHttp };
        }
        ureq::Error::Io(error) => Unreached::Broken(error.to_string()),
        ureq::Error::Rustls(error) => Unreached::Broken(error.to_string()),
        ureq::Error::Tls(error) => Unreached::Broken((*error).to_owned()),
        _ => Unreached::GivenUp,
    };
    SyncError::PartnerUnreachable { call, fault }
}

impl Call {
    fn path(self) -> &'static str {
        match self {
            Self::AccessToken => partner_api::ACCESS_TOKEN,
            Self::Get => partner_api::GET_WEBHOOK,
            Self::Set => partner_api::SET_WEBHOOK,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken => "access token",
            Self::Get => "get webhook",
            Self::Set => "set webhook",
        })
    }
}

impl WebhookCall<'_> {
    pub(crate) fn name(self) -> Call {
        match self {
            Self::Get => Call::Get,
            Self::Set(_) => Call::Set,
        }
    }
}
