use lambda::InvalidVariable;
use lambda_runtime::Diagnostic;
use partner::{Operation, PartnerError};
use shared::Timestamp;
use store::StoreError;
use thiserror::Error;

use crate::{
    action::BadRequest,
    secret_fault::{SecretFault, SecretId},
};

/// The reason why a run did not end with a report. Each text says what to do next. None contains a secret, a body of the
/// provider's or an unmasked URL.
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
        /// The fault, with its remedy.
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
        /// Number of times that it was replaced by ours.
        repairs: u32,
    },
    /// The provider accepted a deployment's URL and shows another one.
    #[error(
        "the provider accepted the URL but shows another one as registered; check what is registered with \"get\", and ask \
         the provider if this persists"
    )]
    NotVerified,
    /// The provider accepted a person's URL, and did not answer which one is registered since.
    #[error(
        "the provider accepted the URL, but it is unknown whether it is registered: {0}; look with \"get\", and ask the provider \
         if that also fails"
    )]
    NotReadBack(PartnerError),
    /// CloudFormation has asked to delete the registration of this stack.
    #[error(
        "CloudFormation deleted this stack's registration at {at}, so its URL is no longer registered; if the deletion of the \
         stack has failed, finish it, and then deploy the stack again"
    )]
    StackDeleted {
        /// Time of the request.
        at: Timestamp,
    },
    /// The provider refused these credentials in an earlier run.
    #[error(
        "the provider refused the partner's credentials at {at} (reason 2), and they have not changed since, so it was not \
         asked again; store the right ones in the secret that PARTNER_SECRET_ID names; each new version of it is tried once"
    )]
    CredentialsUnchanged {
        /// Time of the refusal.
        at: Timestamp,
    },
    /// The environment does not configure the inventory and the lines.
    #[error(
        "the inventory and the lines are not configured: set FINGERPRINT_KEY, FALLBACK_QUEUE_URL, DEDUP_WINDOW_SECONDS and RETENTION_DAYS as \
         the receiver has them"
    )]
    InventoryNotConfigured,
    /// The environment has a mistake in the configuration of the lines.
    #[error(
        "the configuration of the lines has a mistake, so none was checked: {0}; deploy again with a valid parameter"
    )]
    LinesMisconfigured(InvalidVariable),
    /// The function ran out of time.
    #[error("the run was stopped shortly before the function's timeout; the next run continues from there")]
    OutOfTime,
    /// A bug in this program.
    #[error("sync panicked, which is a bug; the log has the details, and the next run continues from there")]
    Panicked,
    /// A call of the partner API failed.
    #[error("{}; {}", .0, remedy(.0))]
    Partner(#[from] PartnerError),
}

/// Returns the remedy for a failed call.
fn remedy(error: &PartnerError) -> &'static str {
    match error {
        PartnerError::WrongCredentials { .. } => {
            "store the right ones in the secret that PARTNER_SECRET_ID names; the provider is not asked again until it changes, \
             because further failed attempts make it block this address"
        }
        PartnerError::AddressBlocked => {
            "check the secret that PARTNER_SECRET_ID names, then wait until the block ends or ask the provider to lift it"
        }
        PartnerError::TokenExpiredTwice => {
            "if the next run also fails, ask the provider, and check that nobody else requests tokens with the same client id"
        }
        PartnerError::FixedTokenExpired => {
            "store a new \"access_token\" in the secret that PARTNER_SECRET_ID names, or better \"client_id\" and \
             \"client_secret\", so that sync can request tokens"
        }
        PartnerError::UrlRefused => {
            "the URL registered before is unchanged; check WEBHOOK_URL, or the \"url\" of the event: the provider must be able \
             to reach it"
        }
        PartnerError::UnknownReason { .. } => "ask the provider for its meaning",
        PartnerError::Unreachable { .. } | PartnerError::NotTheApi { status: Some(429 | 500..), .. } => {
            "the next run tries again; if it also fails, check PARTNER_API_BASE_URL and whether the provider is up"
        }
        PartnerError::NotTheApi { operation: Operation::GetWebhook, status: Some(200), .. } => {
            "nothing was changed, because it is unknown what is registered; check that PARTNER_API_BASE_URL is the base URL of \
             the API and not of a web page or a proxy; if it is, ask the provider"
        }
        PartnerError::NotTheApi { .. } => {
            "check that PARTNER_API_BASE_URL is the base URL of the API and not of a web page or a proxy"
        }
    }
}

impl SyncError {
    /// Returns whether the run was a check that failed, which is worth a ledger entry.
    pub(crate) fn is_failed_check(&self) -> bool {
        !matches!(self, Self::Contested { .. } | Self::BadRequest(_) | Self::StoreFailed(_) | Self::StackDeleted { .. })
    }

    /// Returns the name of the cause: `errorType` of the Lambda error, by which alarms and people tell causes apart.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::SecretUnusable { .. } => "SecretUnusable",
            Self::StoreFailed(_) => "StoreFailed",
            Self::Contested { .. } => "Contested",
            Self::NotVerified => "NotVerified",
            Self::StackDeleted { .. } => "StackDeleted",
            Self::CredentialsUnchanged { .. } => "WrongCredentials",
            Self::InventoryNotConfigured => "InventoryNotConfigured",
            Self::LinesMisconfigured(_) => "LinesMisconfigured",
            Self::OutOfTime => "OutOfTime",
            Self::Panicked => "Panicked",
            Self::Partner(error) | Self::NotReadBack(error) => match error {
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
