//! The configuration of the SDK's clients for the stand-ins.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_types::SdkConfig;

/// Returns a configuration for a stand-in at an address, with a region and credentials of no meaning.
pub fn to(url: &str, config: SdkConfig) -> SdkConfig {
    config
        .into_builder()
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "local")))
        .endpoint_url(url)
        .build()
}

/// Returns the same with the defaults of the SDK.
pub(crate) fn plain(url: &str) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    to(url, SdkConfig::builder().behavior_version(BehaviorVersion::latest()).http_client(http).build())
}
