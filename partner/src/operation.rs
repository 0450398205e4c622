use std::fmt;

/// An operation of the partner API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /settings/accessToken`
    AccessToken,
    /// `GET /settings/getWebhook`
    GetWebhook,
    /// `POST /settings/setWebhook`
    SetWebhook,
}

impl Operation {
    /// Path below the API's base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::AccessToken => "/settings/accessToken",
            Self::GetWebhook => "/settings/getWebhook",
            Self::SetWebhook => "/settings/setWebhook",
        }
    }

    /// Maximum number of bytes of an answer that are read. The API's own answers have a few hundred.
    pub(crate) fn max_answer_bytes(self) -> u64 {
        match self {
            Self::AccessToken | Self::GetWebhook | Self::SetWebhook => 64 * 1024,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken => "access token",
            Self::GetWebhook => "get webhook",
            Self::SetWebhook => "set webhook",
        })
    }
}
