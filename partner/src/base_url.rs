use shared::is_safe_for_secrets;
use thiserror::Error;
use url::Url;

/// The base URL of one of the provider's APIs: https, or http to this machine's loopback; any path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiBaseUrl(Url);

/// The reason why a text is not an [`ApiBaseUrl`]. It does not include the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidApiBaseUrl {
    /// Not an absolute URL.
    #[error("is not an absolute URL")]
    NotAUrl,
    /// Not https, and not http to a loopback address.
    #[error("is not https (http is only allowed to a loopback address)")]
    NotHttps,
    /// A user name or a password.
    #[error("has a user name or password; credentials belong in the partner secret")]
    HasCredentials,
    /// A query or a fragment, to which no path can be added.
    #[error("has a query (?…) or a fragment (#…)")]
    HasQuery,
}

impl ApiBaseUrl {
    /// Parses a URL, with or without slashes at its end.
    ///
    /// # Errors
    /// Fails with the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidApiBaseUrl> {
        let url = Url::parse(text).map_err(|_| InvalidApiBaseUrl::NotAUrl)?;
        if !is_safe_for_secrets(&url) {
            return Err(InvalidApiBaseUrl::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidApiBaseUrl::HasCredentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidApiBaseUrl::HasQuery);
        }
        Ok(Self(url))
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// Returns the parsed URL, for comparisons.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_call_follows_the_base_with_one_slash() {
        for (base, call) in [
            ("https://partners.example.com/api", "https://partners.example.com/api/settings/getWebhook"),
            ("https://partners.example.com/api/", "https://partners.example.com/api/settings/getWebhook"),
            ("https://partners.example.com", "https://partners.example.com/settings/getWebhook"),
            ("http://127.0.0.1:9000/a/b//", "http://127.0.0.1:9000/a/b/settings/getWebhook"),
            ("http://localhost:9000", "http://localhost:9000/settings/getWebhook"),
            ("http://[::1]:9000/", "http://[::1]:9000/settings/getWebhook"),
        ] {
            assert_eq!(ApiBaseUrl::parse(base).unwrap().join("/settings/getWebhook"), call);
        }
    }

    #[test]
    fn any_other_text_is_refused_with_its_fault() {
        for (text, fault) in [
            ("partners.example.com/api", InvalidApiBaseUrl::NotAUrl),
            ("http://partners.example.com/api", InvalidApiBaseUrl::NotHttps),
            ("http://127.0.0.1.example.com/api", InvalidApiBaseUrl::NotHttps),
            ("ftp://127.0.0.1/api", InvalidApiBaseUrl::NotHttps),
            ("https://user@example.com/api", InvalidApiBaseUrl::HasCredentials),
            ("https://example.com/api?key=1", InvalidApiBaseUrl::HasQuery),
            ("https://example.com/api#a", InvalidApiBaseUrl::HasQuery),
        ] {
            assert_eq!(ApiBaseUrl::parse(text), Err(fault), "{text}");
        }
    }
}
