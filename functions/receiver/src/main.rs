//! The Lambda function `receiver`.

use std::{io::stdout, time::SystemTime};

use lambda_http::{Error, Request, service_fn};
use receiver::{Arrival, Config, Receiver};
use startup::{Environment, Metrics};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_this_process();
    startup::init_logging(&environment);
    let read = Config::read(&environment).and_then(|config| Ok((config, Metrics::read(&environment, stdout())?)));
    let (config, metrics) = read.inspect_err(|error| tracing::error!(%error, "the receiver cannot start"))?;
    let dynamodb = startup::aws_config(receiver::DYNAMODB).await;
    let queue = startup::with_patience(&dynamodb, receiver::QUEUE);
    let receiver = &Receiver::start(config, &dynamodb, &queue, metrics, SystemTime::now().into()).await;
    lambda_http::run(service_fn(async |request: Request| {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::from(error.to_string()))?;
        let arrival = Arrival { received_at: SystemTime::now().into(), random };
        Ok::<_, Error>(receiver.handle(request, arrival).await)
    }))
    .await
}
