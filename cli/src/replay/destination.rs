//! The URL that a replay sends to.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use shared::{InvalidWebhookUrl, WebhookUrl};
use url::{Host, Url};

/// The provider's domain. Its own hosts take no events, and block who makes mistakes there.
const PROVIDER: &str = "99digital.co.il";

/// A consumer of the partner's: https, or http on this machine's loopback.
///
/// `Display` hides every part of the URL that may be a token.
pub struct Destination {
    text: WebhookUrl,
    url: Url,
}

impl Destination {
    /// Reads the URL of a consumer, which must be neither the provider's nor our own webhook's, whose addresses are given.
    ///
    /// # Errors
    /// Fails when it is no URL, or one of those. Only its host is in the message.
    pub fn parse(text: &str, partner_api: &str, webhook: &str) -> Result<Self> {
        // The same rules as for a URL to register, with the same right to be masked.
        let text = WebhookUrl::parse(text).map_err(|fault| anyhow!("the URL of --to {}", what_is_wrong(fault)))?;
        let url = Url::parse(text.expose())?;
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
        if is_same_location(&url, &Url::parse(partner_api).context("the address of the partner API")?)
            || host == PROVIDER
            || host.ends_with(&format!(".{PROVIDER}"))
        {
            bail!(
                "{host} is the provider's; --to is the URL of a consumer of yours, such as https://example.com/events"
            );
        }
        if is_same_location(&url, &Url::parse(webhook).context("the address of the webhook")?) {
            bail!(
                "{host} is where this webhook itself is: it would record the events once more, without their secrets; \
                 --to is the URL of a consumer of yours, such as https://example.com/events"
            );
        }
        Ok(Self { text, url })
    }

    /// Returns the whole URL, to send to it and to hash it.
    pub fn expose(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the parts of the URL to remove from a text that may repeat it: path, query, its values, and every part of the path that may
    /// be a token. The longest comes first, as one may be in another.
    pub fn hidden(&self) -> Vec<String> {
        let mut hidden: Vec<String> = self.text.hidden().into_iter().map(str::to_owned).collect();
        hidden.push(self.url.path().trim_end_matches('/').to_owned());
        hidden.extend(self.url.query_pairs().map(|(_, value)| value.into_owned()));
        hidden.retain(|text| !text.is_empty());
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

fn what_is_wrong(fault: InvalidWebhookUrl) -> &'static str {
    match fault {
        InvalidWebhookUrl::NotAUrl => "is not an absolute URL; give one such as https://example.com/events",
        InvalidWebhookUrl::TooLong => "is longer than 512 characters",
        InvalidWebhookUrl::NotHttps => {
            "is not https, which is needed for all but a loopback address, such as http://127.0.0.1:8080/events"
        }
        InvalidWebhookUrl::HasCredentials => {
            "has a user name or password; what the consumer knows you by belongs into its path or query"
        }
        InvalidWebhookUrl::HasFragment => "has a fragment (#…), which is never sent",
    }
}

/// Returns whether two URLs lead to the same server. On this machine each port is a server of its own.
fn is_same_location(a: &Url, b: &Url) -> bool {
    match (location(a), location(b)) {
        (Location::Here, Location::Here) => a.port_or_known_default() == b.port_or_known_default(),
        (a, b) => a == b,
    }
}

#[derive(PartialEq, Eq)]
enum Location {
    /// This machine's loopback, under any name.
    Here,
    At(Option<String>),
}

fn location(url: &Url) -> Location {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_here {
        Location::Here
    } else {
        Location::At(url.host_str().map(|host| host.trim_end_matches('.').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "https://partners.example.net/api";
    const WEBHOOK: &str = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook";

    fn refusal(text: &str) -> String {
        Destination::parse(text, API, WEBHOOK).map(|to| to.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn a_consumer_is_taken_and_shown_without_its_token() {
        let to = Destination::parse("https://consumer.example.com/in/s3cret?key=s3cret", API, WEBHOOK).unwrap();
        let shown = to.to_string();
        assert!(shown.starts_with("https://consumer.example.com/in/***") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(to.expose(), "https://consumer.example.com/in/s3cret?key=s3cret");
        assert_eq!(to.hidden(), ["key=s3cret", "/in/s3cret", "s3cret", "s3cret"]);
        let bare = Destination::parse("http://127.0.0.1:8080/", API, WEBHOOK).unwrap();
        assert_eq!(bare.hidden(), Vec::<String>::new(), "a slash alone is no secret");
    }

    #[test]
    fn the_provider_is_refused_under_any_name() {
        for text in [
            "https://partners.example.net/api/settings/setWebhook",
            "https://PARTNERS.example.net.:8443/other",
            "https://99digital.co.il/",
            "https://api.99Digital.co.il./whatsapp",
        ] {
            assert!(refusal(text).contains(" is the provider's; "), "{text}");
        }
        assert!(Destination::parse("https://not99digital.co.il/", API, WEBHOOK).is_ok());
    }

    #[test]
    fn our_own_webhook_is_refused() {
        for text in [&format!("{WEBHOOK}/s3cret"), "https://ABC.execute-api.eu-west-1.amazonaws.com/v2/s3cret"] {
            let refusal = refusal(text);
            assert!(refusal.contains(" is where this webhook itself is") && !refusal.contains("s3cret"), "{refusal}");
        }
    }

    #[test]
    fn on_this_machine_it_is_the_port_that_counts() {
        let parse = |text| Destination::parse(text, "http://127.0.0.1:4000/api", "http://127.0.0.1:9000/v1/webhook");
        for text in
            ["http://127.0.0.1:4000/", "http://localhost:4000/in", "http://[::1]:9000/in", "http://127.0.0.2:9000/"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("http://localhost:8080/v1/webhook/a").is_ok());
    }

    #[test]
    fn a_text_that_is_no_url_for_events_is_refused_with_a_remedy() {
        for (text, message) in [
            ("consumer.example.com/s3cret", "is not an absolute URL; give one such as https://example.com/events"),
            ("http://consumer.example.com/s3cret", "such as http://127.0.0.1:8080/events"),
            ("https://u:s3cret@consumer.example.com/", "has a user name or password; "),
            ("https://consumer.example.com/#s3cret", "has a fragment"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(message) && !refusal.contains("s3cret"), "{refusal}");
        }
    }
}
