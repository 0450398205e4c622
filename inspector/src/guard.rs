//! Access control: lets in requests from this machine with the token in their path, sent by our own pages.
//!
//! Any page in a browser can send requests to 127.0.0.1, and can point a name of its own at it. Such a request has another
//! `Host`, or the `Origin` of that page, and it does not have the token.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::Secret;
use subtle::ConstantTimeEq;

/// Random bytes of the token.
const TOKEN: usize = 16;

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

/// The inspector's own address.
pub struct Guard {
    token: Secret,
    port: u16,
}

impl Guard {
    /// Creates one with a new token.
    ///
    /// # Errors
    /// Fails when the system has no random bytes.
    pub fn new(port: u16) -> Result<Self> {
        let mut random = [0; TOKEN];
        getrandom::fill(&mut random).context("the system has no random bytes for the page's address")?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { token: Secret::new(token), port })
    }

    /// Returns the address of the start page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}/", self.port, self.token.expose())
    }

    /// Returns the refusal of a request; `None` when it may pass.
    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        let Some(host) = only(request.headers(), &header::HOST).filter(|host| self.is_own_host(host)) else {
            return Some((StatusCode::FORBIDDEN, "not this host\n"));
        };
        if !self.has_token(request.uri().path()) {
            return Some((StatusCode::NOT_FOUND, "not found\n"));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let own_page =
            only(request.headers(), &header::ORIGIN).is_some_and(|origin| origin == format!("http://{host}"));
        (!reads && !own_page).then_some((StatusCode::FORBIDDEN, "not from a page of this host\n"))
    }

    fn is_own_host(&self, host: &str) -> bool {
        ["127.0.0.1", "localhost"].iter().any(|name| host == format!("{name}:{}", self.port))
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
