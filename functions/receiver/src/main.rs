//! The Lambda function `receiver`.

use std::{io::stdout, process::ExitCode, time::SystemTime};

use lambda::{Environment, Metrics};
use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use receiver::{Arrival, Config, GatewayRequest, Receiver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run("the receiver", run).await
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let metrics = Metrics::read(environment, stdout())?;
    let dynamodb = lambda::aws_config(environment, receiver::DYNAMODB).await?;
    let queue = lambda::with_patience(&dynamodb, receiver::QUEUE);
    let receiver = &Receiver::start(config, &dynamodb, &queue, metrics, SystemTime::now().into()).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<GatewayRequest>| {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::from(error.to_string()))?;
        let arrival = Arrival { received_at: SystemTime::now().into(), random };
        let version = event.payload.version();
        // Boxed, because the compiler does not follow the types of futures this deep.
        let response = Box::pin(receiver.handle(event.payload, arrival)).await;
        Ok::<_, Error>(version.answer(response))
    }))
    .await
}
