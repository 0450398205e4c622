//! The signing secret, kept in memory for a while.

use std::{sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use lambda::within;
use outbound::{Signer, StoredSecret};
use shared::Timestamp;
use tokio::sync::Mutex;

use crate::{budget, log};

/// Maximum age of a secret in memory: a replaced one is in use after this time.
const REREAD: Duration = Duration::from_secs(60);

/// Reads the signing secret, and caches it.
pub(crate) struct Secrets {
    stored: StoredSecret,
    kept: Mutex<Option<(Timestamp, Arc<Signer>)>>,
}

impl Secrets {
    pub(crate) fn new(config: &SdkConfig, id: String) -> Self {
        Self { stored: StoredSecret::new(Client::new(config), id), kept: Mutex::new(None) }
    }

    /// Returns the signer for messages that are sent now.
    ///
    /// # Errors
    /// Fails when the secret cannot be read, or is not a signing secret. The message contains nothing of it.
    pub(crate) async fn signer(&self, now: Timestamp) -> Result<Arc<Signer>, String> {
        let mut kept = self.kept.lock().await;
        if let Some((read_at, signer)) = &*kept
            && now.since(*read_at) < REREAD
        {
            return Ok(signer.clone());
        }
        let read = within(budget::CALL, "Secrets Manager", self.stored.signer(now));
        let signer = match (read.await, &*kept) {
            (Ok(signer), _) => Arc::new(signer),
            // A secret that was good a while ago is better than none: events must not wait for a person. Nor does each of them wait
            // for Secrets Manager: the next read is due when this one would have aged.
            (Err(fault), Some((_, signer))) => {
                log::secret_not_read(&fault);
                Arc::clone(signer)
            }
            (Err(fault), None) => return Err(fault),
        };
        *kept = Some((now, signer.clone()));
        Ok(signer)
    }
}
