use std::time::Duration;

use aws_config::{
    BehaviorVersion, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    environment::EnvironmentVariableRegionProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

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
/// Credentials come from the environment alone, where Lambda puts them: looking for them elsewhere would be work in every cold
/// start.
pub async fn aws_config(patience: Patience) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
        .timeout_config(timeouts(patience))
        .retry_config(retries(patience))
        .load()
        .await
}

/// The same configuration with another patience, for another service. Both share one HTTP client, and with it the cost of
/// setting up TLS.
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
