use shared::{Secret, Timestamp};

/// Access to a partner account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A client id and secret, with which access tokens are requested.
    Client(ClientCredentials),
    /// An access token that was requested by other means.
    Fixed(AccessToken),
}

/// The client id and secret from the partner's dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The client id.
    pub id: Secret,
    /// The client secret.
    pub secret: Secret,
}

/// The bearer token of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken(Secret);

impl AccessToken {
    /// Creates a bearer token from visible ASCII, as an HTTP header requires; `None` for any other text, including an empty one.
    pub fn new(token: Secret) -> Option<Self> {
        let text = token.expose();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self(token))
    }

    /// Returns the value of the `Authorization` header. No other place writes the token out.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0.expose())
    }
}

/// An access token that was just granted, with the provider's own expiry.
pub(crate) struct Grant {
    pub(crate) token: AccessToken,
    pub(crate) expires_at: Option<Timestamp>,
}
