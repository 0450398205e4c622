use std::fmt;

/// What an event is about: the value of its `event` field (provider's page: Partner Webhook).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A WhatsApp line.
    Whatsapp,
    /// The bot builder.
    Builder,
    /// The omnichannel inbox product.
    Online,
    /// Thresholds set in the partner portal; the provider has not specified the fields yet.
    Partners,
    /// A purchased package; the provider has not specified the fields yet.
    Package,
    /// A name that the provider's page does not have, as it came.
    Other(String),
    /// No usable name: the field is missing, is not a string, is empty, longer than 64 bytes, or has control characters.
    Unnamed,
}

/// The longest name of a kind that serves as a key, in bytes; a longer one stays in the body alone.
const LONGEST: usize = 64;

impl Kind {
    /// The kind of a name; every name gives one.
    pub fn of(name: &str) -> Self {
        match name {
            "whatsapp" => Self::Whatsapp,
            "builder" => Self::Builder,
            "online" => Self::Online,
            "partners" => Self::Partners,
            "package" => Self::Package,
            _ if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) => Self::Unnamed,
            _ => Self::Other(name.to_owned()),
        }
    }

    /// The name as the provider writes it; `unnamed` for [`Kind::Unnamed`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Builder => "builder",
            Self::Online => "online",
            Self::Partners => "partners",
            Self::Package => "package",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_what_is_no_name_is_unnamed() {
        for name in ["whatsapp", "builder", "online", "partners", "package", "Whatsapp", "שלום", "a#b"] {
            assert_eq!(Kind::of(name).as_str(), name);
        }
        assert_eq!(Kind::of("WhatsApp"), Kind::Other("WhatsApp".to_owned()));
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert_eq!(Kind::of(name), Kind::Unnamed);
        }
    }
}
