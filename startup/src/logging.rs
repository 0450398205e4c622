use lambda_runtime::tracing::subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Starts logging to standard output, as Lambda's logging controls ask for: `AWS_LAMBDA_LOG_FORMAT` (`JSON` or text) and
/// `AWS_LAMBDA_LOG_LEVEL` (else `RUST_LOG`, one level; `INFO` when there is none).
///
/// Only our own crates follow the level below `INFO`: at `TRACE` the Lambda runtime and the AWS SDK write whole requests,
/// with tokens and API keys in them.
pub fn init(format: Option<&str>, level: Option<&str>) {
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let ours = ["receiver", "redrive", "sync", "store"].map(|target| (target, level));
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO)).with_targets(ours);
    let registry = lambda_runtime::tracing::subscriber::registry().with(targets);
    // A second start in one process keeps the first: nothing to report.
    let _ = if format.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry.with(fmt::layer().json().flatten_event(true).with_current_span(false)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(false)).try_init()
    };
}
