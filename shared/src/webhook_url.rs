use std::{fmt, net::IpAddr};

use thiserror::Error;
use url::{Host, Url};

use crate::{
    masked_url::{hidden, masked, masked_host},
    secret::Secret,
    webhook_token::{TokenHash, WebhookToken},
};

/// Maximum number of characters that the provider accepts (provider's page: Partner Webhook).
const LONGEST: usize = 512;

/// A URL that can be registered as the webhook: https, or http to this machine's loopback interface; at most 512
/// characters; without user name, password and fragment.
///
/// `Debug` and `Display` mask possible secrets; [`WebhookUrl::expose`] returns the whole text.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    url: Url,
}

/// The reason why a text is not a [`WebhookUrl`]. It does not include the text, which may contain a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidWebhookUrl {
    /// The text is not an absolute URL.
    #[error("not an absolute URL; expected one such as https://example.com/v1/webhook/<token>")]
    NotAUrl,
    /// The text is longer than the provider accepts.
    #[error("longer than the {LONGEST} characters that the provider accepts")]
    TooLong,
    /// The URL is not https, and not http to a loopback address.
    #[error("not https (http is only allowed to a loopback address)")]
    NotHttps,
    /// The URL has a user name or a password.
    #[error("has a user name or password, which the provider would have to send in the clear")]
    HasCredentials,
    /// The URL has a fragment, which never reaches a server.
    #[error("has a fragment (#…), which is never sent")]
    HasFragment,
}

impl WebhookUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// Fails with the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookUrl> {
        let (text, url) = Self::read(text)?;
        if !is_safe_for_secrets(&url) {
            return Err(InvalidWebhookUrl::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidWebhookUrl::HasCredentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::HasFragment);
        }
        Ok(Self { text, url })
    }

    /// Creates a URL from one that was registered before, to register it again: as the provider wrote it, with `https` if
    /// it has no scheme. Rules for our own URLs, such as https, do not apply.
    ///
    /// # Errors
    /// Fails when the text is not a URL with a host, or is longer than the provider accepts.
    pub fn of_registered(registered: &RegisteredUrl) -> Result<Self, InvalidWebhookUrl> {
        let (text, url) = Self::read(&registered.with_scheme("https"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidWebhookUrl::NotAUrl);
        }
        Ok(Self { text, url })
    }

    fn read(text: &str) -> Result<(String, Url), InvalidWebhookUrl> {
        if text.chars().count() > LONGEST {
            return Err(InvalidWebhookUrl::TooLong);
        }
        if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(InvalidWebhookUrl::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| InvalidWebhookUrl::NotAUrl)?;
        Ok((text.to_owned(), url))
    }

    /// Returns the URL to register: the webhook's address with the token as the last part of its path.
    ///
    /// # Errors
    /// Fails when the result is not a [`WebhookUrl`].
    pub fn with_token(address: &str, token: &WebhookToken) -> Result<Self, InvalidWebhookUrl> {
        Self::parse(&format!("{}/{}", address.trim_end_matches('/'), token.expose()))
    }

    /// Returns the whole text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the parsed URL, including its secrets, for comparisons.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the texts that `Display` masks, to remove them from other texts: labels of the host, parts of the path, and
    /// the query.
    pub fn hidden(&self) -> Vec<&str> {
        hidden(&self.url)
    }
}

/// Returns whether secrets may be sent to a URL: https, or http to this machine's loopback interface, as in an emulator.
pub fn is_safe_for_secrets(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.url))
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The registered text that the provider reports: our URL, another one, or a text that is not a URL.
///
/// `Debug` and `Display` mask possible secrets in it, as [`WebhookUrl`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredUrl(String);

