//! The Lambda function `forwarder`.

use std::{io::stdout, process::ExitCode, time::SystemTime};

use forwarder::{Config, Forwarder};
use lambda::{Environment, MessageBatch, Metrics};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run("forwarder", run).await
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let metrics = Metrics::read(environment, stdout())?;
    let aws = lambda::aws_config(environment, forwarder::AWS).await?;
    let forwarder = &Forwarder::new(config, &aws, metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<MessageBatch>| {
        Ok::<_, Error>(forwarder.handle(&event.payload, &|| SystemTime::now().into()).await)
    }))
    .await
}
