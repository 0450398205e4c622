use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// The functions of a local run. It can be copied, and called from several places at once.
#[derive(Clone, Copy)]
pub struct LocalFunctions {
    address: SocketAddr,
}

impl LocalFunctions {
    /// Returns the functions that listen on an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Calls a function, as `cargo lambda invoke` does. Returns its answer as it came.
    ///
    /// # Errors
    /// Fails when it does not answer. [`read_answer`] finds out whether the answer is an error.
    pub async fn call(&self, function: &str, event: &Value) -> Result<String> {
        let event = event.to_string();
        let url = format!("http://{}/2015-03-31/functions/{function}/invocations", self.address);
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(130)))
            .build();
        let answer = tokio::task::spawn_blocking(move || {
            let mut response = Agent::new_with_config(config).post(&url).send(event)?;
            response.body_mut().read_to_string()
        });
        answer.await?.with_context(|| format!("the function {function} does not answer"))
    }

    /// Calls a function. Returns its answer.
    ///
    /// # Errors
    /// Fails when it does not answer, or answers with an error.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        read_answer(&self.call(function, &event).await?).with_context(|| function.to_owned())
    }
}

/// Reads the answer of a function.
///
/// # Errors
/// Fails when the answer is an error of the function, whose text is then in the message, or not JSON.
pub fn read_answer(answer: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(answer).with_context(|| format!("not JSON: {answer}"))?;
    if let Some(message) = answer.get("errorMessage").and_then(Value::as_str) {
        match answer["errorType"].as_str().unwrap_or("no type") {
            // The person who called it knows whose fault it is.
            "BadRequest" => bail!("{}", message.trim_start_matches("bad request: ")),
            cause => bail!("{cause}: {message}"),
        }
    }
    Ok(answer)
}
