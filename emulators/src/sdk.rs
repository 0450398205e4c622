//! How the SDK's clients get to what runs here.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_types::SdkConfig;

/// A configuration with which a client gets to whatever runs at an address: any region and credentials do.
pub fn to(url: &str, config: SdkConfig) -> SdkConfig {
    config
        .into_builder()
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "local")))
        .endpoint_url(url)
        .build()
}

/// The same, where nothing else is asked of the configuration.
pub(crate) fn plain(url: &str) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    to(url, SdkConfig::builder().behavior_version(BehaviorVersion::latest()).http_client(http).build())
}
