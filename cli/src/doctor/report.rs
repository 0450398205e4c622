//! The finding of a check, and the report of all findings.

use anyhow::Result;
use serde::Serialize;
use shared::text::plain;

use crate::output::{Output, json, print, progress::Progress, screen::Screen, tables};

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It works.
    Ok,
    /// Something is missing or waits, but the rest works.
    Warn,
    /// It does not work.
    Fail,
    /// It was not checked.
    Skip,
}

/// The finding of a check.
pub struct Finding {
    verdict: Verdict,
    detail: String,
    /// The command that fixes the problem.
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

    /// Returns the finding of a check that was left out, with the reason.
    pub fn skip(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, detail: detail.into(), fix: None }
    }
}

/// A line of the report. Its members keep their names from version to version.
#[derive(Serialize)]
struct Line {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(rename = "mend")]
    fix: Option<String>,
}

/// The findings so far. For people, each line is printed as soon as it is known.
pub struct Report {
    output: Output,
    lines: Vec<Line>,
}

impl Report {
    /// Returns an empty report.
    pub fn new(output: Output) -> Self {
        Self { output, lines: Vec::new() }
    }

    /// Runs a check, and notes its finding.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub async fn check(&mut self, what: &'static str, check: impl Future<Output = Finding>) -> Result<Verdict> {
        let progress = Progress::of(what);
        let finding = check.await;
        drop(progress);
        self.note(what, finding)
    }

    /// Notes a finding.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn note(&mut self, check: &'static str, finding: Finding) -> Result<Verdict> {
        let Finding { verdict, detail, fix } = finding;
        let line = Line { check, verdict, detail, fix };
        if self.output == Output::Table {
            print(&line.shown())?;
        }
        self.lines.push(line);
        Ok(verdict)
    }

    /// Returns the report as a JSON array on one line.
    ///
    /// # Errors
    /// Fails when it cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        json::line(&self.lines)
    }

    /// Returns whether a check has failed.
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
        let toned = Screen::of_stdout().toned(tables::verdict(verdict), verdict);
        let blanks = " ".repeat(6 - verdict.len());
        format!("{toned}{blanks}{:17}  {}\n{fix}", self.check, plain(&self.detail))
    }
}
