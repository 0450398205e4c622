use std::time::Duration;

use shared::{RegisteredUrl, WebhookUrl};

use crate::{
    error::SyncError,
    limits::LATE_REQUEST,
    our_urls::OurUrls,
    registration::{compare::Whereabouts, decide::Intent, registration_transitions::SetReason, run::Run},
    report::{Outcome, Report, Resolved},
    secret_fault::SecretFault,
};

/// Time between two looks at the leases of other runs.
const PAUSE: Duration = Duration::from_millis(250);

impl Run<'_> {
    /// Registers our URL because the stack is new or has changed. If there are no credentials yet, that is left to the schedule.
    pub(crate) async fn register_for_stack(
        &mut self,
        stack_id: &str,
        ours: Result<OurUrls, SyncError>,
    ) -> Result<Resolved, SyncError> {
        self.admit(stack_id).await?;
        match self.keep(Intent::Register, ours?).await {
            Ok(report) if report.verified => Ok(Resolved::by(&report)),
            Ok(_) => Err(SyncError::NotVerified),
            Err(SyncError::SecretUnusable { fault: SecretFault::NoCredentialsYet, .. }) => {
                Ok(Resolved::without_asking("waiting_for_credentials"))
            }
            Err(error) => Err(error),
        }
    }

    /// Clears the mark of a deletion, which was that of another stack with the same tables. A request of the deleted stack itself
    /// was sent before the deletion, and is refused, unless it comes much later.
    pub(crate) async fn admit(&mut self, stack_id: &str) -> Result<(), SyncError> {
        let Some(deleted) = self.ledger.state().deleted_stack.clone() else { return Ok(()) };
        if deleted.stack_id == stack_id && self.clock.now().since(deleted.at) < LATE_REQUEST {
            return Err(SyncError::StackDeleted { at: deleted.at });
        }
        self.ledger.new_stack(deleted);
        Ok(self.ledger.write().await?)
    }

    /// Restores the URL that was registered before ours because the stack is being deleted, if ours is still registered.
    pub(crate) async fn restore_for_stack(
        &mut self,
        stack_id: &str,
        ours: Result<OurUrls, SyncError>,
    ) -> Result<Resolved, SyncError> {
        // From now on no other run starts setting ours. Calls already started may still be carried out, so they are waited for.
        self.ledger.stack_deleted(stack_id.to_owned());
        self.ledger.write().await?;
        self.wait_for_leases().await?;
        match self.restore(ours).await? {
            Some(report) if report.verified => Ok(Resolved::by(&report)),
            Some(_) => Err(SyncError::NotVerified),
            None => Ok(Resolved::without_asking("left_alone")),
        }
    }

    async fn wait_for_leases(&mut self) -> Result<(), SyncError> {
        while let Some(until) = self.ledger.state().set_leases.values().max() {
            let left = until.since(self.clock.now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(PAUSE)).await;
            self.ledger.read_again().await?;
        }
        Ok(())
    }

    async fn restore(&mut self, ours: Result<OurUrls, SyncError>) -> Result<Option<Report>, SyncError> {
        // It is stored right before ours is set in its place. Without it the provider is not asked: either ours never was
        // registered, perhaps because the credentials are wrong, or there is nothing to restore.
        let Some(before) = self.services.url_before_ours.read().await? else { return Ok(None) };
        let url = RegisteredUrl::new(before.url.expose()).map(|url| WebhookUrl::of_registered(&url));
        let Some(Ok(url)) = url else { return Ok(None) };
        let ours = ours?;
        let mut session = self.open_session().await?;
        // The URL of one partner account is of no use in another.
        if before.account != session.account() {
            return Ok(None);
        }
        let registered = session.get_webhook().await?;
        let found = self.observe(&ours, registered).await?;
        self.ledger.write().await?;
        // Our address disappears, even if the receiver no longer accepts the registered token.
        if matches!(found.whereabouts, Whereabouts::Elsewhere(_) | Whereabouts::Nowhere) {
            return Ok(None);
        }
        session.set_webhook(&url).await?;
        let registered = session.get_webhook().await?;
        self.saw(false, registered.as_ref(), SetReason::Restoration);
        self.ledger.write().await?;
        Ok(Some(self.report(Outcome::Updated, &url, registered)))
    }
}
