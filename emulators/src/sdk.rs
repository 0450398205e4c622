//! The configuration of the SDK's clients for the stand-ins.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_types::{
    SdkConfig,
    sdk_config::Builder,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

/// Returns a configuration for a stand-in at an address, with a dummy region and dummy credentials.
pub fn to(url: &str, config: SdkConfig) -> SdkConfig {
    here(config).endpoint_url(url).build()
}

fn here(config: SdkConfig) -> Builder {
    config
        .into_builder()
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "local")))
}

/// Returns a configuration in which each service has its own address, given by the SDK's service id.
pub fn to_services(urls: &[(&'static str, &str)], config: SdkConfig) -> SdkConfig {
    let endpoints = urls.iter().map(|(service, url)| (*service, (*url).to_owned())).collect();
    here(config).service_config(Endpoints(endpoints)).build()
}

#[derive(Debug)]
struct Endpoints(Vec<(&'static str, String)>);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let of_service = |(service, _): &&(&'static str, String)| key.service_id().eq_ignore_ascii_case(service);
        self.0.iter().find(of_service).filter(|_| key.env() == "AWS_ENDPOINT_URL").map(|(_, url)| url.clone())
    }
}

/// Returns a configuration as [`to`] does, based on the SDK's defaults.
pub(crate) fn plain(url: &str) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    to(url, SdkConfig::builder().behavior_version(BehaviorVersion::latest()).http_client(http).build())
}
