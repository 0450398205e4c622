use std::fmt;

/// An operation of the partner API, or of the V2 API of a line.
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
    /// `POST /getWebhook` of the V2 API
    GetLineWebhook,
    /// `POST /setWebhook` of the V2 API
    SetLineWebhook,
}

/// One of the provider's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// WhatsApp lines whose client has finished onboarding (provider's page: Get WhatsApp numbers).
    Lines,
    /// Onboarding links of WhatsApp lines, finished or not (provider's page: Get Onboarding list).
    OnboardingLinks,
    /// Numbers that wait for an onboarding link (provider's page: Get Registered numbers).
    RegisteredNumbers,
    /// WhatsApp stores (provider's page: Get Stores list).
    Stores,
    /// Accounts of the inbox product (provider's page: Get accounts list, of Online).
    OnlineAccounts,
    /// Bots (provider's page: Get Builders list).
    Builders,
}

impl List {
    /// All lists.
    pub const ALL: [Self; 6] = [
        Self::Lines,
        Self::OnboardingLinks,
        Self::RegisteredNumbers,
        Self::Stores,
        Self::OnlineAccounts,
        Self::Builders,
    ];

    /// Returns the list's name in reports and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::OnboardingLinks => "onboarding_links",
            Self::RegisteredNumbers => "registered_numbers",
            Self::Stores => "stores",
            Self::OnlineAccounts => "online_accounts",
            Self::Builders => "builders",
        }
    }
}

impl Operation {
    /// Path below the API's base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::AccessToken => "/settings/accessToken",
            Self::GetWebhook => "/settings/getWebhook",
            Self::SetWebhook => "/settings/setWebhook",
            Self::GetLineWebhook => "/getWebhook",
            Self::SetLineWebhook => "/setWebhook",
            Self::List(List::Lines) => "/whatsapp/getWhatsApp",
            Self::List(List::OnboardingLinks) => "/whatsapp/getAccounts",
            Self::List(List::RegisteredNumbers) => "/whatsapp/getRegisteredNumbers",
            Self::List(List::Stores) => "/whatsapp/getStores",
            Self::List(List::OnlineAccounts) => "/online/getAccounts",
            Self::List(List::Builders) => "/builder/getBuilders",
        }
    }

    /// Returns the name of the API, for people.
    pub(crate) fn api(self) -> &'static str {
        match self {
            Self::GetLineWebhook | Self::SetLineWebhook => "the WhatsApp V2 API",
            _ => "the partner API",
        }
    }

    /// Returns whether an unanswered call may have changed what is registered.
    pub(crate) fn sets(self) -> bool {
        matches!(self, Self::SetWebhook | Self::SetLineWebhook)
    }

    /// Maximum number of bytes of an answer that are read. The API's own answers have a few hundred, and a list a few hundred for
    /// each element.
    pub(crate) fn max_answer_bytes(self) -> u64 {
        match self {
            Self::List(_) => 5 * 1024 * 1024,
            _ => 64 * 1024,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken => "access token",
            Self::GetWebhook => "get webhook",
            Self::SetWebhook => "set webhook",
            Self::GetLineWebhook => "get line webhook",
            Self::SetLineWebhook => "set line webhook",
            Self::List(List::Lines) => "get WhatsApp numbers",
            Self::List(List::OnboardingLinks) => "get onboarding list",
            Self::List(List::RegisteredNumbers) => "get registered numbers",
            Self::List(List::Stores) => "get stores list",
            Self::List(List::OnlineAccounts) => "get online accounts",
            Self::List(List::Builders) => "get builders list",
        })
    }
}
