use lambda_runtime::Diagnostic;
use shared::{InvalidWebhookUrl, WeakWebhookToken, partner_api};
use store::StoreError;
use thiserror::Error;

use crate::{BadRequest, Call, Unreached, secrets::SecretId};

/// Why a run did not end with a report. Each cause says what to do next; none has a secret, a body of the provider's or an
/// unmasked URL in it.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The event asks for nothing that can be done.
    #[error("bad request: {0}")]
    BadRequest(#[from] BadRequest),
    /// A secret does not hold what is needed, or could not be read.
    #[error("the secret {secret} {fault}")]
    SecretUnusable {
        /// Which.
        secret: SecretId,
        /// What is wrong with it, and what to do.
        fault: SecretFault,
    },
    /// The accepted tokens or the ledger could not be read or written.
    #[error(
        "the tables cannot be read or written, so nothing more was done; what is registered can be seen with \"get\", and the \
         next run tries again: {0}"
    )]
    StoreFailed(#[from] StoreError),
    /// Another URL comes back after every repair.
    #[error(
        "another URL ({url}) has come back after each of {repairs} repairs, so somebody keeps registering it for the same \
         partner account, perhaps another deployment; nothing is repaired any more; end the other one, then send \
         {{\"action\":\"set\",\"url\":…}} with the address of this webhook (the output WebhookUrl of the stack)"
    )]
    Contested {
        /// The URL, masked.
        url: String,
        /// How often ours was put back in its place.
        repairs: u32,
    },
    /// A deployment's registration was answered with OK, and is not there.
    #[error(
        "the provider said OK to the URL, but shows another one as registered; look at what is registered with \"get\", and \
         ask the provider if it stays so"
    )]
    NotVerified,
    /// The time of the function was over.
    #[error("the run was ended before the function's time was over; the next one goes on from there")]
    OutOfTime,
    /// A fault of this program.
    #[error("sync has panicked, which is a fault in it: the log has the place; the next run goes on from there")]
    Panicked,
    /// Reason 2.
    #[error(
        "the provider refuses the client id or client secret (reason 2 to the {call} call); put the right ones into the secret \
         that PARTNER_SECRET_ID names before sync runs again: more wrong attempts make the provider block this address"
    )]
    WrongCredentials {
        /// The call that was refused.
        call: Call,
    },
    /// Reason 3 to the access token call.
    #[error(
        "the provider has blocked this address after too many wrong attempts (reason 3 to the access token call); check the \
         secret that PARTNER_SECRET_ID names, then wait until the block ends or ask the provider to lift it"
    )]
    AddressBlocked,
    /// Reason 3 to a call with an access token that was got in the same run.
    #[error(
        "the provider refuses an access token that it has just granted (reason 3, twice); if the next run fails as well, ask \
         the provider, and check that nobody else asks for tokens with the same client id"
    )]
    TokenExpiredTwice,
    /// Reason 3 to a call with the access token that stands in the secret.
    #[error(
        "the access token in the secret that PARTNER_SECRET_ID names has expired (reason 3); put a new \"access_token\" there, \
         or better \"client_id\" and \"client_secret\", with which sync gets its own"
    )]
    FixedTokenExpired,
    /// Reason 13 to the set webhook call.
    #[error(
        "the provider refuses the URL as invalid (reason 13); what was registered before still is; check WEBHOOK_URL, or \
         the \"url\" of the event: it must be an address that the provider can reach"
    )]
    UrlRefused,
    /// A reason that has no meaning here.
    #[error(
        "the provider answered the {call} call with reason {number}, whose meaning is not known here; ask the provider what \
         it means for this call"
    )]
    UnknownReason {
        /// The call.
        call: Call,
        /// The reason.
        number: i64,
    },
    /// No connection, or no answer.
    #[error(
        "the partner API could not be reached for the {call} call: {fault}{}; the next run tries again; if it fails as well, \
         check PARTNER_API_BASE_URL and whether the provider is up",
        if *call == Call::Set { " (whether the URL was set is not known)" } else { "" }
    )]
    PartnerUnreachable {
        /// The call; if it was the set call, it is not known whether it was carried out.
        call: Call,
        /// What happened.
        fault: Unreached,
    },
    /// An answer, but not of the partner API.
    #[error(
        "the {call} call was not answered by the partner API{}: {answered}; check that PARTNER_API_BASE_URL is the base of the \
         API, and not of a web page or a proxy", status.map(|status| format!(" (HTTP status {status})")).unwrap_or_default()
    )]
    NotTheApi {
        /// The call.
        call: Call,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// What came instead.
        answered: Answered,
    },
}

/// What came instead of the partner API's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Answered {
    /// A status 3xx.
    #[error("a redirect, which is not followed")]
    Redirect,
    /// More than 64 KB.
    #[error("more than 64 KB")]
    TooLong,
    /// Headers of 16 KB and more.
    #[error("headers of more than 16 KB")]
    LongHeaders,
    /// Bytes that are not HTTP.
    #[error("something that is not HTTP")]
    NotHttp,
    /// An access token that no HTTP header can carry.
    #[error("an access token with characters that no HTTP header can carry")]
    UnusableToken,
    /// Another body.
    #[error("{0}")]
    Other(partner_api::NotTheApi),
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
    /// It holds bytes.
    #[error("holds bytes; put a text there")]
    NotText,
    /// Nobody has put the credentials there yet.
    #[error(
        r#"does not hold the partner's credentials yet; put {{"client_id":"…","client_secret":"…"}} there, from the provider's partner dashboard"#
    )]
    NoCredentialsYet,
    /// It has something else than credentials in it.
    #[error(
        r#"does not hold the partner's credentials; put {{"client_id":"…","client_secret":"…"}} or {{"access_token":"…"}} there"#
    )]
    NotCredentials,
    /// The access token in it cannot be sent.
    #[error(
        "holds an access_token with characters that no HTTP header can carry; put it there without blanks and line breaks"
    )]
    NoHeader,
    /// The webhook token is too weak.
    #[error("does not hold a usable token; put a random one there: {0}")]
    WeakToken(WeakWebhookToken),
    /// The webhook token gives no URL that can be registered.
    #[error("holds a token that makes no usable URL together with WEBHOOK_URL; change one of them: the URL is {0}")]
    NoUrl(InvalidWebhookUrl),
}

impl SyncError {
    /// The name of the cause: `errorType` of the Lambda error, and what alarms and people tell the causes apart by.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::SecretUnusable { .. } => "SecretUnusable",
            Self::StoreFailed(_) => "StoreFailed",
            Self::Contested { .. } => "Contested",
            Self::NotVerified => "NotVerified",
            Self::OutOfTime => "OutOfTime",
            Self::Panicked => "Panicked",
            Self::WrongCredentials { .. } => "WrongCredentials",
            Self::AddressBlocked => "AddressBlocked",
            Self::TokenExpiredTwice => "TokenExpiredTwice",
            Self::FixedTokenExpired => "FixedTokenExpired",
            Self::UrlRefused => "UrlRefused",
            Self::UnknownReason { .. } => "UnknownReason",
            Self::PartnerUnreachable { .. } => "PartnerUnreachable",
            Self::NotTheApi { .. } => "NotTheApi",
        }
    }
}

impl From<SyncError> for Diagnostic {
    fn from(error: SyncError) -> Self {
        Self { error_type: error.cause().to_owned(), error_message: error.to_string() }
    }
}
