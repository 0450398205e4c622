use thiserror::Error;
use url::Url;

use crate::webhook_url::is_loopback;

/// The provider's domain. Its hosts accept no events, and block an address after mistakes.
const PROVIDER: &str = "99digital.co.il";

/// The reason why no events or messages may be sent to a URL. Of the URL it includes only the host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForbiddenDestination {
    /// A server of the provider's.
    #[error("{0} is the provider's")]
    Provider(String),
    /// The server of this stack's own webhook.
    #[error("{0} is this webhook's own address")]
    OwnWebhook(String),
}

/// Checks that a URL leads neither to the provider nor to this stack's own webhook. The provider's servers are those of its domain, and
/// those of the base URLs in `provider`.
///
/// # Errors
/// Fails when the URL leads to one of them.
pub fn check_destination(url: &Url, provider: &[&Url], webhook: Option<&Url>) -> Result<(), ForbiddenDestination> {
    let host = host(url);
    let is_in_domain = host.strip_suffix(PROVIDER).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if is_in_domain || provider.iter().any(|api| is_same_server(url, api)) {
        return Err(ForbiddenDestination::Provider(host.to_owned()));
    }
    match webhook {
        Some(webhook) if is_same_server(url, webhook) => Err(ForbiddenDestination::OwnWebhook(host.to_owned())),
        _ => Ok(()),
    }
}

/// Returns whether two URLs lead to the same server. On this machine each port is a server of its own.
fn is_same_server(a: &Url, b: &Url) -> bool {
    match (is_loopback(a), is_loopback(b)) {
        (true, true) => a.port_or_known_default() == b.port_or_known_default(),
        (false, false) => host(a) == host(b),
        _ => false,
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to: &str, api: &str, webhook: &str) -> Result<(), ForbiddenDestination> {
        let [to, api, webhook] = [to, api, webhook].map(|text| Url::parse(text).unwrap());
        check_destination(&to, &[&api], Some(&webhook))
    }

    #[test]
    fn the_provider_and_our_own_webhook_are_refused_under_any_name() {
        let check = |to| check(to, "https://partners.example.net/api", "https://abc.example.org/v1/webhook");
        let provider = |host: &str| Err(ForbiddenDestination::Provider(host.to_owned()));
        let own = Err(ForbiddenDestination::OwnWebhook("abc.example.org".to_owned()));
        for (to, expected) in [
            ("https://partners.example.net/api/settings/setWebhook", provider("partners.example.net")),
            ("https://PARTNERS.example.net.:8443/other", provider("partners.example.net")),
            ("https://99digital.co.il/", provider("99digital.co.il")),
            ("https://api.99Digital.co.il./whatsapp", provider("api.99digital.co.il")),
            ("https://not99digital.co.il/", Ok(())),
            ("https://abc.example.org/v1/webhook/s3cret", own.clone()),
            ("https://ABC.example.org/v2/s3cret", own),
            ("https://consumer.example.org/v1/webhook", Ok(())),
        ] {
            assert_eq!(check(to), expected, "{to}");
        }
    }

    #[test]
    fn on_this_machine_the_port_tells_servers_apart() {
        let check = |to| check(to, "http://127.0.0.1:4000/api", "http://127.0.0.1:9000/v1/webhook");
        for to in
            ["http://127.0.0.1:4000/", "http://localhost:4000/in", "http://[::1]:9000/in", "http://127.0.0.2:9000/"]
        {
            assert!(check(to).is_err(), "{to}");
        }
        for to in ["http://localhost:8080/v1/webhook/a", "https://example.com:9000/"] {
            assert_eq!(check(to), Ok(()), "{to}");
        }
    }
}
