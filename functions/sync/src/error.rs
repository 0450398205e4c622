use lambda_runtime::Diagnostic;
use partner::{Operation, PartnerError};
use shared::{InvalidWebhookUrl, WeakWebhookToken};
use store::StoreError;
use thiserror::Error;

use crate::{BadRequest, secrets::SecretId};

/// Why a run did not end with a report. Each text says what to do next; none has a secret, a body of the provider's or an
/// unmasked URL in it.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The event asks for nothing that can be done.
    #[error("bad request: {0}")]
    BadRequest(#[from] BadRequest),
    /// A secret does not hold what is needed, or could not be read.
    #[error("the secret {secret} {fault}")]
    SecretUnusable {
        /// The secret.
        secret: SecretId,
        /// What is wrong with it, and what to do.
        fault: SecretFault,
    },
    /// The accepted tokens or the ledger could not be read or written.
    #[error(
        "the tables cannot be read or written, so nothing more was done; \"get\" shows what is registered, and the next run \
         tries again: {0}"
    )]
    StoreFailed(#[from] StoreError),
    /// Another URL comes back after every repair.
    #[error(
        "another URL ({url}) came back after each of {repairs} repairs, so somebody keeps registering it for the same partner \
         account, perhaps another deployment; sync no longer replaces it; stop the other one, then send \
         {{\"action\":\"set\",\"url\":…}} with the address of this webhook (the output WebhookUrl of the stack)"
    )]
    Contested {
        /// The URL, masked.
        url: String,
        /// Number of times that ours was put back in its place.
        repairs: u32,
    },
    /// The provider said OK to a deployment's URL and shows another one.
    #[error(
        "the provider said OK to the URL but shows another one as registered; look at what is registered with \"get\", and ask \
         the provider if it stays so"
    )]
    NotVerified,
    /// The time of the function was over.
    #[error("the run was ended before the function's time was over; the next one continues from there")]
    OutOfTime,
    /// A bug in this program.
    #[error("sync panicked, which is a bug: the log has the place; the next run continues from there")]
    Panicked,
    /// A call of the partner API failed.
    #[error("{}; {}", .0, remedy(.0))]
    Partner(#[from] PartnerError),
}

/// What to do about a failed call.
fn remedy(error: &PartnerError) -> &'static str {
    match error {
        PartnerError::WrongCredentials { .. } => {
            "put the right ones into the secret that PARTNER_SECRET_ID names before sync runs again: more wrong attempts make \
             the provider block this address"
        }
        PartnerError::AddressBlocked => {
            "check the secret that PARTNER_SECRET_ID names, then wait until the block ends or ask the provider to lift it"
        }
        PartnerError::TokenExpiredTwice => {
            "if the next run fails as well, ask the provider, and check that nobody else requests tokens with the same client id"
        }
        PartnerError::FixedTokenExpired => {
            "put a new \"access_token\" into the secret that PARTNER_SECRET_ID names, or better \"client_id\" and \
             \"client_secret\", with which sync gets its own"
        }
        PartnerError::UrlRefused => {
            "the URL registered before is unchanged; check WEBHOOK_URL, or the \"url\" of the event: the provider must be able \
             to reach it"
        }
        PartnerError::UnknownReason { .. } => "ask the provider what it means",
        PartnerError::Unreachable { .. } => {
            "the next run tries again; if it fails as well, check PARTNER_API_BASE_URL and whether the provider is up"
        }
        PartnerError::NotTheApi { operation: Operation::GetWebhook, status: Some(200), .. } => {
            "nothing was changed, because it is not known what is registered; check that PARTNER_API_BASE_URL is the base of \
             the API, and not of a web page or a proxy, and ask the provider if it is"
        }
        PartnerError::NotTheApi { .. } => {
            "check that PARTNER_API_BASE_URL is the base of the API, and not of a web page or a proxy"
        }
    }
}

/// What is wrong with a secret, written to follow its name.
#[derive(Debug, Error)]
pub enum SecretFault {
    /// There is none.
    #[error("does not exist; create it, or correct the variable that names it")]
    Missing,
    /// It could not be written.
    #[error(
        "could not be written: {0}; if the next run fails as well, check that the function may call \
         secretsmanager:PutSecretValue and UpdateSecretVersionStage on it"
    )]
    NotWritten(String),
    /// It could not be read.
    #[error(
        "could not be read: {0}; if the next run fails as well, check that the function may call \
         secretsmanager:GetSecretValue on it"
    )]
    NotRead(String),
    /// It is binary.
    #[error("is binary; store a text there")]
    NotText,
    /// Nobody has stored the credentials yet.
    #[error(
        r#"does not have the partner's credentials yet; store {{"client_id":"…","client_secret":"…"}} there, from the provider's partner dashboard"#
    )]
    NoCredentialsYet,
    /// It has no credentials.
    #[error(
        r#"does not have the partner's credentials; store {{"client_id":"…","client_secret":"…"}} or {{"access_token":"…"}} there"#
    )]
    NotCredentials,
    /// Its access token cannot be sent.
    #[error(
        "has an access_token with characters that no HTTP header can carry; store it without blanks and line breaks"
    )]
    NoHeader,
    /// Its webhook token is too weak.
    #[error("does not have a usable token; store a random one there: {0}")]
    WeakToken(WeakWebhookToken),
    /// Its webhook token makes no URL that can be registered.
    #[error("has a token that makes no usable URL with WEBHOOK_URL; change one of them: the URL is {0}")]
    NoUrl(InvalidWebhookUrl),
}

impl SyncError {
    /// Returns the name of the cause: `errorType` of the Lambda error, by which alarms and people tell causes apart.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::SecretUnusable { .. } => "SecretUnusable",
            Self::StoreFailed(_) => "StoreFailed",
            Self::Contested { .. } => "Contested",
            Self::NotVerified => "NotVerified",
            Self::OutOfTime => "OutOfTime",
            Self::Panicked => "Panicked",
            Self::Partner(error) => match error {
                PartnerError::WrongCredentials { .. } => "WrongCredentials",
                PartnerError::AddressBlocked => "AddressBlocked",
                PartnerError::TokenExpiredTwice => "TokenExpiredTwice",
                PartnerError::FixedTokenExpired => "FixedTokenExpired",
                PartnerError::UrlRefused => "UrlRefused",
                PartnerError::UnknownReason { .. } => "UnknownReason",
                PartnerError::Unreachable { .. } => "PartnerUnreachable",
                PartnerError::NotTheApi { .. } => "NotTheApi",
            },
        }
    }
}

impl From<SyncError> for Diagnostic {
    fn from(error: SyncError) -> Self {
        Self { error_type: error.cause().to_owned(), error_message: error.to_string() }
    }
}
