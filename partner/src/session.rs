use shared::{RegisteredUrl, Timestamp, TokenHash, WebhookUrl};

use crate::{
    access_token_cache::AccessTokenCache,
    base_url::ApiBaseUrl,
    credentials::{AccessToken, ClientCredentials, Credentials, Grant},
    error::{PartnerError, Unexpected},
    http::{Answer, HttpClient, Limits},
    lists::{Builder, Element, Line, ListAnswer, OnboardingLink, OnlineAccount, RegisteredNumber, Store},
    messages::{self, AccessTokenAnswer, GetWebhookAnswer, Reason, SetWebhookAnswer},
    operation::{List, Operation},
};

/// The partner API. Keeps the access token from one session to the next, only in memory.
pub struct PartnerApi {
    http: HttpClient,
    tokens: AccessTokenCache,
}

impl PartnerApi {
    /// Returns the API at a base URL; nothing is sent yet.
    pub fn new(base: ApiBaseUrl, limits: Limits) -> Self {
        Self { http: HttpClient::new(base, limits), tokens: AccessTokenCache::default() }
    }

    /// Opens a session with the fixed access token, else with the cached one, else with a new one.
    ///
    /// # Errors
    /// Fails when a new access token is needed and not granted.
    pub async fn session(&self, credentials: Credentials, now: Timestamp) -> Result<Session<'_>, PartnerError> {
        let token = match &credentials {
            Credentials::Fixed(token) => token.clone(),
            Credentials::Client(client) => match self.tokens.get(client, now) {
                Some(token) => token,
                None => self.new_token(client, now).await?,
            },
        };
        Ok(Session { api: self, credentials, token, renewed: false, now })
    }

    async fn new_token(&self, client: &ClientCredentials, now: Timestamp) -> Result<AccessToken, PartnerError> {
        let operation = Operation::AccessToken;
        let answer = self.http.send(operation, None, Some(messages::access_token_request(client))).await?;
        match answer.read(AccessTokenAnswer::read)? {
            AccessTokenAnswer::Granted { token, expires_at } => {
                let token = AccessToken::new(token).ok_or_else(|| answer.not_the_api(Unexpected::UnusableToken))?;
                self.tokens.put(&Grant { token: token.clone(), expires_at }, client, now);
                Ok(token)
            }
            AccessTokenAnswer::Refused(Reason::WRONG_CREDENTIALS) => Err(PartnerError::WrongCredentials { operation }),
            AccessTokenAnswer::Refused(Reason::BLOCKED) => Err(PartnerError::AddressBlocked),
            AccessTokenAnswer::Refused(Reason(reason)) => Err(PartnerError::UnknownReason { operation, reason }),
        }
    }
}

/// Calls of the partner API with one access token, which is replaced at most once.
pub struct Session<'a> {
    api: &'a PartnerApi,
    credentials: Credentials,
    token: AccessToken,
    renewed: bool,
    now: Timestamp,
}

