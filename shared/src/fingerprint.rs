use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::{hex_digits, secret::Secret};

/// Minimum length of a [`FingerprintKey`], in characters.
const SHORTEST_KEY: usize = 16;

/// The generated secret with which bodies are fingerprinted (`FINGERPRINT_KEY`).
#[derive(Clone, Debug)]
pub struct FingerprintKey(Secret);

/// The key is short enough to be guessed.
#[derive(Debug, Error)]
#[error("a fingerprint key needs at least {SHORTEST_KEY} characters of generated randomness")]
pub struct WeakFingerprintKey;

impl FingerprintKey {
    /// Creates a key from at least 16 characters.
    ///
    /// # Errors
    /// Fails when the text is shorter.
    pub fn new(key: Secret) -> Result<Self, WeakFingerprintKey> {
        if key.expose().len() < SHORTEST_KEY {
            return Err(WeakFingerprintKey);
        }
        Ok(Self(key))
    }

    /// Returns the fingerprint of a body exactly as it was received.
    pub fn fingerprint(&self, body: &[u8]) -> Fingerprint {
        // HMAC takes a key of any length, so there is no error to pass on; the type cannot express it.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes()) else {
            unreachable!("HMAC takes a key of any length")
        };
        mac.update(body);
        Fingerprint(mac.finalize().into_bytes().into())
    }
}

/// The HMAC-SHA-256 of a body as received: equal bodies have equal fingerprints, and nobody without the key can find a
/// short API key by hashing guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    /// Writes 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex_digits::write(f, &self.0)
    }
}

/// The text is not a [`Fingerprint`].
#[derive(Debug, Error)]
#[error("not a fingerprint: expected 64 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex_digits::read(text).map(Self).ok_or(InvalidFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_hmac_sha_256_that_openssl_computes() {
        // printf '{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = FingerprintKey::new(Secret::new("0123456789abcdef")).unwrap();
        assert_eq!(
            key.fingerprint(b"{}").to_string(),
            "f91e3e9f05cc2df64ac1c26f8adccdffda8d1e4a7a8c50a1a08eeadac6ddfec5"
        );
    }

    #[test]
    fn another_key_gives_another_fingerprint() {
        let one = FingerprintKey::new(Secret::new("0123456789abcdef")).unwrap();
        let two = FingerprintKey::new(Secret::new("0123456789abcdeg")).unwrap();
        assert_ne!(one.fingerprint(b"{}"), two.fingerprint(b"{}"));
    }

    #[test]
    fn a_short_key_is_refused_without_being_shown() {
        let error = FingerprintKey::new(Secret::new("hunter2")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_fingerprint_is_read_back_as_it_was_written() {
        let key = FingerprintKey::new(Secret::new("0123456789abcdef")).unwrap();
        let fingerprint = key.fingerprint(b"{}");
        assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
