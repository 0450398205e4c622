use std::{convert::Infallible, fmt};

use lambda::{Environment, InvalidVariable};
use shared::{InvalidWebhookUrl, WeakWebhookToken};
use thiserror::Error;

/// A secret's name or ARN, and the environment variable that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretId {
    variable: &'static str,
    pub(crate) id: String,
}

impl SecretId {
    pub(crate) fn read(environment: &Environment, variable: &'static str) -> Result<Self, InvalidVariable> {
        environment.read(variable, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf", |id| {
            Ok::<_, Infallible>(Self { variable, id: id.to_owned() })
        })
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.variable)
    }
}

/// A fault of a secret. The text follows the secret's name.
#[derive(Debug, Error)]
pub enum SecretFault {
    /// There is none.
    #[error("does not exist; create it, or correct the variable that names it")]
    Missing,
    /// It could not be written.
    #[error(
        "could not be written: {0}; if the next run also fails, check that the function may call \
         secretsmanager:PutSecretValue and UpdateSecretVersionStage on it"
    )]
    NotWritten(String),
    /// It could not be read.
    #[error(
        "could not be read: {0}; if the next run also fails, check that the function may call \
         secretsmanager:GetSecretValue on it"
    )]
    NotRead(String),
    /// It is binary.
    #[error("is binary; store text in it")]
    NotText,
    /// Nobody has stored the credentials yet.
    #[error(
        r#"does not contain the partner's credentials yet; store {{"client_id":"…","client_secret":"…"}} in it, from the provider's partner dashboard"#
    )]
    NoCredentialsYet,
    /// It has no credentials.
    #[error(
        r#"does not contain the partner's credentials; store {{"client_id":"…","client_secret":"…"}} or {{"access_token":"…"}} in it"#
    )]
    NotCredentials,
    /// Its access token cannot be sent.
    #[error(
        "contains an access_token with characters that an HTTP header cannot contain; store it without spaces and line breaks"
    )]
    NoHeader,
    /// Its webhook token is too weak.
    #[error("does not contain a usable token; store a random one in it: {0}")]
    WeakToken(WeakWebhookToken),
    /// Its webhook token makes no URL that can be registered.
    #[error("contains a token that does not make a usable URL with WEBHOOK_URL; change one of them: the URL is {0}")]
    NoUrl(InvalidWebhookUrl),
}
