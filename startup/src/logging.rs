use lambda_runtime::tracing::{
    Subscriber,
    subscriber::{
        filter::{LevelFilter, Targets},
        fmt::{self, MakeWriter},
        layer::{Layer, SubscriberExt},
        registry,
        util::SubscriberInitExt,
    },
};

/// Starts logging to standard output.
pub fn init(format: Option<&str>, level: Option<&str>) {
    // A second start in one process keeps the first: nothing to report.
    let _ = subscriber(format, level, std::io::stdout).try_init();
}

/// Logging as Lambda's logging controls ask for: `AWS_LAMBDA_LOG_FORMAT` (`JSON` or text) and `AWS_LAMBDA_LOG_LEVEL` (else
/// `RUST_LOG`, one level; `INFO` when there is none or it cannot be read).
///
/// Only our own crates follow the level below `INFO`: at `TRACE` the Lambda runtime and the AWS SDK write whole requests,
/// with tokens and API keys in them.
pub fn subscriber<W>(format: Option<&str>, level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let ours = ["receiver", "redrive", "sync", "store"].map(|target| (target, level));
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO)).with_targets(ours);
    let lines = fmt::layer().with_ansi(false).with_writer(writer);
    let lines = if format.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.boxed()
    };
    registry().with(targets).with(lines)
}
