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

use crate::{environment::Environment, https};

/// The time limits and attempts of a call to AWS. A function with a response deadline keeps their sum below it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Maximum time for TCP and TLS of a new connection.
    pub connect: Duration,
    /// Maximum time for one attempt, connecting included.
    pub attempt: Duration,
    /// Maximum number of attempts after failures that may be temporary.
    pub attempts: u32,
    /// Maximum time for all attempts and the pauses between them.
    pub call: Duration,
}

/// Returns the SDK's configuration: region, credentials and endpoints from the environment's own `AWS_…` variables, TLS by
/// rustls with ring.
///
/// Lambda puts all of it into the environment, so nothing else is searched: that would slow every cold start.
/// `aws_config::defaults` is not used either: it would add the code for profiles, STS and SSO to every function.
///
/// # Errors
/// Fails when the file of `AWS_CA_BUNDLE` has no certificates or cannot be read.
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
    // Without this, a client mistakes the number of attempts for a default and replaces it with its own.
    config.insert_origin("retry_config", Origin::shared_config());
    Ok(config.build())
}

/// Reads the variables for one service, such as `AWS_ENDPOINT_URL_DYNAMODB`, and those for all services.
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

/// Returns the same configuration with other time limits, for another service. Both share one HTTP client.
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
