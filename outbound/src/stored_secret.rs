//! The signing secret in Secrets Manager.

use std::time::Duration;

use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};
use shared::{Causes, Secret, Timestamp};
use thiserror::Error;

use crate::signing::{InvalidSigningSecret, Signer, SigningSecret};

/// Time for which messages are also signed with the secret that was replaced.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The signing secret, as Secrets Manager stores it: the current value, and the one that it replaced.
#[derive(Clone, Debug)]
pub struct StoredSecret {
    client: Client,
    id: String,
}

/// The current value of the secret.
#[derive(Debug)]
pub struct CurrentSecret {
    /// The value.
    pub secret: SigningSecret,
    /// Time at which it was stored.
    pub stored_at: Timestamp,
}

/// The reason why the secret cannot be used. It contains nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretFault {
    /// Nothing was ever stored.
    #[error("the secret has no value; put one there: whsec_ and 24 to 64 random bytes in base64")]
    NoValue,
    /// The value is binary.
    #[error("the secret is not a text")]
    NotText,
    /// The value is not a signing secret.
    #[error("the secret {0}")]
    Invalid(#[from] InvalidSigningSecret),
    /// Secrets Manager refused the call, or did not answer.
    #[error("{0}")]
    Aws(String),
}

impl StoredSecret {
    /// Creates the secret with a name or ARN.
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        Self { client, id: id.into() }
    }

    /// Reads the current value.
    ///
    /// # Errors
    /// Fails when it cannot be read, or is not a signing secret.
    pub async fn current(&self) -> Result<CurrentSecret, SecretFault> {
        let (text, stored_at) = self.version(CURRENT).await?.ok_or(SecretFault::NoValue)?;
        Ok(CurrentSecret { secret: SigningSecret::parse(text.expose())?, stored_at })
    }

    /// Reads the secret, and returns the signer of messages that are sent at `now`. For [`OVERLAP`] after a replacement it also signs
    /// with the replaced value.
    ///
    /// # Errors
    /// Fails when the current value cannot be read, or is not a signing secret.
    pub async fn signer(&self, now: Timestamp) -> Result<Signer, SecretFault> {
        let CurrentSecret { secret, stored_at } = self.current().await?;
        if now.since(stored_at) >= OVERLAP {
            return Ok(Signer::new(secret, None));
        }
        // A replaced value that never was a signing secret must not stop the one that was put in its place.
        let previous = match self.version(PREVIOUS).await {
            Ok(replaced) => replaced.and_then(|(text, _)| SigningSecret::parse(text.expose()).ok()),
            Err(SecretFault::NotText) => None,
            Err(fault) => return Err(fault),
        };
        Ok(Signer::new(secret, previous))
    }

    /// Replaces the current value.
    ///
    /// # Errors
    /// Fails when Secrets Manager refuses, or does not answer.
    pub async fn replace(&self, with: &SigningSecret) -> Result<(), SecretFault> {
        let put = self.client.put_secret_value().secret_id(&self.id).secret_string(with.expose());
        put.send().await.map(|_| ()).map_err(|error| fault(&error))
    }

    /// Reads a version of the secret and the time at which it was stored; `None` when there is none.
    async fn version(&self, stage: &str) -> Result<Option<(Secret, Timestamp)>, SecretFault> {
        let answer = match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => return Ok(None),
            Err(error) => return Err(fault(&error)),
        };
        let stored_at = answer.created_date.map_or(0, |at| i64::try_from(at.as_nanos() / 1_000).unwrap_or(0));
        let text = answer.secret_string.map(Secret::new).ok_or(SecretFault::NotText)?;
        Ok(Some((text, Timestamp::from_micros(stored_at))))
    }
}

/// Describes an error of Secrets Manager by its answer, or by the causes of a missing one.
fn fault<E>(error: &SdkError<E>) -> SecretFault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    SecretFault::Aws(match error {
        SdkError::ServiceError(error) => Causes(error.err()).to_string(),
        error => Causes(error).to_string(),
    })
}
