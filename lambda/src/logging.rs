use std::io::{self, Write};

use lambda_runtime::tracing::{
    Subscriber,
    subscriber::{
        filter::{LevelFilter, Targets},
        fmt::{self, MakeWriter},
        layer::{Layer, SubscriberExt},
        registry,
    },
};
use shared::json::needs_escape;

use crate::environment::Environment;

/// Starts logging to standard output according to Lambda's logging controls: in the format of `AWS_LAMBDA_LOG_FORMAT`, from
/// the level of `AWS_LAMBDA_LOG_LEVEL`, or else of `RUST_LOG`.
pub fn init(environment: &Environment) {
    let format = environment.get("AWS_LAMBDA_LOG_FORMAT");
    let level = environment.get("AWS_LAMBDA_LOG_LEVEL").or_else(|| environment.get("RUST_LOG"));
    // A second start in one process keeps the first: nothing to report. `try_init` would also capture records that crates
    // write to `log`.
    let _ = tracing::subscriber::set_global_default(subscriber(format, level, io::stdout));
}

/// Returns a subscriber that logs in a format (`JSON`, else text) from a level on (default: `INFO`, also
/// for an unreadable level).
///
/// Nothing below `INFO` is written: at `TRACE` the Lambda runtime and the AWS SDK write whole requests, including tokens
/// and API keys. In JSON, every character that a terminal obeys or that hides text is escaped, as in [`shared::json`].
pub fn subscriber<W>(format: Option<&str>, level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO));
    let lines = fmt::layer().with_ansi(false);
    let lines = if format.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.with_writer(EscapeJson(writer)).json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.with_writer(writer).boxed()
    };
    registry().with(targets).with(lines)
}

/// Escapes characters in lines of JSON. The layer above writes each line in one call, with such characters only inside strings.
struct EscapeJson<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for EscapeJson<W> {
    type Writer = EscapeJson<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapeJson(self.0.make_writer())
    }
}

impl<W: Write> Write for EscapeJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match str::from_utf8(line) {
            Ok(text) if text.contains(is_escaped) => self.0.write_all(escaped(text).as_bytes())?,
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns whether a character of a line is written as an escape. The newline at its end is not.
fn is_escaped(character: char) -> bool {
    character != '\n' && needs_escape(character)
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use fixtures::Log;
    use serde_json::Value;

    use super::*;

    fn logged(format: &str, value: &str) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(Some(format), None, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || tracing::info!(value, "a line"));
        log.text()
    }

    #[test]
    fn a_line_of_json_holds_no_character_that_a_terminal_obeys_or_that_hides_text() {
        let odd = "\u{0}\u{1b}[31m\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{202e}\u{2066}\u{2028}\u{2029}\r\n\"\\א😀";
        for format in ["JSON", "json"] {
            let line = logged(format, odd);
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains(needs_escape), "{line:?}");
            let read: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&read["value"], &read["message"]), (&odd.into(), &"a line".into()));
        }
    }

    #[test]
    fn a_line_of_text_holds_none_either() {
        let line = logged("Text", "\u{1b}[31m\u{9b}\u{202e}\u{2028}");
        assert!(!line.trim_end_matches('\n').contains(needs_escape), "{line:?}");
    }
}
