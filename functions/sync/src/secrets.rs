use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use partner::{AccessToken, ClientCredentials, Credentials};
use serde::Deserialize;
use shared::{Secret, WebhookToken, WebhookUrl};

use crate::{
    config::Config,
    error::SyncError,
    our_urls::{OurUrl, OurUrls},
    secret_fault::{SecretFault, SecretId},
};

/// Staging label of the version in use.
const CURRENT: &str = "AWSCURRENT";
/// Staging label of the version that a rotation is to bring into use.
const PENDING: &str = "AWSPENDING";

/// The secrets in Secrets Manager. Every run reads them again, so a change needs no deployment.
pub(crate) struct Secrets {
    manager: aws_sdk_secretsmanager::Client,
    partner: SecretId,
    webhook_token: SecretId,
    webhook_address: WebhookUrl,
}

impl Secrets {
    pub(crate) fn new(manager: aws_sdk_secretsmanager::Client, config: &Config) -> Self {
        Self {
            manager,
            partner: config.partner_secret.clone(),
            webhook_token: config.webhook_token_secret.clone(),
            webhook_address: config.webhook_address.clone(),
        }
    }

    /// Returns the partner's credentials, with the id of the secret's version that has them.
    pub(crate) async fn credentials(&self) -> Result<(Credentials, String), SyncError> {
        let read = self.read(&self.partner, CURRENT).await?;
        let value = read.ok_or_else(|| unusable(&self.partner, SecretFault::Missing))?;
        let credentials = read_credentials(&value.text).map_err(|fault| unusable(&self.partner, fault))?;
        Ok((credentials, value.version))
    }

    /// Returns our URL with the current token, and with the one of an unfinished rotation.
    pub(crate) async fn our_urls(&self) -> Result<OurUrls, SyncError> {
        let current = self.read(&self.webhook_token, CURRENT).await?;
        let current = current.ok_or_else(|| unusable(&self.webhook_token, SecretFault::Missing))?;
        let pending = self.read(&self.webhook_token, PENDING).await?;
        // The label may stay on a version that has become the current one. A token that a person has stored since counts more
        // than an older pending one.
        let pending = pending.filter(|pending| pending.version != current.version && pending.at >= current.at);
        let pending = pending.map(|pending| self.our_url(pending)).transpose()?;
        Ok(OurUrls { address: self.webhook_address.clone(), current: self.our_url(current)?, pending })
    }

    /// Begins a rotation: stores a new token beside the current one, and returns our URL with it.
    pub(crate) async fn begin_rotation(&self, random: &[u8]) -> Result<OurUrl, SyncError> {
        let text = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(random));
        let put = self
            .manager
            .put_secret_value()
            .secret_id(&self.webhook_token.id)
            .secret_string(text.expose())
            .version_stages(PENDING);
        let put = put
            .send()
            .await
            .map_err(|error| unusable(&self.webhook_token, SecretFault::NotWritten(failure(&error))))?;
        self.our_url(Version { text, version: put.version_id.unwrap_or_default(), at: None })
    }

    /// Ends a rotation: the new token becomes the current one.
    pub(crate) async fn finish_rotation(&self, new: &OurUrl, old: &OurUrl) -> Result<(), SyncError> {
        let update = self
            .manager
            .update_secret_version_stage()
            .secret_id(&self.webhook_token.id)
            .version_stage(CURRENT)
            .move_to_version_id(&new.version)
            .remove_from_version_id(&old.version);
        let updated = update.send().await;
        updated.map(|_| ()).map_err(|error| unusable(&self.webhook_token, SecretFault::NotWritten(failure(&error))))
    }

    fn our_url(&self, token: Version) -> Result<OurUrl, SyncError> {
        let secret = &self.webhook_token;
        let version = token.version;
        let token = WebhookToken::new(token.text).map_err(|weak| unusable(secret, SecretFault::WeakToken(weak)))?;
        let url = WebhookUrl::with_token(self.webhook_address.expose(), &token);
        let url = url.map_err(|invalid| unusable(secret, SecretFault::NoUrl(invalid)))?;
        Ok(OurUrl::new(url, &token, version))
    }

    /// Returns the version of a secret that has a label; `None` when there is none.
    async fn read(&self, secret: &SecretId, stage: &str) -> Result<Option<Version>, SyncError> {
        let answer = match self.manager.get_secret_value().secret_id(&secret.id).version_stage(stage).send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(answer)) if answer.err().is_resource_not_found_exception() => return Ok(None),
            Err(error) => return Err(unusable(secret, SecretFault::NotRead(failure(&error)))),
        };
        let text = answer.secret_string.map(Secret::new).ok_or_else(|| unusable(secret, SecretFault::NotText))?;
        let at = answer.created_date.map(|at| at.as_nanos());
        Ok(Some(Version { text, version: answer.version_id.unwrap_or_default(), at }))
    }
}

/// A version of a secret.
struct Version {
    text: Secret,
    version: String,
    /// Time of its creation, in nanoseconds since 1970.
    at: Option<i128>,
}

fn read_credentials(text: &Secret) -> Result<Credentials, SecretFault> {
    #[derive(Deserialize)]
    struct Content {
        access_token: Option<Secret>,
        client_id: Option<Secret>,
        client_secret: Option<Secret>,
    }
    let content: Content = serde_json::from_str(text.expose()).map_err(|_| SecretFault::NotCredentials)?;
    let given = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
    match (given(content.access_token), given(content.client_id), given(content.client_secret)) {
        (Some(token), ..) => AccessToken::new(token).map(Credentials::Fixed).ok_or(SecretFault::NoHeader),
        (None, Some(id), Some(secret)) => Ok(Credentials::Client(ClientCredentials { id, secret })),
        (None, None, None) => Err(SecretFault::NoCredentialsYet),
        (None, ..) => Err(SecretFault::NotCredentials),
    }
}
fn unusable(secret: &SecretId, fault: SecretFault) -> SyncError {
    SyncError::SecretUnusable { secret: secret.clone(), fault }
}

/// Describes a failure without the answer itself, which the SDK's own texts and `Debug` output would repeat.
fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(answer) => {
            format!("Secrets Manager answered {}", answer.err().code().unwrap_or("an error without a code"))
        }
        SdkError::TimeoutError(_) => "Secrets Manager did not answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "Secrets Manager could not be reached".to_owned(),
        _ => "the call to Secrets Manager failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::{error::ErrorMetadata, operation::get_secret_value::GetSecretValueError};

    use super::*;

    fn read(text: &str) -> Result<Credentials, SecretFault> {
        read_credentials(&Secret::new(text))
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
    fn a_secret_as_the_template_creates_it_without_credentials_is_told_from_a_mistake() {
        for text in [r#"{"client_id":"","client_secret":""}"#, "{}"] {
            assert!(matches!(read(text), Err(SecretFault::NoCredentialsYet)), "{text}");
        }
    }

    #[test]
    fn other_contents_are_refused_without_being_shown() {
        for text in [
            "s3cret",
            "",
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

    #[test]
    fn a_failure_is_described_by_its_kind_and_code_without_the_answer() {
        let code = ErrorMetadata::builder().code("AccessDeniedException").message("s3cret").build();
        for (error, described) in [
            (
                SdkError::service_error(GetSecretValueError::generic(code), ()),
                "Secrets Manager answered AccessDeniedException",
            ),
            (SdkError::timeout_error("s3cret"), "Secrets Manager did not answer in time"),
            (SdkError::construction_failure("s3cret"), "the call to Secrets Manager failed"),
        ] {
            assert_eq!(failure(&error), described);
        }
    }
}