impl RegisteredUrl {
    /// Takes the text unchanged. A blank one means that nothing is registered.
    pub fn new(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns whether this is the given URL, exactly except for spelling.
    ///
    /// Four differences count as spelling, because the provider may return a URL with them changed (provider's page: Partner
    /// Webhook, whose example has no scheme): a missing scheme, the default port, the case of the host, and one slash at the end
    /// of the path. Any other text may lead the provider elsewhere, even if a lenient parser equates the two.
    pub fn means(&self, wanted: &WebhookUrl) -> bool {
        Spelling::of(&self.0, wanted.url.scheme()) == Spelling::of(&wanted.text, wanted.url.scheme())
    }

    /// Returns the hash of the path's last part, if the rest is the given address by the rule of [`RegisteredUrl::means`].
    pub fn token_at(&self, address: &WebhookUrl) -> Option<TokenHash> {
        let scheme = address.url.scheme();
        let (url, address) = (Spelling::of(&self.0, scheme), Spelling::of(&address.text, scheme));
        let token = url.path.strip_prefix(address.path.trim_end_matches('/'))?.strip_prefix('/')?;
        let same_place = Spelling { path: address.path, ..url } == address;
        (same_place && !token.is_empty() && !token.contains('/')).then(|| TokenHash::of(token))
    }

    /// Returns the canonical text of the URL: the same for every spelling, by the rule of [`RegisteredUrl::means`]. A URL without a scheme
    /// gets the given one.
    pub fn canonical(&self, default_scheme: &str) -> Secret {
        let Spelling { scheme, user, host, port, path, rest } = Spelling::of(&self.0, default_scheme);
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Secret::new(format!("{scheme}://{user}{host}{port}{path}{rest}"))
    }

    /// Returns the host alone, with labels that may be secrets masked; for a text that is not a URL, its length.
    pub fn masked_host(&self) -> String {
        match Url::parse(&self.with_scheme("https")) {
            Ok(url) if url.has_host() => masked_host(&url),
            _ => self.not_a_url(),
        }
    }

    fn not_a_url(&self) -> String {
        format!("a text of {} characters that is not a URL", self.0.chars().count())
    }

    /// Returns the whole text, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn with_scheme(&self, scheme: &str) -> String {
        let text = self.0.trim();
        if split_scheme(text).is_some() { text.to_owned() } else { format!("{scheme}://{text}") }
    }
}

/// The parts of a URL's text, with differences of spelling normalized. Nothing is decoded or resolved.
#[derive(PartialEq)]
struct Spelling<'a> {
    scheme: String,
    user: Option<&'a str>,
    host: String,
    /// `None` for the scheme's default port.
    port: Option<&'a str>,
    /// The path without one slash at its end.
    path: &'a str,
    /// The query and the fragment.
    rest: &'a str,
}

impl<'a> Spelling<'a> {
    fn of(text: &'a str, default_scheme: &'a str) -> Self {
        let (scheme, text) = split_scheme(text).unwrap_or((default_scheme, text));
        let scheme = scheme.to_ascii_lowercase();
        let (authority, text) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        // The colons of an IPv6 address are in brackets.
        let port = place.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let (host, port) = port.map_or((place, None), |(host, port)| (host, Some(port)));
        let default_port = if scheme == "http" { "80" } else { "443" };
        let (path, rest) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
        Self {
            scheme,
            user,
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| *port != default_port),
            path: path.strip_suffix('/').unwrap_or(path),
            rest,
        }
    }
}

/// Splits a text at the end of its scheme, if it has one.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

impl fmt::Display for RegisteredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_scheme = split_scheme(&self.0).is_some();
        match Url::parse(&self.with_scheme("https")) {
            Ok(url) if has_scheme || self.0.contains('/') => {
                let shown = masked(&url);
                f.write_str(if has_scheme { &shown } else { shown.trim_start_matches("https://") })?;
                // Otherwise it could look like a URL that it is not.
                let usual = Spelling::of(&self.0, "https") == Spelling::of(url.as_str(), "https");
                if usual && !url.path().contains("//") { Ok(()) } else { f.write_str(" (in an unusual spelling)") }
            }
            _ => f.write_str(&self.not_a_url()),
        }
    }
}