impl Session<'_> {
    /// Returns a text that is the same for the same partner account, as far as that can be told: a fixed access token names
    /// none.
    pub fn account(&self) -> String {
        let client = match &self.credentials {
            Credentials::Client(client) => client.id.expose(),
            Credentials::Fixed(_) => "",
        };
        TokenHash::of(&format!("{} {client}", self.api.http.base().join(""))).to_string()
    }

    /// Returns the registered webhook URL; `None` when nothing is registered.
    ///
    /// # Errors
    /// Fails when the provider does not answer with it.
    pub async fn get_webhook(&mut self) -> Result<Option<RegisteredUrl>, PartnerError> {
        let operation = Operation::GetWebhook;
        loop {
            match self.send(operation, None).await?.read(GetWebhookAnswer::read)? {
                GetWebhookAnswer::Registered(url) => return Ok(url),
                GetWebhookAnswer::Refused(reason) => self.renew_or_fail(operation, reason).await?,
            }
        }
    }

    /// Registers a webhook URL. Only [`Session::get_webhook`] shows whether the provider took it.
    ///
    /// # Errors
    /// Fails when the provider does not confirm it. After [`PartnerError::Unreachable`] and
    /// [`PartnerError::NotTheApi`] it may have been registered nevertheless.
    pub async fn set_webhook(&mut self, url: &WebhookUrl) -> Result<(), PartnerError> {
        let operation = Operation::SetWebhook;
        loop {
            let body = messages::set_webhook_request(url);
            match self.send(operation, Some(body)).await?.read(SetWebhookAnswer::read)? {
                SetWebhookAnswer::Done => return Ok(()),
                SetWebhookAnswer::Refused(Reason::INVALID_URL) => return Err(PartnerError::UrlRefused),
                SetWebhookAnswer::Refused(reason) => self.renew_or_fail(operation, reason).await?,
            }
        }
    }

    /// Returns the WhatsApp lines whose client has finished onboarding.
    ///
    /// # Errors
    /// The provider did not answer with a complete list.
    pub async fn lines(&mut self) -> Result<Vec<Line>, PartnerError> {
        self.list(List::Lines, Line::read).await
    }

    /// Returns the onboarding links of WhatsApp lines.
    ///
    /// # Errors
    /// Fails as [`Session::lines`] does.
    pub async fn onboarding_links(&mut self) -> Result<Vec<OnboardingLink>, PartnerError> {
        self.list(List::OnboardingLinks, OnboardingLink::read).await
    }

    /// Returns the numbers that wait for an onboarding link.
    ///
    /// # Errors
    /// Fails as [`Session::lines`] does.
    pub async fn registered_numbers(&mut self) -> Result<Vec<RegisteredNumber>, PartnerError> {
        self.list(List::RegisteredNumbers, RegisteredNumber::read).await
    }

    /// Returns the WhatsApp stores.
    ///
    /// # Errors
    /// Fails as [`Session::lines`] does.
    pub async fn stores(&mut self) -> Result<Vec<Store>, PartnerError> {
        self.list(List::Stores, Store::read).await
    }

    /// Returns the accounts of the inbox product.
    ///
    /// # Errors
    /// Fails as [`Session::lines`] does.
    pub async fn online_accounts(&mut self) -> Result<Vec<OnlineAccount>, PartnerError> {
        self.list(List::OnlineAccounts, OnlineAccount::read).await
    }

    /// Returns the bots.
    ///
    /// # Errors
    /// Fails as [`Session::lines`] does.
    pub async fn builders(&mut self) -> Result<Vec<Builder>, PartnerError> {
        self.list(List::Builders, Builder::read).await
    }

    async fn list<T>(&mut self, list: List, read: fn(Element) -> T) -> Result<Vec<T>, PartnerError> {
        let operation = Operation::List(list);
        loop {
            let answer = self.send(operation, None).await?;
            match answer.read(|body| ListAnswer::read(list, body))? {
                ListAnswer::Complete(elements) => {
                    answer.succeeded()?;
                    return Ok(elements.into_iter().map(read).collect());
                }
                ListAnswer::Refused(reason) => self.renew_or_fail(operation, reason).await?,
            }
        }
    }

    async fn send(&self, operation: Operation, body: Option<Vec<u8>>) -> Result<Answer, PartnerError> {
        self.api.http.send(operation, Some(self.token.authorization()), body).await
    }

    /// Replaces the access token if that is the reason of a refusal, so that the call can be made once more. A token that was
    /// refused is not used again.
    async fn renew_or_fail(&mut self, operation: Operation, reason: Reason) -> Result<(), PartnerError> {
        match (reason, &self.credentials) {
            (Reason::TOKEN_EXPIRED, Credentials::Fixed(_)) => Err(PartnerError::FixedTokenExpired),
            (Reason::TOKEN_EXPIRED, Credentials::Client(client)) => {
                self.api.tokens.forget();
                if self.renewed {
                    return Err(PartnerError::TokenExpiredTwice);
                }
                self.renewed = true;
                self.token = self.api.new_token(client, self.now).await?;
                Ok(())
            }
            (Reason::WRONG_CREDENTIALS, _) => {
                self.api.tokens.forget();
                Err(PartnerError::WrongCredentials { operation })
            }
            (Reason(reason), _) => Err(PartnerError::UnknownReason { operation, reason }),
        }
    }
}
