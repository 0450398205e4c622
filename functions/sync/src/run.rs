use partner::Session;
use shared::{RegisteredUrl, Secret, Timestamp, TokenHash, WebhookUrl};
use store::{AcceptedToken, ChangeKind};

use crate::{
    Outcome, Report, SyncError, WebhookSync,
    book::{Book, Summary},
    compare::{OurUrl, OurUrls, Whereabouts},
    decide::{self, Decision, Facts, Intent},
    history::Deed,
    invocation::{Clock, Randomness, TOKEN},
    limits::FUNCTION_TIMEOUT,
};

/// One pass of the function that may change something, and takes down what it finds and does.
pub(crate) struct Run<'a> {
    pub(crate) sync: &'a WebhookSync,
    action: &'static str,
    pub(crate) clock: Clock,
    /// What the token of a rotation is made of.
    new_token: [u8; TOKEN],
    pub(crate) book: Book,
}

/// What is registered, and what that means.
pub(crate) struct Found {
    registered: Option<RegisteredUrl>,
    whereabouts: Whereabouts,
    /// Whether the events that go there reach us.
    pub(crate) is_ours: bool,
}

impl<'a> Run<'a> {
    pub(crate) async fn open(
        sync: &'a WebhookSync,
        action: &'static str,
        clock: Clock,
        random: Randomness,
    ) -> Result<Self, SyncError> {
        let new_token = *random.token();
        let book = Book::open(&sync.ledger, action, clock, random).await?;
        Ok(Self { sync, action, clock, new_token, book })
    }

    /// Keeps our URL registered, as far as the intent and the mode want it.
    pub(crate) async fn keep_true(&mut self, intent: Intent, ours: OurUrls) -> Result<Report, SyncError> {
        // Before anything is set, and also when nothing will have to be: at no time is a URL of ours registered whose token the
        // receiver refuses. Meanwhile it does no harm to ask what is registered; if the token is not accepted, that does not count.
        let accept = self.accept(&ours.current.token);
        let ask = async { Ok(self.sync.ask(self.clock.now()).await) };
        let (token_since, asked) = tokio::try_join!(accept, ask)?;
        let (session, registered) = asked?;
        let known = self.book.state().registered.clone();
        let found = self.find(&ours, registered).await?;
        let facts = Facts {
            intent,
            mode: self.sync.config.mode,
            found: &found.whereabouts,
            rotating: ours.pending.is_some(),
            rival: self.book.state().rival.as_ref(),
            token_is_old: self.is_old(token_since),
        };
        match facts.decide() {
            Decision::Leave => self.leave(ours, found).await,
            Decision::Observe => {
                self.book.write().await?;
                Ok(self.report(Outcome::WouldUpdate, &ours.goal().url, found.registered))
            }
            Decision::Contested => self.give_up(&found).await,
            Decision::Finish => {
                // The run that has set it may have noted it, and ended after that.
                if self.book.state().registered != known {
                    self.book.rotated();
                }
                self.book.write().await?;
                self.finish(&ours).await?;
                Ok(self.report(Outcome::Updated, &ours.goal().url, found.registered))
            }
            Decision::Register => self.register(&ours, found, session).await,
            Decision::Rotate => self.rotate(ours, found, session).await,
        }
    }

    /// Ours is registered: nothing is to be done but to let older tokens come to their end.
    async fn leave(&mut self, ours: OurUrls, found: Found) -> Result<Report, SyncError> {
        if self.book.state().rival.as_ref().is_some_and(|rival| decide::is_over(rival, self.clock.now())) {
            self.book.rival(None);
        }
        self.book.write().await?;
        self.retire_all_but(ours.all(), None).await?;
        Ok(self.report(Outcome::UpToDate, &ours.current.url, found.registered))
    }

    /// Leaves what is registered to whoever keeps registering it.
    async fn give_up(&mut self, found: &Found) -> Result<Report, SyncError> {
        let url = found.registered.as_ref().map(ToString::to_string).unwrap_or_default();
        let repairs = self.book.state().rival.as_ref().map_or(decide::REPAIRS, |rival| rival.repairs);
        if self.book.has_noted(ChangeKind::Drift) {
            self.book.contested();
        }
        self.book.write().await?;
        Err(SyncError::Contested { url, repairs })
    }

    /// Registers our URL with a new token, or goes on where a rotation before has stopped.
    async fn rotate(&mut self, mut ours: OurUrls, found: Found, session: Session<'a>) -> Result<Report, SyncError> {
        if ours.pending.is_none() {
            ours.pending = Some(self.sync.secrets.begin_rotation(&self.new_token).await?);
        }
        self.register(&ours, found, session).await
    }

    /// Puts our URL where another one is, or the one with the new token where that with the old one is.
    async fn register(&mut self, ours: &OurUrls, found: Found, mut session: Session<'a>) -> Result<Report, SyncError> {
        let goal = ours.goal();
        tracing::info!(found = %found.whereabouts, "the webhook will be set");
        self.book.write().await?;
        self.keep_url_before_ours(&found, &session.account()).await?;
        let accepted_since = self.accept(&goal.token).await?;
        self.settle(accepted_since).await;
        session.set_webhook(&goal.url).await?;
        // The provider's OK alone does not show that the URL was taken.
        let registered = session.get_webhook().await?;
        let verified = means(registered.as_ref(), &goal.url);
        let deed = match found.whereabouts {
            _ if !verified => Deed::NotTaken,
            Whereabouts::Current | Whereabouts::OtherToken(_) if found.is_ours => Deed::Rotation,
            _ => Deed::Repair,
        };
        let is_ours = self.reaches_us(&ours.compare(registered.as_ref())).await?;
        if let (Whereabouts::Elsewhere(url), true) = (&found.whereabouts, verified) {
            self.count_repair(url);
        }
        self.saw(is_ours, registered.as_ref(), deed);
        self.book.write().await?;
        if verified {
            self.finish(ours).await?;
        }
        Ok(self.report(Outcome::Updated, &goal.url, registered))
    }

