use std::{
    net::{SocketAddr, TcpStream},
    process::ExitCode,
};

use lambda_runtime::Error;

use crate::{environment::Environment, logging};

/// Runs a function with the environment of this process. If the function cannot start, the log contains the reason.
pub async fn run(function: &str, run: impl AsyncFnOnce(&Environment) -> Result<(), Error>) -> ExitCode {
    let environment = Environment::of_this_process();
    logging::init(&environment);
    if let Some((variable, url)) = closed_endpoint(&environment) {
        tracing::error!(
            "{variable}: nothing is listening at {url}; `cargo hooks dev --services` runs the services that a function needs on this machine"
        );
    }
    match run(&environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "{function} cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Returns the first endpoint variable of the SDK that names a closed port of this machine. AWS sets no such variable.
fn closed_endpoint(environment: &Environment) -> Option<(&str, &str)> {
    environment.starting_with("AWS_ENDPOINT_URL_").find(|(_, url)| {
        let address = url.strip_prefix("http://").and_then(|address| address.parse::<SocketAddr>().ok());
        address.is_some_and(|address| address.ip().is_loopback() && TcpStream::connect(address).is_err())
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_endpoint_on_this_machine_with_a_closed_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let environment = Environment::from([
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
            ("AWS_ENDPOINT_URL_SQS", "https://sqs.eu-west-1.amazonaws.com"),
            ("OTHER", "http://127.0.0.1:1"),
        ]);
        assert_eq!(closed_endpoint(&environment), None);
        drop(listener);
        assert_eq!(closed_endpoint(&environment), Some(("AWS_ENDPOINT_URL_DYNAMODB", url.as_str())));
    }
}
