use shared::{RegisteredUrl, WebhookUrl};

use crate::{
    action::BadRequest,
    error::SyncError,
    our_urls::{OurUrl, OurUrls},
    registration::{
        compare::Whereabouts,
        decide::is_contested_by,
        registration_transitions::SetReason,
        run::{Observation, Run, means},
    },
    report::{Outcome, Report},
};

/// A URL that a person wants to be registered.
enum Chosen {
    /// Ours, with the current token or the pending one.
    Ours(OurUrl),
    /// Ours, with an older token that is still accepted.
    OursWithOlderToken(WebhookUrl),
    /// Any other.
    Another(WebhookUrl),
}

impl Run<'_> {
    /// Registers the URL that a person has chosen.
    pub(crate) async fn set(&mut self, url: WebhookUrl, ours: OurUrls) -> Result<Report, SyncError> {
        let chosen = self.choose(&ours, url).await?;
        if !matches!(chosen, Chosen::Another(_)) {
            self.fail_if_deleted()?;
        }
        let mut session = self.open_session().await?;
        // Right before the set: if ours is still registered, no time until now counts as not ours.
        let found = match session.get_webhook().await {
            Ok(registered) => Some(self.observe(&ours, registered).await?),
            // The way back must be open even while the provider cannot tell what is registered.
            Err(error) if matches!(chosen, Chosen::Another(_)) && !error.concerns_every_call() => {
                tracing::warn!(%error, "it is unknown which URL is replaced");
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.ledger.write().await?;
        // A URL that keeps replacing ours is no webhook to go back to.
        let is_kept = |found: &Observation| !matches!(chosen, Chosen::Another(_)) && !self.is_contested(found);
        if let Some(found) = found.filter(is_kept) {
            self.keep_url_before_ours(&found, &session.account()).await?;
        }
        let (url, registered) = match chosen {
            Chosen::Ours(chosen) => {
                let accepted_since = self.accept(&chosen.token).await?;
                self.settle(accepted_since).await;
                let registered = self.set_ours(&chosen.url, &mut session).await?;
                (chosen.url, registered)
            }
            Chosen::OursWithOlderToken(url) => {
                let registered = self.set_ours(&url, &mut session).await?;
                (url, registered)
            }
            Chosen::Another(url) => {
                session.set_webhook(&url).await?;
                let registered = session.get_webhook().await.map_err(SyncError::NotReadBack)?;
                (url, registered)
            }
        };
        self.ledger.competing(None);
        let reason = if means(registered.as_ref(), &url) { SetReason::Person } else { SetReason::NotTaken };
        let is_ours = self.reaches_us(&Whereabouts::of(registered.as_ref(), &ours)).await?;
        self.saw(is_ours, registered.as_ref(), reason);
        self.ledger.write().await?;
        Ok(self.report(Outcome::Updated, &url, registered))
    }

    fn is_contested(&self, found: &Observation) -> bool {
        let competing = self.ledger.state().competing.as_ref();
        matches!(&found.whereabouts, Whereabouts::Elsewhere(url) if is_contested_by(competing, url))
    }

    /// Tells our URLs apart from others. Our address without a token stands for ours; with one, the receiver must accept it.
    async fn choose(&self, ours: &OurUrls, url: WebhookUrl) -> Result<Chosen, SyncError> {
        let written = RegisteredUrl::new(url.expose());
        if means(written.as_ref(), &ours.address) {
            return Ok(Chosen::Ours(ours.goal().clone()));
        }
        match Whereabouts::of(written.as_ref(), ours) {
            Whereabouts::Current => Ok(Chosen::Ours(ours.current.clone())),
            Whereabouts::Pending => Ok(Chosen::Ours(ours.goal().clone())),
            found @ Whereabouts::OtherToken(_) => match self.reaches_us(&found).await? {
                true => Ok(Chosen::OursWithOlderToken(url)),
                false => Err(BadRequest::UrlNotAccepted.into()),
            },
            // Sync cannot know whether the chosen place accepts the provider's calls.
            Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => Ok(Chosen::Another(url)),
        }
    }
}
