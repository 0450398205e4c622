//! Recognises the names of credentials.

use crate::text::is_invisible;

/// Last words of credential names. The words of a name may be joined by capitals (`clientSecret`), underscores, hyphens,
/// other punctuation or nothing (`accesstoken`). Digits at the end do not count (`token2`).
pub(crate) const CREDENTIALS: [&str; 10] = [
    "api key",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "authorization",
    "credential",
    "credentials",
    "private key",
];

/// Last words of the two members of a pair such as `{"name": "apiKey", "value": "…"}`. When the first holds a credential's
/// name, the second is a credential.
const PAIR_NAMES: [&str; 7] = ["name", "key", "field", "header", "parameter", "param", "property"];
const PAIR_VALUES: [&str; 2] = ["value", "val"];

/// Maximum number of characters that are examined, from the end of a name.
const MAX_CHARACTERS: usize = 64;

/// The role that a member's name gives its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The value is a credential.
    Credential,
    /// The value may be the name of a credential that is the value of another member of the same object.
    PairName,
    /// The value of such a pair.
    PairValue,
    Other,
}

impl Role {
    /// Returns the role of a member's name.
    pub(crate) fn of(name: &str) -> Self {
        // The last letter settles it for most names.
        if !name.chars().rev().find(|character| character.is_alphabetic()).is_some_and(may_end_a_role) {
            return Self::Other;
        }
        let mut characters = ['\0'; MAX_CHARACTERS];
        let end = End::read(name, &mut characters);
        if end.is_credential() {
            Self::Credential
        } else if PAIR_NAMES.iter().any(|word| end.last_is(word)) {
            Self::PairName
        } else if PAIR_VALUES.iter().any(|word| end.last_is(word)) {
            Self::PairValue
        } else {
            Self::Other
        }
    }
}

/// Returns whether a name is that of a credential.
pub(crate) fn is_credential(name: &str) -> bool {
    Role::of(name) == Role::Credential
}

fn may_end_a_role(last_letter: char) -> bool {
    matches!(last_letter.to_ascii_lowercase(), 'd' | 'e' | 'l' | 'm' | 'n' | 'r' | 's' | 't' | 'y')
}

/// The last two words of a name, their characters in reverse order.
struct End<'a> {
    last: &'a [char],
    before: &'a [char],
}

impl<'a> End<'a> {
    fn read(name: &str, characters: &'a mut [char; MAX_CHARACTERS]) -> Self {
        let visible = name.chars().rev().filter(|character| !is_invisible(*character));
        let from_last_letter = visible.skip_while(|character| !character.is_alphabetic());
        let mut length = 0;
        for (place, character) in characters.iter_mut().zip(from_last_letter) {
            *place = character;
            length += 1;
        }
        let (last, rest) = split_word(&characters[..length]);
        let blanks = rest.iter().take_while(|character| !character.is_alphanumeric()).count();
        Self { last, before: split_word(&rest[blanks..]).0 }
    }

    fn is_credential(&self) -> bool {
        CREDENTIALS.iter().any(|credential| match credential.split_once(' ') {
            None => ends_in(self.last, credential),
            Some((first, second)) => {
                (self.last_is(second) && self.before.len() == first.len() && ends_in(self.before, first))
                    || (ends_in(self.last, second) && ends_in(&self.last[second.len()..], first))
            }
        })
    }

    fn last_is(&self, word: &str) -> bool {
        self.last.len() == word.len() && ends_in(self.last, word)
    }
}

/// Splits the last word off reversed characters: up to punctuation, or to a capital that begins a word (`apiKey`, `APIKey`).
fn split_word(reversed: &[char]) -> (&[char], &[char]) {
    let end = reversed.iter().enumerate().position(|(at, character)| {
        let begins_word = |at: usize| {
            let (word, next) = (reversed[at], at.checked_sub(1).map(|next| reversed[next]));
            word.is_uppercase() && (!character.is_uppercase() || next.is_some_and(char::is_lowercase))
        };
        !character.is_alphanumeric() || at.checked_sub(1).is_some_and(begins_word)
    });
    reversed.split_at(end.unwrap_or(reversed.len()))
}

fn ends_in(reversed: &[char], word: &str) -> bool {
    reversed.len() >= word.len()
        && reversed.iter().zip(word.bytes().rev()).all(|(character, byte)| character.eq_ignore_ascii_case(&byte.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_the_words_of_a_credential_is_one_in_every_spelling() {
        for name in [
            "whatsapp_apiKey",
            "whatsapp_apikey",
            "API-KEY",
            "APIKey",
            "APIKEY",
            "api.key",
            "x-api-key",
            "Api Key",
            "apiKey2",
            "token",
            "token17",
            "access_token",
            "accessToken",
            "accesstoken",
            "ACCESS_TOKEN",
            "oauth2Token",
            "JWTToken",
            "secret",
            "clientSecret",
            "client-secret",
            "password",
            "userPassword",
            "db_passwd",
            "PWD",
            "Authorization",
            "proxy-authorization",
            "credential",
            "aws_credentials",
            "privateKey",
            "private_key",
            "PRIVATE KEY",
            "token_",
            "to\u{200b}ken",
            "api\u{200f}Key",
            "טוקן token",
        ] {
            assert_eq!(Role::of(name), Role::Credential, "{name}");
            assert!(is_credential(name), "{name}");
        }
        let long = format!("{}_api_key", "x".repeat(100_000));
        assert!(is_credential(&long));
    }

    #[test]
    fn other_names_are_no_credentials() {
        for name in [
            "",
            "_",
            "17",
            "prompt_tokens",
            "max_tokens",
            "token_type",
            "tokenType",
            "secretary_phone",
            "secretary",
            "secrets",
            "secret_type",
            "access_tokens_url",
            "key",
            "apiKeys",
            "api_key_id",
            "papi_key",
            "api_monkey",
            "deprivate_key",
            "key_api",
            "keyApi",
            "passwords",
            "pwd_hint",
            "authorization_url",
            "authorizations",
            "credentialsUrl",
            "api",
            "private",
            "publicKey",
            "הסוד",
            "status",
            "whatsapp",
            "whatsapp_reference",
            "builder_url",
            "daily_limit",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn the_members_of_a_pair_are_told_by_their_last_word() {
        for name in [
            "name",
            "Name",
            "key",
            "fieldName",
            "FIELDName",
            "userKEY",
            "property_name",
            "field",
            "header",
            "parameter",
            "param",
            "property",
        ] {
            assert_eq!(Role::of(name), Role::PairName, "{name}");
        }
        for name in ["value", "VALUE", "field_value", "val"] {
            assert_eq!(Role::of(name), Role::PairValue, "{name}");
        }
        for name in ["surname", "names", "values", "interval", "evaluate", "fields", "monkey"] {
            assert_eq!(Role::of(name), Role::Other, "{name}");
        }
    }
}
