use std::sync::OnceLock;

use partner::{Credentials, PartnerError, Session};
use shared::{RegisteredUrl, Secret, Timestamp, TokenHash, WebhookUrl};
use store::{AcceptedToken, RefusedCredentials};

use crate::{
    error::SyncError,
    invocation::{Clock, RANDOM, Randomness, TOKEN},
    our_urls::OurUrls,
    registration::{
        compare::Whereabouts,
        ledger_buffer::{LedgerBuffer, Summary},
        registration_transitions::SetReason,
    },
    report::{Outcome, Report},
    services::Services,
};

/// One run of an action. Its steps are the ones that actions have in common.
pub(crate) struct Run<'a> {
    pub(crate) services: &'a Services,
    action: &'static str,
    pub(crate) clock: Clock,
    /// The random bytes of a new webhook token.
    pub(crate) new_token: [u8; TOKEN],
    pub(crate) ledger: LedgerBuffer,
    /// The version of the partner secret that this run uses.
    credentials_version: OnceLock<String>,
    /// The partner account of this run's session, if the credentials name it.
    account: OnceLock<String>,
}

/// The registered URL, as the provider answered, compared with our URLs.
pub(crate) struct Observation {
    pub(crate) registered: Option<RegisteredUrl>,
    pub(crate) whereabouts: Whereabouts,
    /// True if the events that go there reach us.
    pub(crate) is_ours: bool,
}

impl<'a> Run<'a> {
    pub(crate) async fn open(
        services: &'a Services,
        action: &'static str,
        clock: Clock,
        random: [u8; RANDOM],
    ) -> Result<Self, SyncError> {
        let random = Randomness::new(random);
        let new_token = *random.token();
        let state = match services.ledger.read().await {
            // A person can look up the registered URL even while the tables cannot be read.
            Err(_) if action == "get" => Default::default(),
            state => state?,
        };
        let ledger = LedgerBuffer::new(&services.ledger, state, action, clock, random);
        Ok(Self {
            services,
            action,
            clock,
            new_token,
            ledger,
            credentials_version: OnceLock::new(),
            account: OnceLock::new(),
        })
    }

    /// Reports what is registered.
    pub(crate) async fn get(&mut self, ours: OurUrls) -> Result<Report, SyncError> {
        let (accepted, asked) = tokio::join!(self.services.accepted.read(), self.ask());
        // While the tables cannot be read, deliveries with any token are queued.
        Ok(self.report_found(Outcome::Reported, &ours, asked?.1, accepted.ok().as_deref()))
    }

    /// Reports what is registered, and whether that is ours. Without the accepted tokens, every token counts as accepted.
    pub(crate) fn report_found(
        &self,
        outcome: Outcome,
        ours: &OurUrls,
        registered: Option<RegisteredUrl>,
        accepted: Option<&[AcceptedToken]>,
    ) -> Report {
        let is_ours = match Whereabouts::of(registered.as_ref(), ours) {
            Whereabouts::Current | Whereabouts::Pending => true,
            Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => false,
            Whereabouts::OtherToken(token) => accepted.is_none_or(|accepted| self.lets_in(accepted, &token)),
        };
        let ours_seen = self.ledger.state().ours_at.is_some() && !self.is_in_another_account();
        let report = self.report(outcome, &ours.goal().url, registered);
        Report { ours: Some(is_ours), ours_seen: Some(ours_seen), ..report }
    }

    fn lets_in(&self, accepted: &[AcceptedToken], token: &TokenHash) -> bool {
        accepted.iter().any(|accepted| accepted.lets_in(token, self.clock.now()))
    }

    /// Returns whether the state belongs to another partner account than this run's session.
    pub(crate) fn is_in_another_account(&self) -> bool {
        self.ledger.state().is_of_another_account(self.account.get().map(String::as_str))
    }

    /// Opens a session with the provider, and gets the registered URL.
    pub(crate) async fn ask(&self) -> Result<(Session<'a>, Option<RegisteredUrl>), SyncError> {
        let mut session = self.open_session().await?;
        let registered = session.get_webhook().await?;
        Ok((session, registered))
    }