    /// The token of the URL that is registered becomes the one in use, and all others come to their end.
    async fn finish(&mut self, ours: &OurUrls) -> Result<(), SyncError> {
        let goal = ours.goal();
        // Once more: another run may have ended it, to which it was one of those that nobody uses.
        self.accept(&goal.token).await?;
        if ours.pending.is_some() {
            self.sync.secrets.finish_rotation(goal, &ours.current).await?;
        }
        let replaced = ours.pending.is_some().then_some(&ours.current);
        self.retire_all_but(std::iter::once(goal), replaced).await
    }

    /// Takes down what is registered, and makes sure that it stays accepted if it is ours with an older token: nobody knows
    /// for how long it will be registered.
    pub(crate) async fn find(&mut self, ours: &OurUrls, registered: Option<RegisteredUrl>) -> Result<Found, SyncError> {
        let whereabouts = ours.compare(registered.as_ref());
        let is_ours = self.reaches_us(&whereabouts).await?;
        self.saw(is_ours, registered.as_ref(), Deed::None);
        Ok(Found { registered, whereabouts, is_ours })
    }

    /// Whether events that go there reach us. A token that does it for the time being does it without an end from now on.
    pub(crate) async fn reaches_us(&self, whereabouts: &Whereabouts) -> Result<bool, SyncError> {
        match whereabouts {
            Whereabouts::Current | Whereabouts::Pending => Ok(true),
            Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => Ok(false),
            Whereabouts::OtherToken(token) => {
                let now = self.clock.now();
                let accepted = self.sync.accepted.read().await?.iter().any(|accepted| accepted.lets_in(token, now));
                if accepted {
                    self.accept(token).await?;
                }
                Ok(accepted)
            }
        }
    }

    pub(crate) async fn keep_url_before_ours(&self, found: &Found, account: &str) -> Result<(), SyncError> {
        match &found.whereabouts {
            Whereabouts::Elsewhere(url) if self.book.state().ours_at.is_none() => {
                let url = Secret::new(url.expose());
                Ok(self.sync.url_before_ours.keep(&url, account, self.clock.now()).await?)
            }
            _ => Ok(()),
        }
    }

    fn count_repair(&mut self, of: &RegisteredUrl) {
        // Who was there before us may go on registering his URL, but the first time was not a repair.
        if self.book.state().ours_at.is_some() {
            let now = self.clock.now();
            let rival = decide::repaired(self.book.state().rival.as_ref(), of, now);
            self.book.rival(Some(rival));
        }
    }

    async fn retire_all_but(
        &self,
        kept: impl Iterator<Item = &OurUrl>,
        replaced: Option<&OurUrl>,
    ) -> Result<(), SyncError> {
        let kept: Vec<&TokenHash> = kept.map(|url| &url.token).collect();
        let now = self.clock.now();
        let until = now.plus(self.sync.config.token_overlap);
        // One so young may be that of another run, which is about to register it.
        let young = |token: &AcceptedToken| token.since.is_some_and(|since| now.since(since) < FUNCTION_TIMEOUT);
        for token in self.sync.accepted.read().await? {
            let kept = kept.iter().any(|kept| kept.matches(&token.hash));
            let replaced = replaced.is_some_and(|replaced| replaced.token.matches(&token.hash));
            if token.until.is_none() && !kept && (replaced || !young(&token)) {
                self.sync.accepted.retire(&token.hash, until).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn accept(&self, token: &TokenHash) -> Result<Timestamp, SyncError> {
        Ok(self.sync.accepted.accept(token, self.clock.now()).await?)
    }

    fn is_old(&self, token_since: Timestamp) -> bool {
        self.sync.config.token_max_age.is_some_and(|max_age| self.clock.now().since(token_since) >= max_age)
    }

    /// Waits until every receiver takes a token that is accepted since then. One that has read the accepted tokens just
    /// before does not read them again at once: until it does it refuses the new one, and what it refuses the provider does
    /// not send again.
    pub(crate) async fn settle(&self, accepted_since: Timestamp) {
        tokio::time::sleep(accepted_since.plus(self.sync.limits.settle).since(self.clock.now())).await;
    }

    pub(crate) fn saw(&mut self, is_ours: bool, registered: Option<&RegisteredUrl>, deed: Deed) {
        self.book.saw(is_ours, registered.map(ToString::to_string), deed);
    }

    pub(crate) fn report(&self, outcome: Outcome, desired: &WebhookUrl, registered: Option<RegisteredUrl>) -> Report {
        Report { not_ours: self.book.not_ours(), ..Report::new(self.action, outcome, desired.clone(), registered) }
    }

    /// Takes down that the run has failed, if it has and the tables can be written; answers what it has added to the history.
    pub(crate) async fn close<T>(mut self, result: &Result<T, SyncError>) -> Summary {
        if let Err(error) = result
            && !matches!(error, SyncError::Contested { .. } | SyncError::BadRequest(_) | SyncError::StoreFailed(_))
        {
            self.book.failed(error.cause());
            if let Err(error) = self.book.write().await {
                tracing::error!(%error, "the failure is not in the ledger");
            }
        }
        self.book.into_summary()
    }
}

pub(crate) fn means(registered: Option<&RegisteredUrl>, wanted: &WebhookUrl) -> bool {
    registered.is_some_and(|registered| registered.means(wanted))
}
