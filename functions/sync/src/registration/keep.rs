use partner::Session;
use shared::{Timestamp, TokenHash};
use store::AcceptedToken;

use crate::{
    error::SyncError,
    limits::FUNCTION_TIMEOUT,
    our_urls::{OurUrl, OurUrls},
    registration::{
        compare::Whereabouts,
        decide::{self, Decision, Facts, Intent},
        registration_transitions::SetReason,
        run::{Observation, Run, means},
    },
    report::{Outcome, Report},
};

impl<'a> Run<'a> {
    /// Reports what [`Run::keep`] would do for a scheduled run: the same facts and the same decision, but nothing is carried out. Where a
    /// scheduled run would fail, this fails with the same cause.
    pub(crate) async fn plan(&mut self, ours: OurUrls) -> Result<Report, SyncError> {
        self.fail_if_deleted()?;
        let (accepted, asked) = tokio::join!(self.services.accepted.read(), self.ask());
        let (accepted, registered) = (accepted?, asked?.1);
        let current = accepted.iter().find(|token| token.until.is_none() && ours.current.token.matches(&token.hash));
        // Accepted no sooner than a scheduled run would accept it: now.
        let token_since = current.and_then(|token| token.since).unwrap_or_else(|| self.clock.now());
        let whereabouts = Whereabouts::of(registered.as_ref(), &ours);
        let outcome = match self.decide(Intent::Sync, &ours, &whereabouts, token_since) {
            Decision::Leave => Outcome::UpToDate,
            Decision::Contested => return Err(self.contested(&whereabouts)),
            Decision::Observe | Decision::Finish | Decision::Register | Decision::Rotate => Outcome::WouldUpdate,
        };
        Ok(self.report_found(outcome, &ours, registered, Some(&accepted)))
    }

    /// Keeps our URL registered, according to the intent and the mode.
    pub(crate) async fn keep(&mut self, intent: Intent, ours: OurUrls) -> Result<Report, SyncError> {
        self.fail_if_deleted()?;
        // Even if nothing has to be set: the receiver must never refuse the token of a registered URL of ours. Getting the
        // registered URL at the same time does no harm; if the token is not accepted, the answer is ignored.
        let ask = async { Ok(self.ask().await) };
        let (token_since, asked) = tokio::try_join!(self.accept(&ours.current.token), ask)?;
        let (session, registered) = asked?;
        let known = self.ledger.state().registered.clone();
        let found = self.observe(&ours, registered).await?;
        match self.decide(intent, &ours, &found.whereabouts, token_since) {
            Decision::Leave => self.leave(ours, found).await,
            Decision::Observe => {
                self.ledger.write().await?;
                Ok(self.report(Outcome::WouldUpdate, &ours.goal().url, found.registered))
            }
            Decision::Contested => {
                let contested = self.contested(&found.whereabouts);
                self.ledger.contested(found.registered.map(|url| url.to_string()));
                self.ledger.write().await?;
                Err(contested)
            }
            Decision::Finish => {
                // The run that has set it may have recorded it, and ended after that.
                if self.ledger.state().registered != known {
                    self.ledger.rotated();
                }
                self.ledger.write().await?;
                self.finish(&ours).await?;
                Ok(self.report(Outcome::Updated, &ours.goal().url, found.registered))
            }
            Decision::Register => self.register(&ours, found, session).await,
            Decision::Rotate => self.rotate(ours, found, session).await,
        }
    }

    fn decide(&self, intent: Intent, ours: &OurUrls, found: &Whereabouts, token_since: Timestamp) -> Decision {
        let config = &self.services.config;
        let token_age = self.clock.now().since(token_since);
        Facts {
            intent,
            mode: config.mode,
            found,
            rotating: ours.pending.is_some(),
            competing: self.ledger.state().competing.as_ref().filter(|_| !self.is_in_another_account()),
            token_is_old: config.token_max_age.is_some_and(|max_age| token_age >= max_age),
        }
        .decide()
    }

    fn contested(&self, found: &Whereabouts) -> SyncError {
        let url = if let Whereabouts::Elsewhere(url) = found { url.to_string() } else { String::new() };
        let repairs = self.ledger.state().competing.as_ref().map_or(decide::REPAIRS, |competing| competing.repairs);
        SyncError::Contested { url, repairs }
    }

