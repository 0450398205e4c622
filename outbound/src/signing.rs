//! Signatures by Standard Webhooks 1.0: HMAC-SHA-256 over id, time and body, so that an endpoint can tell our calls from others.

use base64::{Engine, engine::general_purpose::STANDARD};
use shared::{EventId, Secret, Timestamp};
use standardwebhooks::Webhook;
use thiserror::Error;

/// Prefix of the base64 text of a signing secret.
const PREFIX: &str = "whsec_";

/// Allowed length of a signing secret by Standard Webhooks 1.0, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that the partner's endpoint shares with us: `whsec_` and 24 to 64 bytes in base64.
///
/// `Debug` hides it.
pub struct SigningSecret {
    webhook: Webhook,
    text: Secret,
}

/// The reason why a text is not a [`SigningSecret`]. It does not include the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSigningSecret {
    /// The text does not start with `whsec_`.
    #[error("does not start with whsec_")]
    NoPrefix,
    /// The part after `whsec_` is not base64.
    #[error("is not base64 after whsec_")]
    NotBase64,
    /// The secret has fewer than 24 or more than 64 bytes.
    #[error("has {0} bytes after whsec_; from 24 to 64 are allowed")]
    Length(usize),
}

impl SigningSecret {
    /// Reads a secret in its text form.
    ///
    /// # Errors
    /// Fails with the error of the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningSecret> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSigningSecret::NoPrefix)?;
        let webhook = Webhook::new(encoded).map_err(|_| InvalidSigningSecret::NotBase64)?;
        // Base64 without line breaks: four letters for three bytes.
        let length = encoded.trim_end_matches('=').len() * 3 / 4;
        if !LENGTHS.contains(&length) {
            return Err(InvalidSigningSecret::Length(length));
        }
        Ok(Self { webhook, text: Secret::new(text) })
    }

    /// Creates the secret of these bytes, which must be random.
    ///
    /// # Errors
    /// Fails when there are fewer than 24 or more than 64 bytes.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, InvalidSigningSecret> {
        Self::parse(&format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Returns the text form, with which the partner configures the endpoint.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningSecret").field(&self.text).finish()
    }
}

/// Signs messages with the current secret and, during a replacement, also with the previous one.
#[derive(Debug)]
pub struct Signer {
    current: SigningSecret,
    previous: Option<SigningSecret>,
}

impl Signer {
    /// Creates a signer with one secret, or with two while the first replaces the second.
    pub fn new(current: SigningSecret, previous: Option<SigningSecret>) -> Self {
        Self { current, previous }
    }

    /// Returns whether one secret replaces another, and both sign.
    pub fn is_replacing(&self) -> bool {
        self.previous.is_some()
    }

    /// Returns the header `webhook-signature` of a message.
    pub fn sign(&self, id: &EventId, at: Timestamp, body: &str) -> String {
        let id = id.to_string();
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        let signatures = secrets.filter_map(|secret| secret.webhook.sign(&id, at.as_secs(), body.as_bytes()).ok());
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret and the signature of the specification's own example.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn id() -> EventId {
        "01a205f0-5119-7000-8000-000000000000".parse().unwrap()
    }

    #[test]
    fn a_secret_needs_its_prefix_base64_and_24_to_64_bytes() {
        assert!(SigningSecret::parse(SECRET).is_ok());
        for (text, fault) in [
            ("", InvalidSigningSecret::NoPrefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", InvalidSigningSecret::NoPrefix),
            ("whsec_", InvalidSigningSecret::Length(0)),
            ("whsec_MfKQ", InvalidSigningSecret::Length(3)),
            ("whsec_not base64!", InvalidSigningSecret::NotBase64),
        ] {
            assert_eq!(SigningSecret::parse(text).unwrap_err(), fault, "{text}");
        }
        let long = format!("whsec_{}", "abcd".repeat(22));
        assert_eq!(SigningSecret::parse(&long).unwrap_err(), InvalidSigningSecret::Length(66));
    }

    #[test]
    fn a_secret_is_made_of_24_to_64_bytes() {
        assert_eq!(SigningSecret::of_bytes(&[0; 24]).unwrap().expose(), format!("whsec_{}", "A".repeat(32)));
        assert!(SigningSecret::of_bytes(&[7; 64]).is_ok());
        for length in [0, 23, 65] {
            assert_eq!(SigningSecret::of_bytes(&vec![7; length]).unwrap_err(), InvalidSigningSecret::Length(length));
        }
    }

    #[test]
    fn a_secret_is_hidden_in_debug_output() {
        let signer = Signer::new(SigningSecret::parse(SECRET).unwrap(), None);
        assert!(!format!("{signer:?}").contains("MfKQ"), "{signer:?}");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let other = format!("whsec_{}", "abcd".repeat(8));
        let at = Timestamp::from_micros(1_795_339_800_000_000);
        let alone = |secret: &str| Signer::new(SigningSecret::parse(secret).unwrap(), None).sign(&id(), at, "{}");
        let both = Signer::new(SigningSecret::parse(SECRET).unwrap(), Some(SigningSecret::parse(&other).unwrap()));
        assert_eq!(both.sign(&id(), at, "{}"), format!("{} {}", alone(SECRET), alone(&other)));
        assert!(alone(SECRET).starts_with("v1,"));
    }

    #[test]
    fn the_signature_is_over_id_time_and_body() {
        let signer = Signer::new(SigningSecret::parse(SECRET).unwrap(), None);
        let at = Timestamp::from_micros(1_795_339_800_000_000);
        let signed = signer.sign(&id(), at, "{}");
        assert_ne!(signed, signer.sign(&id(), at, "{ }"));
        assert_ne!(signed, signer.sign(&id(), at.plus(std::time::Duration::from_secs(1)), "{}"));
        let other = "01a205f0-5119-7000-8000-000000000001".parse().unwrap();
        assert_ne!(signed, signer.sign(&other, at, "{}"));
    }
}
