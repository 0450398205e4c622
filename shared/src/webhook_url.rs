use std::{fmt, net::IpAddr};

use thiserror::Error;
use url::{Host, Url};

use crate::{TokenHash, WebhookToken};

/// The most characters that the provider takes (provider's page: Partner Webhook).
const LONGEST: usize = 512;

/// A URL that can be registered as the webhook: https, or http on this machine's loopback; at most 512 characters; without
/// user name, password and fragment.
///
/// `Debug` and `Display` hide what in it is secret (see [`WebhookUrl::expose`]).
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    url: Url,
}

/// Why a text is no [`WebhookUrl`]. The text is not part of it: it may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidWebhookUrl {
    /// It cannot be read as an absolute URL.
    #[error("not an absolute URL; expected one such as https://example.com/v1/webhook/<token>")]
    NotAUrl,
    /// Longer than the provider takes.
    #[error("longer than the {LONGEST} characters that the provider takes")]
    TooLong,
    /// The scheme is not https, or http leads off this machine.
    #[error("not https (http is only allowed to a loopback address)")]
    NotHttps,
    /// It has a user name or a password.
    #[error("has a user name or password, which the provider would have to send in the clear")]
    HasCredentials,
    /// It has a fragment, which never reaches a server.
    #[error("has a fragment (#…), which is never sent")]
    HasFragment,
}

impl WebhookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// One per rule that it breaks; the first counts.
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

    /// Reads a URL that was registered before, to register it again: as the provider wrote it, with `https` if it wrote no
    /// scheme. It may be http to anywhere, and have what else we would not register, which is no worse than it was.
    ///
    /// # Errors
    /// When it is no URL with a host, or longer than the provider takes.
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

    /// The URL to register: the webhook's address with the token as last part of its path.
    ///
    /// # Errors
    /// When the result is no [`WebhookUrl`].
    pub fn with_token(address: &str, token: &WebhookToken) -> Result<Self, InvalidWebhookUrl> {
        Self::parse(&format!("{}/{}", address.trim_end_matches('/'), token.expose()))
    }

    /// The whole text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What of it `Display` hides, to take it out of other texts: labels of the host, parts of the path, and the query.
    pub fn hidden(&self) -> Vec<&str> {
        let parts = parts(&self.url);
        let hidden = (0..parts.len()).filter(|at| is_hidden(&parts, *at)).map(|at| parts[at]);
        let labels = labels(&self.url).filter(|label| is_hidden_label(&self.url, label));
        labels.chain(hidden).chain(self.url.query()).collect()
    }
}

/// Whether a URL is one for secrets to be sent to: https, or http to this machine's loopback interface, as in an emulator.
pub fn is_safe_for_secrets(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
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

/// What the provider says is registered: ours, somebody else's, or a text that is no URL.
///
/// `Debug` and `Display` hide what in it may be secret, as with [`WebhookUrl`].
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredUrl(String);

impl RegisteredUrl {
    /// Takes the text as the provider answered it; blank means that nothing is registered.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether this means the same place as a URL that we would register.
    ///
    /// The provider may hand back a URL without its scheme, with a slash more or less at the end, or with the host's
    /// letters in another case (provider's page: Partner Webhook, whose example has no scheme). Path and query count to
    /// the letter.
    pub fn means(&self, wanted: &WebhookUrl) -> bool {
        let Some(url) = self.read(wanted.url.scheme()) else { return false };
        let path = |url: &Url| url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        url.scheme() == wanted.url.scheme()
            && url.host() == wanted.url.host()
            && url.port_or_known_default() == wanted.url.port_or_known_default()
            && path(&url) == path(&wanted.url)
            && url.query() == wanted.url.query()
            && url.fragment() == wanted.url.fragment()
            && url.username() == wanted.url.username()
            && url.password() == wanted.url.password()
    }

    /// What stands where the token should be, if this is that address and one more part of a path.
    pub fn token_at(&self, address: &WebhookUrl) -> Option<TokenHash> {
        let url = self.read(address.url.scheme())?;
        let parts =
            |url: &Url| url.path().trim_end_matches('/').rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned()));
        let (place, token) = parts(&url)?;
        let same_place = url.scheme() == address.url.scheme()
            && url.host() == address.url.host()
            && url.port_or_known_default() == address.url.port_or_known_default()
            && place == address.url.path().trim_end_matches('/');
        same_place.then(|| TokenHash::of(&token))
    }

    /// The whole text, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn read(&self, scheme: &str) -> Option<Url> {
        Url::parse(&self.with_scheme(scheme)).ok()
    }

    fn with_scheme(&self, scheme: &str) -> String {
        if self.0.contains("://") { self.0.clone() } else { format!("{scheme}://{}", self.0) }
    }
}

