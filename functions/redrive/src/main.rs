//! The Lambda function `redrive`.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use redrive::{Batch, Config, Redrive};
use startup::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    startup::init_logging(
        std::env::var("AWS_LAMBDA_LOG_FORMAT").ok().as_deref(),
        std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG")).ok().as_deref(),
    );
    let config = Config::read(&Environment::of_this_process())
        .inspect_err(|error| tracing::error!(%error, "redrive cannot start"))?;
    let dynamodb = startup::aws_config(redrive::DYNAMODB).await;
    let queue = startup::with_patience(&dynamodb, redrive::QUEUE);
    let redrive = &Redrive::new(config, &dynamodb, &queue);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| {
        Ok::<_, Error>(redrive.handle(&event.payload).await)
    }))
    .await
}
