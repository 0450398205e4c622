//! The HTTP server under every stand-in: an address on the loopback interface, and a guard against web pages.
//!
//! Any page in a browser can send requests to 127.0.0.1, and can point a name of its own at it. Such a request has the
//! `Origin` of that page, a `Sec-Fetch-Site` that says so, or a foreign `Host`. Programs send none of them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::oneshot};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Starts one on a port of the loopback interface; 0 is a free one.
    ///
    /// # Errors
    /// Fails if the port is taken.
    pub async fn start(port: u16, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router.layer(middleware::from_fn(refuse_web_pages));
        let server = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(async {
                // An error means that the sender was dropped, which is how the server is told to stop.
                let _ = stopped.await;
            });
        tokio::spawn(server.into_future());
        Ok(Self { address, _stop: stop })
    }

    /// Returns its address as `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn refuse_web_pages(request: Request, next: Next) -> Response {
    match refusal(request.headers(), request.uri().authority()) {
        Some(reason) => (StatusCode::FORBIDDEN, format!("refused: {reason}\n")).into_response(),
        None => next.run(request).await,
    }
}

/// Returns the reason to refuse a request; `None` if a program on this machine may have sent it.
fn refusal(headers: &HeaderMap, authority: Option<&Authority>) -> Option<&'static str> {
    let host = match headers.get_all(header::HOST).iter().collect::<Vec<_>>()[..] {
        [host] => host.to_str().ok(),
        [] => authority.map(Authority::as_str),
        _ => None,
    };
    let Some(host) = host.filter(|host| is_loopback(host)) else {
        return Some("the Host is not this machine's loopback interface");
    };
    let is_own = |origin: &str| origin.strip_prefix("http://").is_some_and(|of| of.eq_ignore_ascii_case(host));
    let every = |name: &HeaderName, is_allowed: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(is_allowed))
    };
    if !every(&header::ORIGIN, &is_own) {
        return Some("it comes from a web page (Origin)");
    }
    if !every(&FETCH_SITE, &|site| ["same-origin", "none"].contains(&site)) {
        return Some("it comes from a web page (Sec-Fetch-Site)");
    }
    None
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    // No client sends credentials before the host.
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn refused(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        refusal(&map, None).is_some()
    }

    #[test]
    fn programs_get_in_by_every_name_of_the_loopback_interface() {
        for host in ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.0.0.2"] {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        let own_page =
            [("host", "127.0.0.1:8000"), ("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin")];
        assert!(!refused(&own_page));
        assert!(!refused(&[("host", "127.0.0.1:8000"), ("sec-fetch-site", "none")]), "typed by a person");
    }

    #[test]
    fn every_request_of_a_web_page_is_refused() {
        for (name, value) in [
            ("origin", "https://page.example"),
            ("origin", "null"),
            ("origin", ""),
            ("origin", "http://127.0.0.1:8001"),
            ("origin", "https://127.0.0.1:8000"),
            ("origin", "http://127.0.0.1:8000.page.example"),
            ("origin", "\u{e9}"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("host", "127.0.0.1:8000"),
        ] {
            assert!(refused(&[("host", "127.0.0.1:8000"), (name, value)]), "{name}: {value}");
        }
        assert!(refused(&[("host", "a:1"), ("origin", "http://a:1")]));
    }

    #[test]
    fn a_name_that_points_to_this_machine_is_refused() {
        for host in
            ["page.example:8000", "127.0.0.1.page.example", "localhost.page.example", "0.0.0.0:8000", "", "a@127.0.0.1"]
        {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]), "without a Host");
    }
}
