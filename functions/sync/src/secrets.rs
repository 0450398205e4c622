use std::{convert::Infallible, fmt};

use aws_sdk_secretsmanager::{
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use serde::Deserialize;
use shared::{Secret, WebhookToken, WebhookUrl};
use startup::{Environment, InvalidVariable};

use crate::{
    Config, SecretFault, SyncError,
    credentials::{AccessToken, ClientCredentials, Credentials},
};

/// Which secret to read, and the environment variable that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretId {
    variable: &'static str,
    id: String,
}

/// The secrets, as they are in Secrets Manager at the time of asking: changing one needs no redeploy.
pub(crate) struct Secrets {
    manager: aws_sdk_secretsmanager::Client,
    partner: SecretId,
    webhook_token: SecretId,
    webhook_address: WebhookUrl,
}

impl Secrets {
    pub(crate) fn new(manager: aws_sdk_secretsmanager::Client, config: Config) -> Self {
        Self {
            manager,
            partner: config.partner_secret,
            webhook_token: config.webhook_token_secret,
            webhook_address: config.webhook_address,
        }
    }

    /// How to call the partner API.
    pub(crate) async fn credentials(&self) -> Result<Credentials, SyncError> {
        let text = self.read(&self.partner).await?;
        Credentials::read(&text).map_err(|fault| self.partner.unusable(fault))
    }

    /// The token of the webhook's URL.
    pub(crate) async fn webhook_token(&self) -> Result<WebhookToken, SyncError> {
        let text = self.read(&self.webhook_token).await?;
        WebhookToken::new(text).map_err(|weak| self.webhook_token.unusable(SecretFault::WeakToken(weak)))
    }

    /// The URL that has this token in it.
    pub(crate) fn webhook_url(&self, token: &WebhookToken) -> Result<WebhookUrl, SyncError> {
        WebhookUrl::with_token(self.webhook_address.expose(), token)
            .map_err(|invalid| self.webhook_token.unusable(SecretFault::NoUrl(invalid)))
    }

    async fn read(&self, secret: &SecretId) -> Result<Secret, SyncError> {
        let answer = self.manager.get_secret_value().secret_id(&secret.id).send().await;
        let answer = answer.map_err(|error| secret.unusable(SecretFault::of(&error)))?;
        answer.secret_string.map(Secret::new).ok_or_else(|| secret.unusable(SecretFault::NotText))
    }
}

impl SecretId {
    pub(crate) fn read(environment: &Environment, variable: &'static str) -> Result<Self, InvalidVariable> {
        environment.read(variable, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf", |id| {
            Ok::<_, Infallible>(Self { variable, id: id.to_owned() })
        })
    }

    fn unusable(&self, fault: SecretFault) -> SyncError {
        SyncError::SecretUnusable { secret: self.clone(), fault }
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.variable)
    }
}

impl Credentials {
    fn read(text: &Secret) -> Result<Self, SecretFault> {
        #[derive(Deserialize)]
        struct Content {
            access_token: Option<Secret>,
            client_id: Option<Secret>,
            client_secret: Option<Secret>,
        }
        let content: Content = serde_json::from_str(text.expose()).map_err(|_| SecretFault::NotCredentials)?;
        let given = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
        match (given(content.access_token), given(content.client_id), given(content.client_secret)) {
            (Some(token), ..) => AccessToken::new(token).map(Self::Fixed).ok_or(SecretFault::NoHeader),
            (None, Some(id), Some(secret)) => Ok(Self::Client(ClientCredentials { id, secret })),
            (None, ..) => Err(SecretFault::NotCredentials),
        }
    }
}

impl SecretFault {
    /// Without the answer itself, which the SDK's own texts and `Debug` output would repeat.
    fn of<R>(error: &SdkError<GetSecretValueError, R>) -> Self {
        match error {
            SdkError::ServiceError(answer) if answer.err().is_resource_not_found_exception() => Self::Missing,
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or("an error without a code");
                Self::NotRead(format!("Secrets Manager answers {code}"))
            }
            SdkError::TimeoutError(_) => Self::NotRead("Secrets Manager did not answer in time".to_owned()),
            SdkError::DispatchFailure(_) => Self::NotRead("Secrets Manager could not be reached".to_owned()),
            _ => Self::NotRead("the call to Secrets Manager failed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials, SecretFault> {
        Credentials::read(&Secret::new(text))
    }

    #[test]
    fn client_id_and_secret_are_read() {
        let expected = Credentials::Client(ClientCredentials { id: Secret::new("i"), secret: Secret::new("s") });
        assert_eq!(read(r#"{"client_id":"i","client_secret":"s","note":1}"#).unwrap(), expected);
        assert_eq!(read(r#"{"client_id":"i","client_secret":"s","access_token":""}"#).unwrap(), expected);
        assert_eq!(read(r#"{"client_id":"i","client_secret":"s","access_token":null}"#).unwrap(), expected);
    }

    #[test]
    fn a_fixed_access_token_comes_first() {
        let fixed = read(r#"{"client_id":"i","client_secret":"s","access_token":"t"}"#).unwrap();
        assert_eq!(fixed, Credentials::Fixed(AccessToken::new(Secret::new("t")).unwrap()));
    }

    #[test]
    fn other_contents_are_refused_without_being_shown() {
        for text in [
            "s3cret",
            "",
            "{}",
            "[]",
            r#"{"client_id":"s3cret"}"#,
            r#"{"client_id":"s3cret","client_secret":""}"#,
            r#"{"client_id":"s3cret","client_secret":["s3cret"]}"#,
            r#"{"access_token":"s3cret\n"}"#,
            r#"{"access_token":"s3crét"}"#,
        ] {
            let fault = read(text).unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("s3cr"), "{fault:?}");
        }
    }
}
