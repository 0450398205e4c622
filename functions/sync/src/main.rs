//! The Lambda function `sync`: keeps the registered webhook URL ours, and compares the provider's lists with the states.

use std::{
    io::stdout,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use lambda::{Environment, Metrics};
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use sync::{Config, Invocation, Limits, RANDOM, WebhookSync};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run("sync", run).await
}

async fn run(environment: &Environment) -> Result<(), Error> {
    let config = Config::read(environment)?;
    let metrics = Metrics::read(environment, stdout())?;
    let aws = lambda::aws_config(environment, sync::AWS).await?;
    let secrets = aws_sdk_secretsmanager::Client::new(&aws);
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let sqs = aws_sdk_sqs::Client::new(&aws);
    let sync = &WebhookSync::new(config, Limits::DEPLOYED, secrets, dynamodb, sqs, metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(|error| Diagnostic::from(error.to_string()))?;
        let now = SystemTime::now();
        let time_left = time_left(&event.context, now);
        let done = sync.handle(Invocation { event: event.payload, now: now.into(), time_left, random }).await;
        // Not through `Error`, which would lose the name of the cause.
        done.map_err(Diagnostic::from)
    }))
    .await
}

fn time_left(context: &Context, now: SystemTime) -> Duration {
    context.deadline().duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_ends_with_the_deadline() {
        let mut context = Context::default();
        context.deadline = 10_000;
        for (now, left) in [(4_000, 6_000), (10_000, 0), (11_000, 0)] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
            assert_eq!(time_left(&context, now), Duration::from_millis(left));
        }
    }
}
