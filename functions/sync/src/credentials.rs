use shared::{Secret, Timestamp, TokenHash};

use crate::ApiBaseUrl;

/// What the partner's secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// What access tokens are asked for with.
    Client(ClientCredentials),
    /// An access token that somebody has asked for by other means.
    Fixed(AccessToken),
}

impl Credentials {
    /// A text that is the same for the same partner account, as far as that can be told: an access token names none.
    pub(crate) fn account(&self, api: &ApiBaseUrl) -> String {
        let client = match self {
            Self::Client(client) => client.id.expose(),
            Self::Fixed(_) => "",
        };
        TokenHash::of(&format!("{} {client}", api.call(""))).to_string()
    }
}

/// The client id and secret from the partner's dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCredentials {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
}

/// What calls of the partner API carry to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessToken(Secret);

impl AccessToken {
    /// Takes a text that an HTTP header can carry: visible ASCII, and not nothing.
    pub(crate) fn new(token: Secret) -> Option<Self> {
        let text = token.expose();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self(token))
    }

    /// The value of the `Authorization` header, for the one place that sends it.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0.expose())
    }
}

/// An access token that was just granted, and when the provider says that it expires.
pub(crate) struct Grant {
    pub(crate) token: AccessToken,
    pub(crate) expires_at: Option<Timestamp>,
}