impl fmt::Debug for RegisteredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: &str = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook/Token-0123456789";

    fn url(text: &str) -> WebhookUrl {
        WebhookUrl::parse(text).unwrap()
    }

    #[test]
    fn https_anywhere_and_http_on_loopback_can_be_registered() {
        for text in [
            WANTED,
            "https://example.com",
            "HTTPS://EXAMPLE.com:8443/a?b=c",
            "http://127.0.0.1:9000/v1/webhook/t",
            "http://127.8.0.1/",
            "http://[::1]:9000/t",
            "http://localhost:9000/t",
        ] {
            assert_eq!(url(text).expose(), text);
        }
    }

    #[test]
    fn any_other_text_is_refused_with_its_fault() {
        for (text, fault) in [
            ("", InvalidWebhookUrl::NotAUrl),
            ("example.com/webhook", InvalidWebhookUrl::NotAUrl),
            (" https://example.com", InvalidWebhookUrl::NotAUrl),
            ("https://exa mple.com", InvalidWebhookUrl::NotAUrl),
            ("https://example.com/a\nb", InvalidWebhookUrl::NotAUrl),
            ("http://example.com/webhook", InvalidWebhookUrl::NotHttps),
            ("http://10.0.0.1/webhook", InvalidWebhookUrl::NotHttps),
            ("http://127.0.0.1.example.com/", InvalidWebhookUrl::NotHttps),
            ("ftp://127.0.0.1/", InvalidWebhookUrl::NotHttps),
            ("https://user@example.com/", InvalidWebhookUrl::HasCredentials),
            ("https://:pass@example.com/", InvalidWebhookUrl::HasCredentials),
            ("https://example.com/#part", InvalidWebhookUrl::HasFragment),
            (&format!("https://example.com/{}", "é".repeat(493)), InvalidWebhookUrl::TooLong),
        ] {
            assert_eq!(WebhookUrl::parse(text).unwrap_err(), fault, "{text}");
        }
        assert!(WebhookUrl::parse(&format!("https://example.com/{}", "é".repeat(492))).is_ok());
    }

    #[test]
    fn a_url_handed_back_in_another_spelling_means_the_same() {
        for text in [
            WANTED.to_owned(),
            WANTED.replace("https://", ""),
            format!("{WANTED}/"),
            WANTED.replace("abc.execute-api", "ABC.Execute-API"),
            WANTED.replace(".com/", ".com:443/"),
            WANTED.replace("https://", "HTTPS://"),
        ] {
            assert!(RegisteredUrl::new(&text).unwrap().means(&url(WANTED)), "{text}");
        }
        assert!(RegisteredUrl::new("localhost:9000/t").unwrap().means(&url("http://localhost:9000/t")));
    }

    #[test]
    fn a_url_of_another_place_does_not_mean_ours() {
        for text in [
            WANTED.replace("https://", "http://"),
            WANTED.replace("Token", "token"),
            WANTED.replace("/v1/", "/V1/"),
            WANTED.replace("abc", "xyz"),
            WANTED.replace(".com/", ".com:8443/"),
            format!("{WANTED}?a"),
            format!("{WANTED}//"),
            format!("{WANTED}#a"),
            WANTED.replace("https://", "https://user@"),
            WANTED.replace("https://", "https:///"),
            WANTED.replace("https://", "https:/"),
            WANTED.replace("https://", "https:"),
            WANTED.replace("https://", "https:\\\\"),
            WANTED.replace("/v1/webhook/", "\\v1\\webhook\\"),
            WANTED.replace("execute", "exe\tcu\nte"),
            WANTED.replace("/webhook/", "/x/../webhook/"),
            WANTED.replace("/webhook/", "/./webhook/"),
            WANTED.replace("/webhook/", "//webhook/"),
            WANTED.replace("Token", "%54oken"),
            WANTED.replace("abc.", "ａｂｃ."),
            WANTED.replace(".com/", ".com./"),
            WANTED.replace(".com/", ".com:/"),
            WANTED.replace(".com/", ".com:0443/"),
            format!(" {WANTED}"),
            format!("{WANTED}\n"),
            format!("{WANTED}/?"),
            "no url at all".to_owned(),
            "https://".to_owned(),
        ] {
            let registered = RegisteredUrl::new(&text).unwrap();
            assert!(!registered.means(&url(WANTED)), "{text}");
            assert_ne!(registered.to_string(), url(WANTED).to_string(), "{text}");
        }
        assert_eq!(RegisteredUrl::new(" "), None);
    }

    #[test]
    fn the_token_at_our_address_is_found_in_any_spelling_of_it() {
        let address = url("https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook");
        for text in
            [WANTED.to_owned(), WANTED.replace("https://", ""), format!("{WANTED}/"), WANTED.replace("abc", "ABC")]
        {
            let token = RegisteredUrl::new(&text).unwrap().token_at(&address).unwrap();
            assert!(token.matches(&TokenHash::of("Token-0123456789")), "{text}");
        }
        for text in [
            address.expose().to_owned(),
            format!("{}/", address.expose()),
            format!("{WANTED}/more"),
            WANTED.replace("/v1/", "/v2/"),
            WANTED.replace("abc", "xyz"),
            WANTED.replace("https://", "http://"),
            WANTED.replace("/v1/", "/v1/x/../"),
            WANTED.replace("https://", "https://user@"),
            format!("{WANTED}?a"),
            format!("{WANTED}//"),
            "no url at all".to_owned(),
        ] {
            assert!(RegisteredUrl::new(&text).unwrap().token_at(&address).is_none(), "{text}");
        }
    }

    #[test]
    fn a_url_registered_before_can_be_registered_again_as_it_was() {
        for (text, again) in [
            ("https://other.example/in?a=b", "https://other.example/in?a=b"),
            ("http://other.example/in", "http://other.example/in"),
            ("other.example/in", "https://other.example/in"),
            ("https://user:pass@other.example/in#part", "https://user:pass@other.example/in#part"),
        ] {
            assert_eq!(WebhookUrl::of_registered(&RegisteredUrl::new(text).unwrap()).unwrap().expose(), again);
        }
        assert!(WebhookUrl::of_registered(&RegisteredUrl::new("no url at all").unwrap()).is_err());
    }

    #[test]
    fn the_token_is_the_last_part_of_the_path() {
        let token = WebhookToken::new(Secret::new("Token-0123456789")).unwrap();
        for address in ["https://example.com/v1/webhook", "https://example.com/v1/webhook/"] {
            let registered = WebhookUrl::with_token(address, &token).unwrap();
            assert_eq!(registered.expose(), "https://example.com/v1/webhook/Token-0123456789");
        }
    }

    #[test]
    fn tokens_are_masked_and_can_still_be_told_apart() {
        let shown = format!("{:?}", url("https://u.example.com:8443/v1/webhook/Token-0123456789?key=abc"));
        assert_eq!(shown, "https://u.example.com:8443/v1/webhook/***9aa2?***");
        assert_ne!(shown, format!("{}", url("https://u.example.com:8443/v1/webhook/Token-9876543210?key=abc")));
        let foreign = RegisteredUrl::new("user:pass@example.com/hooks/s3cret?x=y").unwrap();
        let shown = format!("{foreign} {foreign:?}");
        assert!(!["pass", "s3cret", "x=y"].iter().any(|secret| shown.contains(secret)), "{shown}");
        for text in [
            "my secret",
            "s3cret-0123456789",
            "https://example.com/s3cret-0123456789//",
            "example.com/s3cret-0123456789/x",
        ] {
            let shown = RegisteredUrl::new(text).unwrap().to_string();
            assert!(!shown.contains("cret"), "{shown}");
        }
    }

    #[test]
    fn a_host_that_looks_like_a_secret_is_masked_and_others_are_not() {
        for text in [
            "https://s3cret-0123456789.hooks.example/in/x",
            "https://0f8b7c1e-1234-4abc-8def-s3cret567890.webhook.example/",
            "https://secretsecretsecretsecret.example.com/x",
            "s3cret/x",
            "s3cret-0123456789/",
            "https://s3cret/x",
        ] {
            let registered = RegisteredUrl::new(text).unwrap();
            let shown = format!("{registered} {registered:?}");
            assert!(!shown.contains("cret") && shown.contains("***"), "{shown}");
        }
        let hidden = url("https://s3cret-0123456789.hooks.example/in/last");
        assert_eq!(hidden.hidden(), ["s3cret-0123456789", "last"]);
        for (text, shown) in [
            (WANTED, "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook/***9aa2"),
            ("http://localhost:9000/v1/Token-0123456789", "http://localhost:9000/v1/***9aa2"),
            ("http://127.0.0.1:9000/v1/Token-0123456789", "http://127.0.0.1:9000/v1/***9aa2"),
            ("http://[::1]:9000/v1/Token-0123456789", "http://[::1]:9000/v1/***9aa2"),
            (
                "https://a1b2c3d4e5.execute-api.ap-northeast-1.amazonaws.com/Token-0123456789",
                "https://a1b2c3d4e5.execute-api.ap-northeast-1.amazonaws.com/***9aa2",
            ),
        ] {
            assert_eq!(url(text).to_string(), shown);
        }
    }

    #[test]
    fn a_masked_url_is_never_long() {
        let end = "Token-0123456789";
        for text in [
            format!("https://example.com/{}{end}", "a/".repeat(200)),
            format!("https://{}example.com/{end}", "a.".repeat(100)),
            format!("{}://example.com/{end}", "a".repeat(10_000)),
            format!("example.com/{}{end}", "a/".repeat(100_000)),
        ] {
            let shown = RegisteredUrl::new(&text).unwrap().to_string();
            assert!((190..=200).contains(&shown.chars().count()) && shown.ends_with("/***9aa2"), "{shown}");
        }
    }

    /// Removes a spelling of [`WANTED`] from a text piece by piece, and returns whether nothing is left.
    fn is_a_spelling_of_wanted(text: &str) -> bool {
        let (host, path) = WANTED["https://".len()..].split_once('/').unwrap();
        let without = |text: &str, prefix: &str| match text.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => Some(text[prefix.len()..].to_owned()),
            _ => None,
        };
        let text = without(text, "https://").unwrap_or_else(|| text.to_owned());
        let Some(text) = without(&text, host) else { return false };
        let text = text.strip_prefix(":443").unwrap_or(&text);
        text.strip_prefix('/').and_then(|text| text.strip_prefix(path)).is_some_and(|end| matches!(end, "" | "/"))
    }

    #[test]
    fn spellings_of_one_url_have_one_canonical_text_and_other_urls_have_others() {
        let canonical = |text: &str| RegisteredUrl::new(text).unwrap().canonical("https").expose().to_owned();
        for text in ["https://example.com/A?b=c", "example.com/A?b=c", "HTTPS://Example.COM:443/A/?b=c"] {
            assert_eq!(canonical(text), "https://example.com/A?b=c");
        }
        for text in [
            "http://example.com/A?b=c",
            "https://example.com/a?b=c",
            "https://example.com:8443/A?b=c",
            "https://u@example.com/A?b=c",
        ] {
            assert_ne!(canonical(text), "https://example.com/A?b=c");
        }
        let wanted = url("http://127.0.0.1:9000/a");
        let registered = RegisteredUrl::new("127.0.0.1:9000/a/").unwrap();
        assert!(registered.means(&wanted));
        assert_eq!(registered.canonical("http").expose(), "http://127.0.0.1:9000/a");
    }

    #[test]
    fn only_the_host_of_a_foreign_url_is_shown() {
        for (text, shown) in [
            ("https://user:pass@Other.Example:8443/in/Secret?key=1#x", "other.example"),
            ("your-webhook.example.com", "your-webhook.example.com"),
            ("http://127.0.0.1:9000/a", "127.0.0.1"),
            ("not a url", "a text of 9 characters that is not a URL"),
        ] {
            assert_eq!(RegisteredUrl::new(text).unwrap().masked_host(), shown);
        }
        let token = RegisteredUrl::new("https://a1b2c3d4e5f6a7b8c9d0e1f2.hooks.example/x").unwrap().masked_host();
        assert!(token.starts_with("***") && token.ends_with(".hooks.example"), "{token}");
    }

    proptest! {
        #[test]
        fn a_text_means_our_url_only_in_one_of_its_spellings(
            (scheme, port, end) in ("(https://|HTTPS://|HttpS://)?", "(:443)?", "/?"),
            capitals: bool,
            edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..3, "[a-zA-Z0-9/.:@?#%\\\\ \t\u{ff41}-]"), 0..3),
        ) {
            let (host, path) = WANTED["https://".len()..].split_once('/').unwrap();
            let host = if capitals { host.to_uppercase() } else { host.to_owned() };
            let mut text: Vec<char> = format!("{scheme}{host}{port}/{path}{end}").chars().collect();
            for (at, kind, letter) in &edits {
                let at = at.index(text.len());
                match kind {
                    0 => text.insert(at, letter.chars().next().unwrap()),
                    1 => text[at] = letter.chars().next().unwrap(),
                    _ => { text.remove(at); }
                }
            }
            let text: String = text.into_iter().collect();
            let registered = RegisteredUrl::new(&text).unwrap();
            prop_assert_eq!(registered.means(&url(WANTED)), is_a_spelling_of_wanted(&text), "{}", text);
        }

        #[test]
        fn any_url_means_itself_and_is_shown_without_its_token(host in "[a-z]{1,10}\\.[a-z]{2,5}", path in "[A-Za-z0-9/_.~-]{0,30}", token in "[A-Za-z0-9]{16,40}") {
            let url = url(&format!("https://{host}/{path}/{token}"));
            prop_assert!(RegisteredUrl::new(url.expose()).unwrap().means(&url));
            prop_assert!(!url.to_string().contains(&token));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            if let Some(registered) = RegisteredUrl::new(&text) {
                let _ = (registered.means(&url(WANTED)), registered.to_string());
            }
            let _ = WebhookUrl::parse(&text);
        }
    }
}
