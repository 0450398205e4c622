use std::fmt;

use percent_encoding::percent_decode_str;
use shared::{ForbiddenDestination, InvalidWebhookUrl, WebhookUrl, check_destination};
use thiserror::Error;
use url::Url;

/// The URL of the partner's endpoint: https, or http to this machine's loopback interface.
///
/// `Display` hides the parts that may be a token.
#[derive(Clone)]
pub struct EndpointUrl(WebhookUrl);

/// The reason why a text is not an [`EndpointUrl`]. Of the text it includes only the host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidEndpointUrl {
    /// The URL breaks a rule for URLs that receive events.
    #[error("{}", fault(*.0))]
    Url(InvalidWebhookUrl),
    /// The URL does not lead to an endpoint of the partner's.
    #[error("{0}; give the URL of your own endpoint, such as https://example.com/events")]
    Forbidden(ForbiddenDestination),
}

impl EndpointUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Fails with the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpointUrl> {
        let url = WebhookUrl::parse(text).map_err(InvalidEndpointUrl::Url)?;
        check_destination(url.url(), &[], None).map_err(InvalidEndpointUrl::Forbidden)?;
        Ok(Self(url))
    }

    /// Returns the parsed URL, including its secrets, for comparisons.
    pub fn url(&self) -> &Url {
        self.0.url()
    }

    /// Returns the whole URL, including its secrets, for the request.
    pub fn expose(&self) -> &str {
        self.0.url().as_str()
    }

    /// Removes from a text everything that repeats a secret part of the URL, encoded or decoded: the path, the query, its values, and
    /// each label of the host or part of the path that may be a token.
    pub fn mask(&self, text: &str) -> String {
        let mut hidden: Vec<String> = self.0.hidden().into_iter().map(str::to_owned).collect();
        hidden.push(self.0.url().path().trim_end_matches('/').to_owned());
        hidden.extend(self.0.url().query_pairs().map(|(_, value)| value.into_owned()));
        let decoded = |part: &String| percent_decode_str(part).decode_utf8_lossy().into_owned();
        hidden.extend(hidden.iter().map(decoded).collect::<Vec<_>>());
        hidden.retain(|part| !part.is_empty());
        // The longest first, because one may be part of another.
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        hidden.iter().fold(text.to_owned(), |text, part| text.replace(part, "***"))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn fault(fault: InvalidWebhookUrl) -> &'static str {
    match fault {
        InvalidWebhookUrl::NotAUrl => "is not an absolute URL; give one such as https://example.com/events",
        InvalidWebhookUrl::TooLong => "is longer than 512 characters",
        InvalidWebhookUrl::NotHttps => {
            "does not begin with https://, or for a loopback address with http://, such as http://127.0.0.1:8080/events"
        }
        InvalidWebhookUrl::HasCredentials => {
            "has a user name or password; put the endpoint's credential into the path or the query"
        }
        InvalidWebhookUrl::HasFragment => "has a fragment (#…), which is never sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_http_on_the_loopback() {
        for text in ["https://example.com/in/s3cret?key=s3cret", "http://127.0.0.1:8080/", "http://localhost/x"] {
            let url = EndpointUrl::parse(text).unwrap();
            assert_eq!(url.expose(), text);
            assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
        }
        for (text, message) in [
            ("example.com/s3cret", "give one such as https://example.com/events"),
            ("http://example.com/s3cret", "does not begin with https://"),
            ("localhost:8080/s3cret", "or for a loopback address with http://, such as http://127.0.0.1:8080/"),
            ("http://169.254.169.254/s3cret", "does not begin with https://"),
            ("https://u:s3cret@example.com/", "has a user name or password"),
            ("https://example.com/#s3cret", "has a fragment"),
            ("https://api.99Digital.co.il./whatsapp/s3cret", "is the provider's"),
            ("https://99digital.co.il/", "is the provider's"),
        ] {
            let refusal = EndpointUrl::parse(text).unwrap_err().to_string();
            assert!(refusal.contains(message) && !refusal.contains("s3cret"), "{refusal}");
        }
        assert!(EndpointUrl::parse("https://not99digital.co.il/").is_ok());
    }

    #[test]
    fn a_text_that_repeats_the_url_is_masked() {
        let url = EndpointUrl::parse("https://a.example/in/long-s3cret-0/t0k/?key=k3y%21").unwrap();
        for (text, masked) in [
            ("Cannot POST /in/long-s3cret-0/t0k/?key=k3y%21 here", "Cannot POST ***/?*** here"),
            ("no such tenant: long-s3cret-0", "no such tenant: ***"),
            ("t0k is not good, nor is k3y!", "*** is not good, nor is ***"),
            ("in order", "in order"),
        ] {
            assert_eq!(url.mask(text), masked);
        }
        let encoded = EndpointUrl::parse("https://a.example/hook/c2Vj%3D%3D").unwrap();
        for (text, masked) in [
            ("404 no route /hook/c2Vj==", "404 no route ***"),
            ("no such tenant: c2Vj==", "no such tenant: ***"),
            ("no such tenant: c2Vj%3D%3D", "no such tenant: ***"),
        ] {
            assert_eq!(encoded.mask(text), masked);
        }
        assert_eq!(EndpointUrl::parse("http://127.0.0.1:8080/").unwrap().mask("a/b"), "a/b", "a slash is no secret");
    }
}
