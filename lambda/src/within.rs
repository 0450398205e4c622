use std::{fmt::Display, time::Duration};

use tokio::time::timeout;

/// Waits for `what` for a maximum time, and returns its result or the text of its error.
///
/// # Errors
/// Fails with the error's own text, or with one that names `what` when the time runs out. The future is then dropped; a
/// request that it sent may still be carried out.
pub async fn within<T, E: Display>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(limit, future).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("{what}: no answer within {} ms", limit.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(1_600);

    #[tokio::test(start_paused = true)]
    async fn a_result_in_time_is_passed_on_and_a_late_one_is_an_error_that_names_what_was_asked() {
        let after = async |millis, result: Result<u8, &'static str>| {
            within(LIMIT, "SQS", async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                result
            })
            .await
        };
        assert_eq!(after(1_599, Ok(1)).await, Ok(1));
        assert_eq!(after(1_599, Err("SQS: refused")).await, Err("SQS: refused".to_owned()));
        assert_eq!(after(1_601, Ok(1)).await, Err("SQS: no answer within 1600 ms".to_owned()));
    }
}
