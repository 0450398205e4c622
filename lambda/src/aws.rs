use std::{env, time::Duration};

use aws_config::{
    BehaviorVersion, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
    meta::region::ProvideRegion,
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::{
    origin::Origin,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use lambda_runtime::Error;

use crate::{Environment, https};

/// How long a call to AWS may take. The function that answers within a time chooses these so that their sum is less.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For TCP and TLS of a new connection.
    pub connect: Duration,
    /// For one attempt, connecting included.
    pub attempt: Duration,
    /// How often a call is attempted when an attempt fails in a way that may pass.
    pub attempts: u32,
    /// For all attempts and the pauses between them.
    pub call: Duration,
}

/// The SDK's configuration: region, credentials and endpoints from the environment's own `AWS_…` variables, TLS by rustls
/// with ring.
///
/// All of it comes from the environment alone, where Lambda puts it: looking for it elsewhere would be work in every cold
/// start. Nor is it put together by `aws_config::defaults`, which looks for whatever is not given: the code for that (profiles,
/// STS, SSO…) would be part of every function.
///
/// # Errors
/// When `AWS_CA_BUNDLE` names no file with certificates.
pub async fn aws_config(environment: &Environment, patience: Patience) -> Result<SdkConfig, Error> {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .service_config(EnvironmentVariables)
        .use_fips(is_true("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"))
        .http_client(https::client(environment)?)
        .timeout_config(timeouts(patience))
        .retry_config(retries(patience));
    // Else a client takes the number of attempts for a default, and puts its own in its place.
    config.insert_origin("retry_config", Origin::shared_config());
    Ok(config.build())
}

/// The variables that are about one service, such as `AWS_ENDPOINT_URL_DYNAMODB`, and those for all of them.
#[derive(Debug)]
struct EnvironmentVariables;

impl LoadServiceConfig for EnvironmentVariables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() == "AWS_ENDPOINT_URL" && is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return None;
        }
        let service = key.service_id().to_uppercase().replace(' ', "_");
        let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        set(&format!("{}_{service}", key.env())).or_else(|| set(key.env()))
    }
}

fn is_true(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The same configuration with another patience, for another service. Both share one HTTP client.
pub fn with_patience(config: &SdkConfig, patience: Patience) -> SdkConfig {
    config.to_builder().timeout_config(timeouts(patience)).retry_config(retries(patience)).build()
}

fn timeouts(patience: Patience) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.attempt)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.call)
        .build()
}

fn retries(patience: Patience) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_millis(400))
}
