use std::fmt;

use shared::{RegisteredUrl, TokenHash, WebhookToken, WebhookUrl};

/// Our URL with one of the tokens in the secret.
#[derive(Clone, Debug)]
pub(crate) struct OurUrl {
    pub(crate) url: WebhookUrl,
    /// What the receiver knows its token by.
    pub(crate) token: TokenHash,
    /// The version of the secret that has the token.
    pub(crate) version: String,
}

/// Our URL: with the token in use, and, while a rotation goes on, with the one that is to replace it.
#[derive(Clone, Debug)]
pub(crate) struct OurUrls {
    /// Without a token.
    pub(crate) address: WebhookUrl,
    /// With the token of the secret's version `AWSCURRENT`.
    pub(crate) current: OurUrl,
    /// With that of `AWSPENDING`, if that is another version.
    pub(crate) pending: Option<OurUrl>,
}

/// Where the webhook points.
#[derive(Clone, Debug)]
pub(crate) enum Whereabouts {
    /// To us, with the token in use.
    Current,
    /// To us, with the token that is to replace it.
    Pending,
    /// To our address, with another token, or what stands in its place.
    OtherToken(TokenHash),
    /// Somewhere else.
    Elsewhere(RegisteredUrl),
    /// Nowhere: the provider knows no URL.
    Nowhere,
}

impl OurUrl {
    pub(crate) fn new(url: WebhookUrl, token: &WebhookToken, version: String) -> Self {
        Self { url, token: token.hash(), version }
    }
}

impl OurUrls {
    /// The one that should be registered.
    pub(crate) fn goal(&self) -> &OurUrl {
        self.pending.as_ref().unwrap_or(&self.current)
    }

    /// The current one, and the pending one if there is one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &OurUrl> {
        std::iter::once(&self.current).chain(&self.pending)
    }

    /// Compares what is registered with what is ours, by meaning: the provider writes URLs in its own way.
    pub(crate) fn compare(&self, registered: Option<&RegisteredUrl>) -> Whereabouts {
        let Some(registered) = registered else { return Whereabouts::Nowhere };
        if registered.means(&self.current.url) {
            return Whereabouts::Current;
        }
        if self.pending.as_ref().is_some_and(|pending| registered.means(&pending.url)) {
            return Whereabouts::Pending;
        }
        match registered.token_at(&self.address) {
            Some(token) => Whereabouts::OtherToken(token),
            None => Whereabouts::Elsewhere(registered.clone()),
        }
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("up to date"),
            Self::Pending => f.write_str("registered with the new token"),
            Self::OtherToken(_) => f.write_str("registered with another token"),
            Self::Elsewhere(registered) => write!(f, "registered elsewhere: {registered}"),
            Self::Nowhere => f.write_str("nothing is registered"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::Secret;

    use super::*;

    const ADDRESS: &str = "https://example.com/v1/webhook";

    fn ours(token: &str) -> OurUrl {
        let token = WebhookToken::new(Secret::new(token)).unwrap();
        OurUrl::new(WebhookUrl::with_token(ADDRESS, &token).unwrap(), &token, token.hash().to_string())
    }

    pub(crate) fn urls(pending: Option<&str>) -> OurUrls {
        OurUrls {
            address: WebhookUrl::parse(ADDRESS).unwrap(),
            current: ours("Token-0123456789"),
            pending: pending.map(ours),
        }
    }

    #[test]
    fn every_case_has_its_own_words_and_none_shows_a_token() {
        for (registered, words) in [
            ("", "nothing is registered"),
            ("https://example.com/v1/webhook/Token-0123456789", "up to date"),
            ("EXAMPLE.com/v1/webhook/Token-0123456789/", "up to date"),
            ("https://example.com/v1/webhook/Token-Pending-9999", "registered with the new token"),
            ("https://example.com/v1/webhook/Token-9876543210", "registered with another token"),
            ("https://other.example/in", "registered elsewhere: https://other.example/***5829"),
            ("https://example.com/v1/webhook", "registered elsewhere: https://example.com/v1/***9fd0"),
            ("https://example.com/v1/webhook/a/b", "registered elsewhere: https://example.com/v1/webhook/a/***3e23"),
        ] {
            let found = urls(Some("Token-Pending-9999")).compare(RegisteredUrl::new(registered).as_ref());
            assert_eq!(found.to_string(), words, "{registered}");
            assert!(!format!("{found:?}").contains("Token-"), "{found:?}");
        }
    }
}