    /// Opens a session with the provider, unless it has refused these credentials before: each wrong attempt brings the caller's
    /// address, which others may share, closer to being blocked.
    pub(crate) async fn open_session(&self) -> Result<Session<'a>, SyncError> {
        let (credentials, version) = self.services.secrets.credentials().await?;
        match &self.ledger.state().refused_credentials {
            Some(RefusedCredentials { secret_version, at }) if *secret_version == version => {
                return Err(SyncError::CredentialsUnchanged { at: *at });
            }
            _ => self.credentials_version.get_or_init(|| version),
        };
        // A fixed access token names no account.
        let names_account = matches!(credentials, Credentials::Client(_));
        let session = self.services.partner.session(credentials, self.clock.now()).await?;
        if names_account {
            self.account.get_or_init(|| session.account());
        }
        Ok(session)
    }

    /// Fails when CloudFormation has asked to delete the registration: then nothing of ours may be registered any more.
    pub(crate) fn fail_if_deleted(&self) -> Result<(), SyncError> {
        match &self.ledger.state().deleted_stack {
            Some(deleted) => Err(SyncError::StackDeleted { at: deleted.at }),
            None => Ok(()),
        }
    }

    /// Notes the registered URL. If it is ours with an older token, that token stays accepted without an end: the URL may stay
    /// registered for any time.
    pub(crate) async fn observe(
        &mut self,
        ours: &OurUrls,
        registered: Option<RegisteredUrl>,
    ) -> Result<Observation, SyncError> {
        let whereabouts = Whereabouts::of(registered.as_ref(), ours);
        let is_ours = self.reaches_us(&whereabouts).await?;
        self.saw(is_ours, registered.as_ref(), SetReason::NotSet);
        Ok(Observation { registered, whereabouts, is_ours })
    }

    /// Returns whether events that go there reach us. A token that is accepted for some time only is accepted without an end
    /// from now on.
    pub(crate) async fn reaches_us(&self, whereabouts: &Whereabouts) -> Result<bool, SyncError> {
        match whereabouts {
            Whereabouts::Current | Whereabouts::Pending => Ok(true),
            Whereabouts::Elsewhere(_) | Whereabouts::Nowhere => Ok(false),
            Whereabouts::OtherToken(token) => {
                let accepted = self.lets_in(&self.services.accepted.read().await?, token);
                if accepted {
                    self.accept(token).await?;
                }
                Ok(accepted)
            }
        }
    }

    /// Stores the URL that ours is about to replace, if it is another one.
    pub(crate) async fn keep_url_before_ours(&self, found: &Observation, account: &str) -> Result<(), SyncError> {
        match &found.whereabouts {
            Whereabouts::Elsewhere(url) => {
                let url = Secret::new(url.expose());
                Ok(self.services.url_before_ours.keep(&url, account, self.clock.now()).await?)
            }
            _ => Ok(()),
        }
    }

    /// Accepts a token, and returns the start of its acceptance.
    pub(crate) async fn accept(&self, token: &TokenHash) -> Result<Timestamp, SyncError> {
        Ok(self.services.accepted.accept(token, self.clock.now()).await?)
    }

    /// Waits until every receiver accepts a token. A receiver that has just read the accepted tokens does not read them again at
    /// once: until it does, it refuses the new one, and the provider does not send the event again.
    pub(crate) async fn settle(&self, accepted_since: Timestamp) {
        tokio::time::sleep(accepted_since.plus(self.services.limits.settle).since(self.clock.now())).await;
    }

    /// Registers a URL of ours, and returns the URL registered afterwards.
    ///
    /// While the provider may carry the call out, a lease in the state says so. It is written by the same condition as the mark
    /// that a stack is being deleted: either this run sees the mark and sets nothing, or the deletion sees the lease and waits for
    /// its end before it looks at what is registered. A run that is killed leaves its lease to expire.
    pub(crate) async fn set_ours(
        &mut self,
        url: &WebhookUrl,
        session: &mut Session<'a>,
    ) -> Result<Option<RegisteredUrl>, SyncError> {
        let limits = self.services.limits;
        let leased_at = self.clock.now();
        self.ledger.take_lease(leased_at.plus(limits.lease()));
        self.ledger.write().await?;
        self.fail_if_deleted()?;
        if self.clock.now().since(leased_at) > limits.lease_margin {
            self.ledger.end_lease();
            return Err(SyncError::OutOfTime);
        }
        let set = session.set_webhook(url).await;
        // Without an answer of the API it may still be carried out.
        if !matches!(set, Err(PartnerError::Unreachable { .. } | PartnerError::NotTheApi { .. })) {
            self.ledger.end_lease();
        }
        set?;
        // The provider's OK alone does not show that the URL was taken.
        Ok(session.get_webhook().await?)
    }

    pub(crate) fn saw(&mut self, is_ours: bool, registered: Option<&RegisteredUrl>, reason: SetReason) {
        self.ledger.saw(is_ours, registered.map(ToString::to_string), self.account.get().cloned(), reason);
    }

    pub(crate) fn report(&self, outcome: Outcome, desired: &WebhookUrl, registered: Option<RegisteredUrl>) -> Report {
        Report { not_ours: self.ledger.not_ours(), ..Report::new(self.action, outcome, desired.clone(), registered) }
    }

    /// Records how the run ended, as far as the tables can be written, and adds what it has recorded to the summary. A run that
    /// does not check the registration, or only looks, records nothing but that credentials were refused.
    pub(crate) async fn close<T>(mut self, result: &Result<T, SyncError>, summary: &mut Summary) {
        if let Err(error) = result {
            if let SyncError::Partner(PartnerError::WrongCredentials { .. })
            | SyncError::NotReadBack(PartnerError::WrongCredentials { .. }) = error
                && let Some(version) = self.credentials_version.get()
            {
                self.ledger.credentials_refused(version.clone());
            }
            if !matches!(self.action, "get" | "plan" | "inventory") && error.is_failed_check() {
                self.ledger.failed(error.cause());
            }
            if !matches!(error, SyncError::StoreFailed(_))
                && self.ledger.has_unwritten()
                && let Err(error) = self.ledger.write().await
            {
                tracing::error!(%error, "the failure could not be recorded in the ledger");
            }
        }
        self.ledger.add_to(summary);
    }
}

/// Returns whether the registered URL is the wanted one.
pub(crate) fn means(registered: Option<&RegisteredUrl>, wanted: &WebhookUrl) -> bool {
    registered.is_some_and(|registered| registered.means(wanted))
}
