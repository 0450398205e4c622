use std::fmt;

use shared::{RegisteredUrl, TokenHash};

use crate::our_urls::OurUrls;

/// The target of the registered URL.
#[derive(Clone, Debug)]
pub(crate) enum Whereabouts {
    /// To us, with the current token.
    Current,
    /// To us, with the pending token.
    Pending,
    /// To our address, with another token or any other last part.
    OtherToken(TokenHash),
    /// To another URL.
    Elsewhere(RegisteredUrl),
    /// Nowhere: no URL is registered.
    Nowhere,
}

impl Whereabouts {
    /// Compares the registered URL with ours.
    pub(crate) fn of(registered: Option<&RegisteredUrl>, ours: &OurUrls) -> Self {
        let Some(registered) = registered else { return Self::Nowhere };
        if registered.means(&ours.current.url) {
            return Self::Current;
        }
        if ours.pending.as_ref().is_some_and(|pending| registered.means(&pending.url)) {
            return Self::Pending;
        }
        match registered.token_at(&ours.address) {
            Some(token) => Self::OtherToken(token),
            None => Self::Elsewhere(registered.clone()),
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
mod tests {
    use shared::{Secret, WebhookToken, WebhookUrl};

    use super::*;
    use crate::our_urls::OurUrl;

    const ADDRESS: &str = "https://example.com/v1/webhook";

    fn ours(token: &str) -> OurUrl {
        let token = WebhookToken::new(Secret::new(token)).unwrap();
        OurUrl::new(WebhookUrl::with_token(ADDRESS, &token).unwrap(), &token, token.hash().to_string())
    }

    fn urls(pending: Option<&str>) -> OurUrls {
        OurUrls {
            address: WebhookUrl::parse(ADDRESS).unwrap(),
            current: ours("Token-0123456789"),
            pending: pending.map(ours),
        }
    }

    #[test]
    fn every_case_has_its_own_text_and_none_shows_a_token() {
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
            let found = Whereabouts::of(RegisteredUrl::new(registered).as_ref(), &urls(Some("Token-Pending-9999")));
            assert_eq!(found.to_string(), words, "{registered}");
            assert!(!format!("{found:?}").contains("Token-"), "{found:?}");
        }
    }
}
