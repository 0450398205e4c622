use thiserror::Error;

use crate::operation::Operation;

/// A failed call of the partner API, or of the V2 API of a line. The text describes the failure; the remedy depends on the caller's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PartnerError {
    /// Reason 2. More attempts make the provider block the caller's address.
    #[error("the provider refuses the client id or client secret (reason 2 to the {operation} call)")]
    WrongCredentials {
        /// The operation that was refused.
        operation: Operation,
    },
    /// Reason 3 to the access token call.
    #[error("the provider has blocked this address after too many failed attempts (reason 3 to the access token call)")]
    AddressBlocked,
    /// Reason 3 to a call with an access token that was granted in the same session.
    #[error("the provider refuses an access token that it has just issued (reason 3, twice)")]
    TokenExpiredTwice,
    /// Reason 3 to a call with a fixed access token.
    #[error("the provider refuses the fixed access token as expired or unknown (reason 3)")]
    FixedTokenExpired,
    /// Reason 13 to the set webhook call.
    #[error("the provider refuses the URL as invalid (reason 13)")]
    UrlRefused,
    /// A reason without a documented meaning for this operation.
    #[error("the provider answered the {operation} call with reason {reason}, which is not documented for it")]
    UnknownReason {
        /// The operation.
        operation: Operation,
        /// The provider's number.
        reason: i64,
    },
    /// No connection, or no answer.
    #[error(
        "{} could not be reached for the {operation} call: {cause}{}",
        operation.api(),
        if operation.sets() { " (it is unknown whether the URL was set)" } else { "" }
    )]
    Unreachable {
        /// The operation. It may have been carried out.
        operation: Operation,
        /// The cause.
        cause: Unreached,
    },
    /// An answer that the API is not known to give.
    #[error(
        "the {operation} call was not answered by {}{}: {answer}",
        operation.api(),
        status.map(|status| format!(" (HTTP status {status})")).unwrap_or_default()
    )]
    NotTheApi {
        /// The operation.
        operation: Operation,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// The answer.
        answer: Unexpected,
    },
}

impl PartnerError {
    /// Returns whether the session is refused, so that every other call would be refused too.
    pub fn concerns_every_call(&self) -> bool {
        match self {
            Self::WrongCredentials { .. }
            | Self::AddressBlocked
            | Self::TokenExpiredTwice
            | Self::FixedTokenExpired => true,
            Self::UrlRefused | Self::UnknownReason { .. } | Self::Unreachable { .. } | Self::NotTheApi { .. } => false,
        }
    }

    /// Returns whether the API as a whole is in trouble. Otherwise it has answered, and only this one call has failed.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::NotTheApi { status, answer, .. } => {
                status.is_some_and(is_outage)
                    || !matches!(answer, Unexpected::MissingField(_) | Unexpected::WrongType(_))
            }
            _ => false,
        }
    }
}

/// Returns whether a server answers with an HTTP status whatever it is asked.
pub(crate) fn is_outage(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Cause of a failure to reach an API.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreached {
    /// DNS does not know its name.
    #[error("its host name cannot be resolved")]
    UnknownHost,
    /// No connection in time.
    #[error("no connection was made in time")]
    NoConnection,
    /// No complete answer in time.
    #[error("it did not answer in time")]
    NoAnswer,
    /// TCP or TLS failed.
    #[error("the connection failed: {0}")]
    Broken(String),
    /// The HTTP client gave up for another cause.
    #[error("the request was abandoned")]
    GivenUp,
}

/// An answer that is not the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unexpected {
    /// A status 3xx.
    #[error("a redirect, which is not followed")]
    Redirect,
    /// More bytes than are read.
    #[error("more than {} KB", .0 / 1024)]
    TooLong(u64),
    /// Headers of 16 KB or more.
    #[error("headers of more than 16 KB")]
    LongHeaders,
    /// Bytes that are not HTTP.
    #[error("something that is not HTTP")]
    NotHttp,
    /// No bytes.
    #[error("an empty answer")]
    Empty,
    /// Something that starts as a web page does.
    #[error("an HTML page")]
    Html,
    /// Not JSON, or not an object.
    #[error("something that is not a JSON object")]
    NotAnObject,
    /// An object without a field that the operation must answer with.
    #[error("a JSON object without the fields of this call ({0})")]
    MissingField(&'static str),
    /// An object with a field of a type other than the documented one.
    #[error("a JSON object whose {0} is not of the documented type")]
    WrongType(&'static str),
    /// An answer in the API's form with an HTTP status of 429 or 5xx, or a success with another error status.
    #[error("an answer that does not count with this HTTP status")]
    FailedStatus,
    /// A list whose total is not the number of its elements.
    #[error("a list of {elements} elements whose total is {total}")]
    WrongTotal {
        /// The total that the answer states.
        total: i64,
        /// The number of its elements.
        elements: usize,
    },
    /// An access token that an HTTP header cannot contain.
    #[error("an access token with characters that an HTTP header cannot contain")]
    UnusableToken,
}
