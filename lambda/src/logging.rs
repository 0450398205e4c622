use lambda_runtime::tracing::{
    Subscriber,
    subscriber::{
        filter::{LevelFilter, Targets},
        fmt::{self, MakeWriter},
        layer::{Layer, SubscriberExt},
        registry,
    },
};

use crate::Environment;

/// Starts logging to standard output as Lambda's logging controls ask for: in the format of `AWS_LAMBDA_LOG_FORMAT`, from
/// the level of `AWS_LAMBDA_LOG_LEVEL`, or else of `RUST_LOG`.
pub fn init(environment: &Environment) {
    let format = environment.get("AWS_LAMBDA_LOG_FORMAT");
    let level = environment.get("AWS_LAMBDA_LOG_LEVEL").or_else(|| environment.get("RUST_LOG"));
    // A second start in one process keeps the first: nothing to report. `try_init` would also take in what crates write to
    // `log`.
    let _ = tracing::subscriber::set_global_default(subscriber(format, level, std::io::stdout));
}

/// Logging in a format (`JSON`, else text) from a level on (`INFO` when there is none or it cannot be read).
///
/// Nothing below `INFO` is written: at `TRACE` the Lambda runtime and the AWS SDK write whole requests, with tokens and API
/// keys in them.
pub fn subscriber<W>(format: Option<&str>, level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO));
    let lines = fmt::layer().with_ansi(false).with_writer(writer);
    let lines = if format.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.boxed()
    };
    registry().with(targets).with(lines)
}
