//! Access control: lets in requests from this machine with the token in their path, sent by our own pages.
//!
//! Any page in a browser can send requests to 127.0.0.1, and can point a name of its own at it. Such a request has another
//! `Host`, or the `Origin` of that page, and it does not have the token.
//! A person who forwards the port reaches the pages under another address. Beside our own address, only the one that this person has named
//! is accepted: as the `Host`, or as the `Origin` alone, because some forwarders replace the `Host` with ours.

use std::{str::FromStr, sync::Arc};

use anyhow::{Context, Result};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::Secret;
use subtle::ConstantTimeEq;
use url::Url;

/// The names of this machine in its own browser.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// Random bytes of the token.
const TOKEN: usize = 16;

/// The answer at an address that is not known. It repeats nothing of the request.
const UNKNOWN_HOST: &str = "\
These pages are not served under the address in your browser. If you forward their port, start them with that address:

  cargo hooks inspect --address http://localhost:8080
  cargo hooks dev --address http://localhost:8080
";

/// The headers of every answer. With `no-referrer` browsers would send `Origin: null` with our own forms; `same-origin` hides the
/// address from other sites as well.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The secret part of the pages' address: 32 hexadecimal digits.
#[derive(Clone)]
pub struct PageToken(Secret);

/// The text is not a [`PageToken`].
#[derive(Clone, Copy, Debug)]
pub struct NotAPageToken;

impl PageToken {
    /// Creates a random one.
    ///
    /// # Errors
    /// Fails when the system has no random bytes.
    pub fn random() -> Result<Self> {
        let mut random = [0; TOKEN];
        getrandom::fill(&mut random).context("the system has no random bytes for the page's address")?;
        Ok(Self(Secret::new(random.iter().map(|byte| format!("{byte:02x}")).collect::<String>())))
    }

    /// Returns the digits.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for PageToken {
    type Err = NotAPageToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_token = text.len() == 2 * TOKEN && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_token { Ok(Self(Secret::new(text))) } else { Err(NotAPageToken) }
    }
}

/// The address under which a browser reaches the pages when their port is forwarded, such as `http://localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedAddress {
    /// As in the header `Origin`.
    origin: String,
    /// As in the header `Host`.
    host: String,
    loopback_port: Option<u16>,
}

impl ForwardedAddress {
    /// Returns its port, if the browser reaches it on its own machine, as through an SSH tunnel.
    pub fn loopback_port(&self) -> Option<u16> {
        self.loopback_port
    }
}

impl FromStr for ForwardedAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault =
            "expected an address without a path, such as http://localhost:8080 or https://name-9010.app.github.dev";
        let url = Url::parse(text).map_err(|_| fault)?;
        let has_only_origin = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let is_wildcard = url.host_str().is_some_and(|host| host.contains('*'));
        let has_only_origin = has_only_origin && !is_wildcard;
        let (Some(host), true, true) = (url.host_str(), has_only_origin, matches!(url.scheme(), "http" | "https"))
        else {
            return Err(fault);
        };
        let loopback_port = url.port().filter(|_| LOOPBACK.contains(&host));
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { origin: url.origin().ascii_serialization(), host, loopback_port })
    }
}

/// The addresses of the pages, and their token.
pub struct Guard {
    token: PageToken,
    port: u16,
    forwarded: Option<ForwardedAddress>,
}

impl Guard {
    /// Creates one for the pages on a port of 127.0.0.1, and for the address under which that port is forwarded.
    pub fn new(token: PageToken, port: u16, forwarded: Option<ForwardedAddress>) -> Self {
        Self { token, port, forwarded }
    }

    /// Returns the address of the start page.
    pub fn url(&self) -> String {
        let origin = match &self.forwarded {
            Some(forwarded) => forwarded.origin.clone(),
            None => format!("http://127.0.0.1:{}", self.port),
        };
        format!("{origin}/{}/", self.token.expose())
    }

    /// Returns the refusal of a request; `None` when it may pass.
    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        let Some(host) = only(request.headers(), &header::HOST).filter(|host| self.is_own_host(host)) else {
            return Some((StatusCode::FORBIDDEN, UNKNOWN_HOST));
        };
        if !self.has_token(request.uri().path()) {
            return Some((StatusCode::NOT_FOUND, "not found\n"));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let own_page = only(request.headers(), &header::ORIGIN).is_some_and(|origin| self.is_own_origin(origin, host));
        (!reads && !own_page).then_some((StatusCode::FORBIDDEN, "not from a page of this host\n"))
    }

    fn is_own_host(&self, host: &str) -> bool {
        let is_on = |port: u16| LOOPBACK.iter().any(|name| host == format!("{name}:{port}"));
        is_on(self.port)
            || self
                .forwarded
                .as_ref()
                .is_some_and(|forwarded| host == forwarded.host || forwarded.loopback_port.is_some_and(is_on))
    }

    /// Returns whether a page of this origin, which sent a request to one of our hosts, is ours.
    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        match &self.forwarded {
            Some(forwarded) if origin == forwarded.origin => true,
            Some(forwarded) if host == forwarded.host => false,
            _ => origin == format!("http://{host}"),
        }
    }

    fn has_token(&self, path: &str) -> bool {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        path.starts_with('/')
            && !path.starts_with("//")
            && bool::from(first.as_bytes().ct_eq(self.token.expose().as_bytes()))
    }
}

/// Returns the header's value when there is exactly one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Lets a request pass, or refuses it.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.refusal(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
