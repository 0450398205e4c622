use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// The kind of an event: the value of its `event` field (provider's page: Partner Webhook).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
pub enum Kind {
    /// A WhatsApp line.
    Whatsapp,
    /// The bot builder.
    Builder,
    /// The omnichannel inbox product.
    Online,
    /// Thresholds set in the partner portal; the provider has not specified the fields yet.
    Partners,
    /// A WhatsApp store. The provider sends no events about stores; its list has them.
    Store,
    /// A purchased package; the provider has not specified the fields yet.
    Package,
    /// A name that is not on the provider's page, unchanged.
    Other(String),
    /// No usable name: the field is missing, not a string, empty, longer than 64 bytes, contains control characters, or is
    /// `unnamed` itself.
    Unnamed,
}

/// The kind of the events that `hooks doctor` sends to test a stack. They are recorded, but not handed on.
pub const DOCTOR: &str = "doctor";

/// Maximum length of a name, in bytes. A longer one is only in the body.
const LONGEST: usize = 64;

impl Kind {
    /// The names of the kinds on the provider's page, in the order of lists for people.
    pub const NAMES: [&'static str; 6] = ["whatsapp", "builder", "online", "store", "partners", "package"];

    /// Returns the kind with a name. Every name has a kind.
    pub fn of(name: &str) -> Self {
        match name {
            "whatsapp" => Self::Whatsapp,
            "builder" => Self::Builder,
            "online" => Self::Online,
            "partners" => Self::Partners,
            "package" => Self::Package,
            "store" => Self::Store,
            "unnamed" | "" => Self::Unnamed,
            _ if name.len() > LONGEST || name.chars().any(char::is_control) => Self::Unnamed,
            _ => Self::Other(name.to_owned()),
        }
    }

    /// Returns the reason why an event has no kind; `None` when it has one.
    pub fn why_unnamed(&self) -> Option<&'static str> {
        (*self == Self::Unnamed)
            .then_some("It names no kind: the member \"event\" is missing, or is not a usable name.")
    }

    /// Returns the name as the provider writes it, or `unnamed` for [`Kind::Unnamed`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Builder => "builder",
            Self::Online => "online",
            Self::Partners => "partners",
            Self::Package => "package",
            Self::Store => "store",
            Self::Other(name) => name,
            Self::Unnamed => "unnamed",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        Self::of(&name)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_texts_that_are_no_names_are_unnamed() {
        for name in Kind::NAMES {
            assert!(!matches!(Kind::of(name), Kind::Other(_) | Kind::Unnamed));
            assert_eq!(Kind::of(name).as_str(), name);
        }
        for name in ["WhatsApp", "שלום", "a#b", &"x".repeat(64)] {
            assert_eq!(Kind::of(name), Kind::Other(name.to_owned()));
            assert_eq!((Kind::of(name).as_str(), Kind::of(name).why_unnamed()), (name, None));
        }
        for name in ["", "a\nb", "unnamed", &"x".repeat(65)] {
            assert_eq!(Kind::of(name), Kind::Unnamed);
            assert!(Kind::of(name).why_unnamed().is_some());
            assert_eq!(Kind::of(name).to_string(), "unnamed");
        }
    }
}
