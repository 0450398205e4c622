//! The signing secret, read from Secrets Manager.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{Client, error::SdkError};
use outbound::{Signer, SigningSecret};
use shared::{Causes, Secret, Timestamp};
use tokio::sync::Mutex;

use crate::log;

/// Maximum age of a secret in memory: a replaced one is in use after this time.
const REREAD: Duration = Duration::from_secs(60);

/// Time for which messages are also signed with the replaced secret.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// Reads the signing secret, and caches it.
pub(crate) struct Secrets {
    client: Client,
    id: String,
    kept: Mutex<Option<(Timestamp, std::sync::Arc<Signer>)>>,
}

impl Secrets {
    pub(crate) fn new(config: &SdkConfig, id: String) -> Self {
        Self { client: Client::new(config), id, kept: Mutex::new(None) }
    }

    /// Returns the signer for messages that are sent now.
    ///
    /// # Errors
    /// Fails when the secret cannot be read, or is not a signing secret. The message contains nothing of it.
    pub(crate) async fn signer(&self, now: Timestamp) -> Result<std::sync::Arc<Signer>, String> {
        let mut kept = self.kept.lock().await;
        if let Some((read_at, signer)) = &*kept
            && now.since(*read_at) < REREAD
        {
            return Ok(signer.clone());
        }
        let signer = match self.read(now).await {
            Ok(signer) => std::sync::Arc::new(signer),
            // A secret that was good a while ago is better than none: events must not wait for a person.
            Err(fault) => {
                let (_, signer) = kept.as_ref().ok_or_else(|| fault.clone())?;
                log::secret_not_read(&fault);
                return Ok(signer.clone());
            }
        };
        *kept = Some((now, signer.clone()));
        Ok(signer)
    }

    /// Reads the current secret and, while it replaces another one, that as well.
    async fn read(&self, now: Timestamp) -> Result<Signer, String> {
        let (text, replaced_at) = self
            .version(CURRENT)
            .await?
            .ok_or("the secret has no value; put one there: whsec_ and 24 to 64 random bytes in base64")?;
        let current = SigningSecret::parse(text.expose()).map_err(|fault| format!("the secret {fault}"))?;
        if now.since(replaced_at) >= OVERLAP {
            return Ok(Signer::new(current, None));
        }
        // A replaced value that never was a secret must not stop the one that was put in its place.
        let previous = self.version(PREVIOUS).await?.and_then(|(text, _)| SigningSecret::parse(text.expose()).ok());
        Ok(Signer::new(current, previous))
    }

    /// Reads a version of the secret and the time at which it was created; `None` when there is none.
    async fn version(&self, stage: &str) -> Result<Option<(Secret, Timestamp)>, String> {
        let answer = match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => return Ok(None),
            Err(SdkError::ServiceError(error)) => return Err(Causes(error.err()).to_string()),
            Err(error) => return Err(Causes(&error).to_string()),
        };
        let created_at = answer.created_date.map_or(0, |at| i64::try_from(at.as_nanos() / 1_000).unwrap_or(0));
        let text = answer.secret_string.map(Secret::new).ok_or("the secret is not a text")?;
        Ok(Some((text, Timestamp::from_micros(created_at))))
    }
}
