//! The Lambda function `sync`: keeps the webhook URL that is registered with the provider true.

use std::{env, process::ExitCode, time::SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use startup::Environment;
use sync::{Config, Limits, WebhookSync};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    startup::init_logging(env::var("AWS_LAMBDA_LOG_FORMAT").ok().as_deref(), level.ok().as_deref());
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "sync cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = Config::read(&Environment::of_this_process())?;
    let aws = startup::aws_config(sync::AWS).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws);
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let sync = &WebhookSync::new(config, Limits::DEPLOYED, secrets, dynamodb);
    let handle = |event: LambdaEvent<Value>| sync.handle(event.payload, SystemTime::now().into());
    lambda_runtime::run(service_fn(handle)).await
}
