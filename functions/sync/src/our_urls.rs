use shared::{TokenHash, WebhookToken, WebhookUrl};

/// Our URL with one of the tokens in the secret.
#[derive(Clone, Debug)]
pub(crate) struct OurUrl {
    pub(crate) url: WebhookUrl,
    /// The token as the receiver knows it.
    pub(crate) token: TokenHash,
    /// The version of the secret that has the token.
    pub(crate) version: String,
}

/// Our URL with the current token and, during a rotation, with the one that is to replace it.
#[derive(Clone, Debug)]
pub(crate) struct OurUrls {
    /// Without a token.
    pub(crate) address: WebhookUrl,
    /// With the token of the secret's version `AWSCURRENT`.
    pub(crate) current: OurUrl,
    /// With the token of `AWSPENDING`, if that is another version.
    pub(crate) pending: Option<OurUrl>,
}

impl OurUrl {
    pub(crate) fn new(url: WebhookUrl, token: &WebhookToken, version: String) -> Self {
        Self { url, token: token.hash(), version }
    }
}

impl OurUrls {
    /// Returns the URL that should be registered.
    pub(crate) fn goal(&self) -> &OurUrl {
        self.pending.as_ref().unwrap_or(&self.current)
    }

    /// Returns the current URL, and the pending one if there is one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &OurUrl> {
        std::iter::once(&self.current).chain(&self.pending)
    }
}
