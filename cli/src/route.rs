//! The way from this machine to an HTTPS server: a proxy, and the certificate authorities to trust.

use std::env;

use anyhow::{Context, Result};
use hyper_util::client::proxy::matcher::Matcher;
use rustls_native_certs::load_native_certs;
use ureq::{
    Proxy,
    http::Uri,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::faults::Fault;

/// The variables that can name a proxy for HTTPS. The first that is set counts, as for requests to AWS.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The way to a server.
#[derive(Default)]
pub struct Route {
    /// `None` to connect directly.
    pub proxy: Option<Proxy>,
    /// The certificate authorities to trust.
    pub tls: TlsConfig,
}

impl Route {
    /// Returns the way to a URL, by the rules that requests to AWS follow: through the proxy that `HTTPS_PROXY` and `NO_PROXY` name, and
    /// trusting the certificate authorities of this machine, or those in the file that `SSL_CERT_FILE` names. Over http, which is for
    /// this machine only, the way is direct.
    ///
    /// # Errors
    /// Fails when there are no certificate authorities, or the proxy's URL cannot be read.
    pub fn to(url: &str) -> Result<Self> {
        let Some(uri) = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https")) else {
            return Ok(Self::default());
        };
        let set = |name| Some((name, env::var(name).ok().filter(|value| !value.is_empty())?));
        let named = || PROXIES.into_iter().find_map(set);
        let proxy = Matcher::from_env().intercept(&uri).and_then(|_| named());
        let proxy = proxy.map(|(name, proxy)| Proxy::new(&proxy).context(name)).transpose()?;
        let found = load_native_certs();
        if found.certs.is_empty() {
            let cause = found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
            let fix =
                "export SSL_CERT_FILE=<file with certificate authorities>, or install the package ca-certificates";
            return Err(Fault::of_tool(format!("there are no certificate authorities to trust: {cause}"), fix).into());
        }
        let roots: RootCerts = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).into();
        Ok(Self { proxy, tls: TlsConfig::builder().root_certs(roots).build() })
    }
}