    /// Leaves the registration as it is, and retires older tokens.
    async fn leave(&mut self, ours: OurUrls, found: Observation) -> Result<Report, SyncError> {
        let now = self.clock.now();
        if self.ledger.state().competing.as_ref().is_some_and(|competing| decide::is_over(competing, now)) {
            self.ledger.competing(None);
        }
        self.ledger.write().await?;
        self.retire_all_but(ours.all(), None).await?;
        Ok(self.report(Outcome::UpToDate, &ours.current.url, found.registered))
    }

    /// Registers our URL with a new token, or continues an unfinished rotation.
    async fn rotate(
        &mut self,
        mut ours: OurUrls,
        found: Observation,
        session: Session<'a>,
    ) -> Result<Report, SyncError> {
        if ours.pending.is_none() {
            ours.pending = Some(self.services.secrets.begin_rotation(&self.new_token).await?);
        }
        self.register(&ours, found, session).await
    }

    /// Registers our URL in place of another one, or with the new token in place of the old one.
    async fn register(
        &mut self,
        ours: &OurUrls,
        found: Observation,
        mut session: Session<'a>,
    ) -> Result<Report, SyncError> {
        let goal = ours.goal();
        tracing::info!(found = %found.whereabouts, "the webhook will be set");
        self.ledger.write().await?;
        // A URL that replaces ours later is a competing one, unless a person says otherwise.
        if self.ledger.state().ours_at.is_none() {
            self.keep_url_before_ours(&found, &session.account()).await?;
        }
        let accepted_since = self.accept(&goal.token).await?;
        self.settle(accepted_since).await;
        let registered = self.set_ours(&goal.url, &mut session).await?;
        let verified = means(registered.as_ref(), &goal.url);
        let reason = match found.whereabouts {
            _ if !verified => SetReason::NotTaken,
            Whereabouts::Current | Whereabouts::OtherToken(_) if found.is_ours => SetReason::Rotation,
            _ => SetReason::Repair,
        };
        let is_ours = self.reaches_us(&Whereabouts::of(registered.as_ref(), ours)).await?;
        if let (Whereabouts::Elsewhere(url), true) = (&found.whereabouts, verified) {
            self.count_repair(&url.to_string());
        }
        self.saw(is_ours, registered.as_ref(), reason);
        self.ledger.write().await?;
        // If the stack was deleted meanwhile, its deletion restores the earlier URL.
        self.fail_if_deleted()?;
        if verified {
            self.finish(ours).await?;
        }
        Ok(self.report(Outcome::Updated, &goal.url, registered))
    }

    /// Makes the token of the registered URL the current one, and ends all others.
    async fn finish(&mut self, ours: &OurUrls) -> Result<(), SyncError> {
        let goal = ours.goal();
        // Again, because another run may have retired it as unused.
        self.accept(&goal.token).await?;
        if ours.pending.is_some() {
            self.services.secrets.finish_rotation(goal, &ours.current).await?;
        }
        let replaced = ours.pending.is_some().then_some(&ours.current);
        self.retire_all_but(std::iter::once(goal), replaced).await
    }

    fn count_repair(&mut self, replaced: &str) {
        // The URL registered before ours may come back, but replacing it the first time was not a repair.
        if self.ledger.state().ours_at.is_some() {
            let competing = decide::repaired(self.ledger.state().competing.as_ref(), replaced, self.clock.now());
            self.ledger.competing(Some(competing));
        }
    }

    async fn retire_all_but(
        &self,
        kept: impl Iterator<Item = &OurUrl>,
        replaced: Option<&OurUrl>,
    ) -> Result<(), SyncError> {
        let kept: Vec<&TokenHash> = kept.map(|url| &url.token).collect();
        let now = self.clock.now();
        let until = now.plus(self.services.config.token_overlap);
        // Another run may be about to register a token this young.
        let young = |token: &AcceptedToken| token.since.is_some_and(|since| now.since(since) < FUNCTION_TIMEOUT);
        for token in self.services.accepted.read().await? {
            let kept = kept.iter().any(|kept| kept.matches(&token.hash));
            let replaced = replaced.is_some_and(|replaced| replaced.token.matches(&token.hash));
            if token.until.is_none() && !kept && (replaced || !young(&token)) {
                self.services.accepted.retire(&token.hash, until).await?;
            }
        }
        Ok(())
    }
}
