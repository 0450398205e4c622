//! The Lambda function `receiver`.

use std::time::SystemTime;

use lambda_http::{Error, Request, service_fn};
use receiver::{Arrival, Config, Receiver};
use startup::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    startup::init_logging(
        std::env::var("AWS_LAMBDA_LOG_FORMAT").ok().as_deref(),
        std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG")).ok().as_deref(),
    );
    let config = Config::read(&Environment::of_this_process())
        .inspect_err(|error| tracing::error!(%error, "the receiver cannot start"))?;
    let dynamodb = startup::aws_config(receiver::DYNAMODB).await;
    let queue = startup::with_patience(&dynamodb, receiver::QUEUE);
    let receiver = &Receiver::start(config, &dynamodb, &queue, SystemTime::now().into()).await;
    lambda_http::run(service_fn(async |request: Request| {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::from(error.to_string()))?;
        let arrival = Arrival { received_at: SystemTime::now().into(), random };
        Ok::<_, Error>(receiver.handle(request, arrival).await)
    }))
    .await
}
