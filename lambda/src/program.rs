use std::process::ExitCode;

use lambda_runtime::Error;

use crate::{Environment, logging};

/// Runs a function with the environment of this process; when it cannot start, the log says why.
pub async fn run(function: &str, run: impl AsyncFnOnce(&Environment) -> Result<(), Error>) -> ExitCode {
    let environment = Environment::of_this_process();
    logging::init(&environment);
    match run(&environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "{function} cannot start");
            ExitCode::FAILURE
        }
    }
}
