//! The Lambda function `publisher`.

use std::{io::stdout, process::ExitCode, time::SystemTime};

use lambda::{Environment, Metrics};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use publisher::{Batch, Config, Publisher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run("publisher", run).await
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let metrics = Metrics::read(environment, stdout())?;
    let aws = lambda::aws_config(environment, publisher::AWS).await?;
    let publisher = &Publisher::new(config, &aws, metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        Ok::<_, Error>(publisher.handle(event.payload, || SystemTime::now().into()).await)
    }))
    .await
}
