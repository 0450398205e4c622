//! The HTTP client of the SDK's clients.

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use lambda_runtime::Error;

use crate::{environment::Environment, trust::trusted};

/// Returns the HTTP client shared by all of a function's clients: TLS by rustls with ring, and trust in [`trusted`].
///
/// # Errors
/// Fails when the file of `AWS_CA_BUNDLE` has no certificates or cannot be read.
pub(crate) fn client(environment: &Environment) -> Result<SharedHttpClient, Error> {
    let trust = TlsContext::builder().with_trust_store(trusted(environment)?).build()?;
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(trust);
    Ok(SharedHttpClient::new(Unrehearsed(https.build_https())))
}

/// Skips a step that the SDK's HTTP client runs for each client of a service: it sets up TLS and discards it, to read the
/// system's certificates in advance. In the few regions that trust those, the first request reads them. Elsewhere the step
/// is wasted: 0.27 of the 12.3 million instructions of a run of sync, for each client.
#[derive(Debug)]
struct Unrehearsed(SharedHttpClient);

impl HttpClient for Unrehearsed {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}
