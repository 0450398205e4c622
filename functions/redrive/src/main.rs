//! The Lambda function `redrive`.

use std::{io::stdout, process::ExitCode, time::SystemTime};

use lambda::{Environment, MessageBatch, Metrics};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use redrive::{Config, Redrive};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run("redrive", run).await
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let metrics = Metrics::read(environment, stdout())?;
    let dynamodb = lambda::aws_config(environment, redrive::DYNAMODB).await?;
    let queue = lambda::with_patience(&dynamodb, redrive::QUEUE);
    let redrive = &Redrive::new(config, &dynamodb, &queue, metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<MessageBatch>| {
        Ok::<_, Error>(redrive.handle(&event.payload, SystemTime::now().into()).await)
    }))
    .await
}
