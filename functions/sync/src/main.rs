//! The Lambda function `sync`: keeps the webhook URL that is registered with the provider true.

use std::{process::ExitCode, time::SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use startup::Environment;
use sync::{Config, Limits, WebhookSync};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let environment = Environment::of_this_process();
    startup::init_logging(&environment);
    match run(&environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "sync cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let aws = startup::aws_config(sync::AWS).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws);
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let sync = &WebhookSync::new(config, Limits::DEPLOYED, secrets, dynamodb);
    let handle = |event: LambdaEvent<Value>| sync.handle(event.payload, SystemTime::now().into());
    lambda_runtime::run(service_fn(handle)).await
}
