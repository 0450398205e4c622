use shared::{RegisteredUrl, WebhookUrl};

use crate::{
    Outcome, Report, Resolved, SecretFault, SyncError, compare::OurUrls, decide::Intent, history::Deed, run::Run,
};

impl Run<'_> {
    /// Registers our URL because the stack is new or has changed. Without credentials yet, that is left to the schedule.
    pub(crate) async fn register_for_stack(&mut self, ours: Result<OurUrls, SyncError>) -> Result<Resolved, SyncError> {
        match self.keep_true(Intent::Register, ours?).await {
            Ok(report) if report.verified => Ok(Resolved::by(&report)),
            Ok(_) => Err(SyncError::NotVerified),
            Err(SyncError::SecretUnusable { fault: SecretFault::NoCredentialsYet, .. }) => {
                Ok(Resolved::without_asking("waiting_for_credentials"))
            }
            Err(error) => Err(error),
        }
    }

    /// Puts back the URL that was registered before ours because the stack is going away, if ours is still registered.
    pub(crate) async fn restore_for_stack(&mut self, ours: Result<OurUrls, SyncError>) -> Result<Resolved, SyncError> {
        match self.restore(ours).await? {
            Some(report) if report.verified => Ok(Resolved::by(&report)),
            Some(_) => Err(SyncError::NotVerified),
            None => Ok(Resolved::without_asking("left_alone")),
        }
    }

    async fn restore(&mut self, ours: Result<OurUrls, SyncError>) -> Result<Option<Report>, SyncError> {
        // It is kept right before ours is set for the first time. Without it the provider is not asked: ours never was
        // registered, perhaps because the credentials are wrong, or there is nothing to put back.
        let Some(before) = self.sync.url_before_ours.read().await? else { return Ok(None) };
        let url = RegisteredUrl::new(before.url.expose()).map(|url| WebhookUrl::of_registered(&url));
        let Some(Ok(url)) = url else { return Ok(None) };
        let ours = ours?;
        let mut session = self.sync.open_session(self.clock.now()).await?;
        // The URL of one partner account is of no use in another.
        if before.account != session.account() {
            return Ok(None);
        }
        let found = self.find(&ours, session.get_webhook().await?).await?;
        self.book.write().await?;
        if !found.is_ours {
            return Ok(None);
        }
        session.set_webhook(&url).await?;
        let registered = session.get_webhook().await?;
        self.saw(false, registered.as_ref(), Deed::Restoration);
        self.book.write().await?;
        Ok(Some(self.report(Outcome::Updated, &url, registered)))
    }
}
