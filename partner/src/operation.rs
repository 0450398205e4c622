use std::fmt;

use crate::lists::List;

/// An operation of the partner API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /settings/accessToken`
    AccessToken,
    /// `GET /settings/getWebhook`
    GetWebhook,
    /// `POST /settings/setWebhook`
    SetWebhook,
    /// `GET`, of one of the lists.
    List(List),
}

impl Operation {
    /// Path below the API's base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::AccessToken => "/settings/accessToken",
            Self::GetWebhook => "/settings/getWebhook",
            Self::SetWebhook => "/settings/setWebhook",
            Self::List(List::Lines) => "/whatsapp/getWhatsApp",
            Self::List(List::OnboardingLinks) => "/whatsapp/getAccounts",
            Self::List(List::RegisteredNumbers) => "/whatsapp/getRegisteredNumbers",
            Self::List(List::Stores) => "/whatsapp/getStores",
            Self::List(List::OnlineAccounts) => "/online/getAccounts",
            Self::List(List::Builders) => "/builder/getBuilders",
        }
    }

    /// Maximum number of bytes of an answer that are read. The API's own answers have a few hundred, and a list a few hundred for
    /// each element.
    pub(crate) fn max_answer_bytes(self) -> u64 {
        match self {
            Self::AccessToken | Self::GetWebhook | Self::SetWebhook => 64 * 1024,
            Self::List(_) => 5 * 1024 * 1024,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken => "access token",
            Self::GetWebhook => "get webhook",
            Self::SetWebhook => "set webhook",
            Self::List(List::Lines) => "get WhatsApp numbers",
            Self::List(List::OnboardingLinks) => "get onboarding list",
            Self::List(List::RegisteredNumbers) => "get registered numbers",
            Self::List(List::Stores) => "get stores list",
            Self::List(List::OnlineAccounts) => "get online accounts",
            Self::List(List::Builders) => "get builders list",
        })
    }
}
