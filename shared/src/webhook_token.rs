use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::{hex_digits, secret::Secret};

/// Minimum length of a [`WebhookToken`], in characters.
const SHORTEST: usize = 16;

/// The secret last part of the registered URL's path: a call of the webhook without it is refused.
///
/// At least 16 characters of `A-Z a-z 0-9 - . _ ~`, which a URL's path keeps unchanged (RFC 3986, unreserved).
#[derive(Clone, Debug)]
pub struct WebhookToken(Secret);

/// The text cannot serve as a [`WebhookToken`].
#[derive(Debug, Error)]
#[error("a webhook token needs at least {SHORTEST} characters, each of them A-Z, a-z, 0-9, '-', '.', '_' or '~'")]
pub struct WeakWebhookToken;

impl WebhookToken {
    /// Creates a token that is long enough and safe in a URL.
    ///
    /// # Errors
    /// Fails when the text is too short or has a character that a URL's path would change.
    pub fn new(token: Secret) -> Result<Self, WeakWebhookToken> {
        let text = token.expose();
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if text.len() < SHORTEST || !text.bytes().all(unreserved) {
            return Err(WeakWebhookToken);
        }
        Ok(Self(token))
    }

    /// Returns the text, for the URL to register.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the hash by which the receiver recognises the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

/// The SHA-256 of a webhook token: enough to check a token, useless for calling the webhook.
#[derive(Clone, Copy, Debug)]
pub struct TokenHash([u8; 32]);

/// The text is not a [`TokenHash`].
#[derive(Debug, Error)]
#[error("not a token hash: expected 64 lower-case hexadecimal digits")]
pub struct InvalidTokenHash;

impl TokenHash {
    /// Returns the hash of any text given as a token.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// Returns whether both are hashes of the same token, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    /// Writes 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex_digits::write(f, &self.0)
    }
}

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex_digits::read(text).map(Self).ok_or(InvalidTokenHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back_as_it_was_written_and_matches_its_token_alone() {
        let token = WebhookToken::new(Secret::new("abcdefghijklmnop-._~")).unwrap();
        let read: TokenHash = token.hash().to_string().parse().unwrap();
        assert!(read.matches(&TokenHash::of("abcdefghijklmnop-._~")));
        assert!(!read.matches(&TokenHash::of("abcdefghijklmnop-._")));
        assert!(!read.matches(&TokenHash::of("")));
    }

    #[test]
    fn weak_tokens_are_refused_without_being_shown() {
        for text in ["", "short", "has/a/slash/in/the/middle", "has a blank in the middle", "percent%20percent%20"] {
            let error = WebhookToken::new(Secret::new(text)).unwrap_err();
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
        }
    }

    #[test]
    fn texts_that_are_no_hashes_are_refused() {
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<TokenHash>().is_err(), "{text}");
        }
    }
}
