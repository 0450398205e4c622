//! The Lambda function `redrive`.

use std::{io::stdout, time::SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use redrive::{Batch, Config, Redrive};
use startup::{Environment, Metrics};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    startup::init_logging(&environment);
    let read = Config::read(&environment).and_then(|config| Ok((config, Metrics::read(&environment, stdout())?)));
    let (config, metrics) = read.inspect_err(|error| tracing::error!(%error, "redrive cannot start"))?;
    let dynamodb = startup::aws_config(redrive::DYNAMODB).await;
    let queue = startup::with_patience(&dynamodb, redrive::QUEUE);
    let redrive = &Redrive::new(config, &dynamodb, &queue, metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        Ok::<_, Error>(redrive.handle(&event.payload, SystemTime::now().into()).await)
    }))
    .await
}
