//! What a check has found, and the report on which it is noted.

use anyhow::Result;
use serde::Serialize;
use shared::text::plain;

use crate::output::{Output, json, print, progress::Progress};

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something is missing or waits, and the rest works.
    Warn,
    /// It does not work.
    Fail,
    /// It was not looked at.
    Skip,
}

/// What a check has found.
pub struct Finding {
    verdict: Verdict,
    detail: String,
    /// The command that fixes it.
    fix: Option<String>,
}

impl Finding {
    pub fn ok(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, detail: detail.into(), fix: None }
    }

    pub fn warn(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, detail: detail.into(), fix: Some(fix.into()) }
    }

    pub fn fail(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, detail: detail.into(), fix: Some(fix.into()) }
    }

    /// With the reason.
    pub fn skip(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, detail: detail.into(), fix: None }
    }
}

/// A line of the report. What is there once stays there, under the same name.
#[derive(Serialize)]
struct Line {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(rename = "mend")]
    fix: Option<String>,
}

/// Everything that was found so far. For people each line is shown as soon as it is known.
pub struct Report {
    output: Output,
    lines: Vec<Line>,
}

impl Report {
    /// An empty one.
    pub fn new(output: Output) -> Self {
        Self { output, lines: Vec::new() }
    }

    /// Makes a check, and notes what it finds.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn check(&mut self, what: &'static str, check: impl Future<Output = Finding>) -> Result<Verdict> {
        let progress = Progress::of(what);
        let finding = check.await;
        drop(progress);
        self.note(what, finding)
    }

    /// Notes what was found.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&mut self, check: &'static str, finding: Finding) -> Result<Verdict> {
        let Finding { verdict, detail, fix } = finding;
        let line = Line { check, verdict, detail, fix };
        if self.output == Output::Table {
            print(&line.shown())?;
        }
        self.lines.push(line);
        Ok(verdict)
    }

    /// The whole as a JSON array on a line.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        json::line(&self.lines)
    }

    /// Whether any check has failed.
    pub fn has_failed(&self) -> bool {
        self.lines.iter().any(|line| line.verdict == Verdict::Fail)
    }
}

impl Line {
    fn shown(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
        };
        let fix = self.fix.as_ref().map(|fix| format!("{:25}fix: {fix}\n", "")).unwrap_or_default();
        format!("{verdict:4}  {:17}  {}\n{fix}", self.check, plain(&self.detail))
    }
}
