use std::{error::Error, fmt};

use aws_sdk_lambda::error::ProvideErrorMetadata;
use shared::Causes;

/// An error of AWS: its answer, or the reason why there is none.
#[derive(Debug)]
pub struct AwsError {
    what: String,
    /// The code of the error, if AWS answered.
    pub code: Option<String>,
    message: String,
}

impl AwsError {
    /// Returns the error of an answer with a code.
    pub fn new(what: &str, code: &str, message: &str) -> Self {
        Self { what: what.to_owned(), code: Some(code.to_owned()), message: message.to_owned() }
    }

    /// Returns the error of a call about `what`.
    pub fn of(what: &str, error: &(impl ProvideErrorMetadata + Error + 'static)) -> Self {
        let (code, message) = match (error.code(), error.message()) {
            (Some(code), Some(message)) => (Some(code.to_owned()), message.to_owned()),
            _ => (None, Causes(error).to_string()),
        };
        Self { what: what.to_owned(), code, message }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, code, message } = self;
        match code {
            Some(code) => write!(f, "{what}: {code}: {message}"),
            None => write!(f, "{what}: {message}"),
        }
    }
}

impl Error for AwsError {}
