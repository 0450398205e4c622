use shared::{RegisteredUrl, WebhookUrl};

use crate::{
    BadRequest, Outcome, Report, SyncError,
    compare::{OurUrl, OurUrls, Whereabouts},
    history::Deed,
    run::{Run, means},
};

/// A URL that a person wants to be registered.
enum Chosen {
    /// Ours, with a token that is in use or will be.
    Ours(OurUrl),
    /// Any other.
    Another(WebhookUrl),
}

impl Run<'_> {
    /// Registers the URL that a person has chosen.
    pub(crate) async fn set(&mut self, url: WebhookUrl, ours: OurUrls) -> Result<Report, SyncError> {
        let chosen = self.choose(&ours, url).await?;
        let mut session;
        let url = match &chosen {
            Chosen::Ours(ours_with_token) => {
                let accepted_since = self.accept(&ours_with_token.token).await?;
                session = self.sync.open_session(self.clock.now()).await?;
                let found = self.find(&ours, session.get_webhook().await?).await?;
                self.book.write().await?;
                self.keep_url_before_ours(&found, &session.account()).await?;
                self.settle(accepted_since).await;
                &ours_with_token.url
            }
            Chosen::Another(url) => {
                session = self.sync.open_session(self.clock.now()).await?;
                url
            }
        };
        session.set_webhook(url).await?;
        self.book.rival(None);
        let registered = session.get_webhook().await?;
        let deed = if means(registered.as_ref(), url) { Deed::Person } else { Deed::NotTaken };
        let is_ours = self.reaches_us(&ours.compare(registered.as_ref())).await?;
        self.saw(is_ours, registered.as_ref(), deed);
        self.book.write().await?;
        Ok(self.report(Outcome::Updated, url, registered))
    }

    /// What a URL that a person has chosen means. Our address without a token means ours; with one, the receiver must take it.
    async fn choose(&self, ours: &OurUrls, url: WebhookUrl) -> Result<Chosen, SyncError> {
        let written = RegisteredUrl::new(url.expose());
        if means(written.as_ref(), &ours.address) {
            return Ok(Chosen::Ours(ours.goal().clone()));
        }
        match ours.compare(written.as_ref()) {
            Whereabouts::Current => Ok(Chosen::Ours(ours.current.clone())),
            Whereabouts::Pending => Ok(Chosen::Ours(ours.goal().clone())),
            found @ Whereabouts::OtherToken(_) => match self.reaches_us(&found).await? {
                true => Ok(Chosen::Another(url)),
                false => Err(BadRequest::UrlNotAccepted.into()),
            },
            // Whether the place that a person has chosen lets the provider in is not ours to know.
            Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => Ok(Chosen::Another(url)),
        }
    }
}
