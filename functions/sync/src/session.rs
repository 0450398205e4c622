use shared::{
    RegisteredUrl, Timestamp, WebhookUrl,
    partner_api::{Reason, WebhookAnswer},
};

use crate::{
    SyncError,
    credentials::{AccessToken, ClientCredentials, Credentials},
    kept_access_token::KeptAccessToken,
    partner::{PartnerApi, WebhookCall},
};

/// One run's dealings with the partner API: it has an access token, and replaces it at most once.
pub(crate) struct Session<'a> {
    api: &'a PartnerApi,
    kept: &'a KeptAccessToken,
    credentials: Credentials,
    token: AccessToken,
    renewed: bool,
    now: Timestamp,
    account: String,
}

impl<'a> Session<'a> {
    /// Takes the fixed access token, else the kept one, else asks for one.
    pub(crate) async fn open(
        api: &'a PartnerApi,
        kept: &'a KeptAccessToken,
        credentials: Credentials,
        now: Timestamp,
    ) -> Result<Self, SyncError> {
        let token = match &credentials {
            Credentials::Fixed(token) => token.clone(),
            Credentials::Client(client) => match kept.get(client, now) {
                Some(token) => token,
                None => ask(api, kept, client, now).await?,
            },
        };
        let account = credentials.account(api.base());
        Ok(Self { api, kept, credentials, token, renewed: false, now, account })
    }

    /// A text that is the same for the same partner account.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// What is registered.
    pub(crate) async fn get(&mut self) -> Result<Option<RegisteredUrl>, SyncError> {
        self.call(WebhookCall::Get).await
    }

    /// Registers a URL.
    pub(crate) async fn set(&mut self, url: &WebhookUrl) -> Result<(), SyncError> {
        self.call(WebhookCall::Set(url)).await.map(|_| ())
    }

    async fn call(&mut self, call: WebhookCall<'_>) -> Result<Option<RegisteredUrl>, SyncError> {
        let mut answer = self.api.webhook(call, &self.token).await?;
        if answer == WebhookAnswer::Refused(Reason::TOKEN_EXPIRED) {
            self.renew().await?;
            answer = self.api.webhook(call, &self.token).await?;
        }
        match answer {
            WebhookAnswer::Done(registered) => Ok(registered),
            WebhookAnswer::Refused(reason) => Err(self.refused(call, reason)),
        }
    }

    async fn renew(&mut self) -> Result<(), SyncError> {
        self.kept.forget();
        match &self.credentials {
            Credentials::Fixed(_) => Err(SyncError::FixedTokenExpired),
            Credentials::Client(_) if self.renewed => Err(SyncError::TokenExpiredTwice),
            Credentials::Client(client) => {
                self.renewed = true;
                self.token = ask(self.api, self.kept, client, self.now).await?;
                Ok(())
            }
        }
    }

    fn refused(&self, call: WebhookCall<'_>, reason: Reason) -> SyncError {
        match (call, reason) {
            (_, Reason::WRONG_CREDENTIALS) => {
                self.kept.forget();
                SyncError::WrongCredentials { call: call.name() }
            }
            (_, Reason::TOKEN_EXPIRED) => {
                self.kept.forget();
                SyncError::TokenExpiredTwice
            }
            (WebhookCall::Set(_), Reason::INVALID_URL) => SyncError::UrlRefused,
            (_, Reason(number)) => SyncError::UnknownReason { call: call.name(), number },
        }
    }
}

async fn ask(
    api: &PartnerApi,
    kept: &KeptAccessToken,
    client: &ClientCredentials,
    now: Timestamp,
) -> Result<AccessToken, SyncError> {
    let grant = api.access_token(client).await?;
    kept.keep(&grant, client, now);
    Ok(grant.token)
}