impl fmt::Display for RegisteredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.read("https") {
            Some(url) if self.0.contains("://") => f.write_str(&masked(&url)),
            Some(url) if self.0.contains('/') => f.write_str(masked(&url).trim_start_matches("https://")),
            _ => write!(f, "a text of {} characters that is not a URL", self.0.chars().count()),
        }
    }
}

impl fmt::Debug for RegisteredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Length in characters from which any part of a path may be a secret.
const LIKE_A_SECRET: usize = 12;

/// Length in characters from which any label of a host may be a secret.
const LIKE_A_SECRET_LABEL: usize = 20;

/// Digits from which a label of a host that is as long as a secret may be one.
const DIGITS_OF_A_SECRET: usize = 3;

/// Maximum length of a masked URL, in characters.
const LONGEST_MASKED: usize = 200;

/// Characters at the end of a longer one that are kept: by them two can be told apart.
const MASKED_END: usize = 16;

/// The URL without query, credentials and fragment, and with `***` and four digits of its SHA-256 in place of each part that
/// may be a secret: by these two tokens can be told apart, but not found. Those parts are the last one of the path, each long
/// one, and labels of the host that look like a secret. A long URL is cut in its middle.
fn masked(url: &Url) -> String {
    let mask = |part: &str| format!("***{}", &TokenHash::of(part).to_string()[..4]);
    let labels: Vec<String> =
        labels(url).map(|label| if is_hidden_label(url, label) { mask(label) } else { label.to_owned() }).collect();
    let host = labels.join(".");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let parts = parts(url);
    let part = |(at, part): (usize, &&str)| if is_hidden(&parts, at) { mask(part) } else { (*part).to_owned() };
    let path: String = parts.iter().enumerate().map(|part_at| format!("/{}", part(part_at))).collect();
    let query = if url.query().is_some() { "?***" } else { "" };
    cut(&format!("{}://{host}{port}{path}{query}", url.scheme()))
}

/// The text, with `…` in place of the middle of a long one.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST_MASKED {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_MASKED - MASKED_END - 1).collect();
    let end: String = text.chars().skip(length - MASKED_END).collect();
    format!("{start}…{end}")
}

/// The labels of its host; an address is one.
fn labels(url: &Url) -> impl Iterator<Item = &str> {
    let separator = if matches!(url.host(), Some(Host::Domain(_))) { '.' } else { '\0' };
    url.host_str().unwrap_or_default().split(separator)
}

/// Whether a label of the host may be a secret: a text that is no URL becomes a host of one label, and some services give each
/// customer a host that nobody else knows.
fn is_hidden_label(url: &Url, label: &str) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    let digits = label.chars().filter(char::is_ascii_digit).count();
    (!host.contains('.') && host != "localhost")
        || label.len() >= LIKE_A_SECRET_LABEL
        || (label.len() >= LIKE_A_SECRET && digits >= DIGITS_OF_A_SECRET)
}

/// The parts of its path.
fn parts(url: &Url) -> Vec<&str> {
    url.path().split('/').filter(|part| !part.is_empty()).collect()
}

/// Whether that part may be a secret: the last one, and every long one.
fn is_hidden(parts: &[&str], at: usize) -> bool {
    at + 1 == parts.len() || parts[at].len() >= LIKE_A_SECRET
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Secret;

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
    fn what_cannot_be_registered_is_refused_with_its_fault() {
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
    fn a_url_handed_back_in_another_writing_means_the_same() {
        for text in [
            WANTED.to_owned(),
            WANTED.replace("https://", ""),
            format!("{WANTED}/"),
            format!(" {WANTED}\n"),
            WANTED.replace("abc.execute-api", "ABC.Execute-API"),
            WANTED.replace(".com/", ".com:443/"),
            WANTED.replace("https://", "HTTPS://"),
        ] {
            assert!(RegisteredUrl::new(&text).unwrap().means(&url(WANTED)), "{text}");
        }
        assert!(RegisteredUrl::new("localhost:9000/t").unwrap().means(&url("http://localhost:9000/t")));
    }

    #[test]
    fn another_place_is_not_the_same() {
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
            "no url at all".to_owned(),
            "https://".to_owned(),
        ] {
            assert!(!RegisteredUrl::new(&text).unwrap().means(&url(WANTED)), "{text}");
        }
        assert_eq!(RegisteredUrl::new(" "), None);
    }

    #[test]
    fn the_token_at_our_address_is_found_in_any_writing_of_it() {
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
            "no url at all".to_owned(),
        ] {
            assert!(RegisteredUrl::new(&text).unwrap().token_at(&address).is_none(), "{text}");
        }
    }

    #[test]
    fn what_was_registered_can_be_registered_again_as_it_was() {
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
            assert!(shown.chars().count() <= 200 && shown.ends_with("/***9aa2"), "{shown}");
        }
    }

    proptest! {
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
