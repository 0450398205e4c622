use std::fmt;

use shared::{RegisteredUrl, WebhookUrl};

/// How what is registered stands to what should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Both mean the same place.
    UpToDate {
        /// What should be registered.
        desired: WebhookUrl,
        /// What is, in the provider's writing.
        registered: RegisteredUrl,
    },
    /// The provider knows no URL.
    NothingRegistered {
        /// What should be registered.
        desired: WebhookUrl,
    },
    /// They mean two places: events go where we do not see them.
    Elsewhere {
        /// What should be registered.
        desired: WebhookUrl,
        /// What is, in the provider's writing.
        registered: RegisteredUrl,
    },
}

/// Compares what is registered with what should be, by meaning: the provider writes URLs in its own way.
pub fn compare(registered: Option<RegisteredUrl>, desired: WebhookUrl) -> Comparison {
    match registered {
        None => Comparison::NothingRegistered { desired },
        Some(registered) if registered.means(&desired) => Comparison::UpToDate { desired, registered },
        Some(registered) => Comparison::Elsewhere { desired, registered },
    }
}

/// Whether registering either of the two sends the events to the same place.
pub(crate) fn mean_the_same(one: &WebhookUrl, other: &WebhookUrl) -> bool {
    RegisteredUrl::new(one.expose()).is_some_and(|one| one.means(other))
}

impl Comparison {
    /// Whether nothing has to be changed.
    pub fn is_up_to_date(&self) -> bool {
        matches!(self, Self::UpToDate { .. })
    }

    /// What should be registered.
    pub fn desired(&self) -> &WebhookUrl {
        match self {
            Self::UpToDate { desired, .. } | Self::NothingRegistered { desired } | Self::Elsewhere { desired, .. } => {
                desired
            }
        }
    }

    /// What is registered.
    pub fn registered(&self) -> Option<&RegisteredUrl> {
        match self {
            Self::UpToDate { registered, .. } | Self::Elsewhere { registered, .. } => Some(registered),
            Self::NothingRegistered { .. } => None,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate { .. } => f.write_str("up to date"),
            Self::NothingRegistered { .. } => f.write_str("nothing is registered"),
            Self::Elsewhere { registered, .. } => write!(f, "registered elsewhere: {registered}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(registered: &str) -> Comparison {
        let desired = WebhookUrl::parse("https://example.com/v1/webhook/Token-0123456789").unwrap();
        compare(RegisteredUrl::new(registered), desired)
    }

    #[test]
    fn every_case_has_its_own_words() {
        for (registered, words) in [
            ("", "nothing is registered"),
            ("https://example.com/v1/webhook/Token-0123456789", "up to date"),
            ("EXAMPLE.com/v1/webhook/Token-0123456789/", "up to date"),
            ("https://other.example/in", "registered elsewhere: https://other.example/***5829"),
        ] {
            assert_eq!(compared(registered).to_string(), words);
        }
    }

    #[test]
    fn no_case_shows_a_token() {
        for registered in
            ["", "https://example.com/v1/webhook/Token-0123456789", "https://example.com/v1/webhook/Token-9876543210"]
        {
            let shown = format!("{0} {0:?}", compared(registered));
            assert!(!shown.contains("Token"), "{shown}");
        }
    }
}
