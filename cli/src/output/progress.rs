//! The progress of long commands, on standard error.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{task::JoinHandle, time::sleep};

use super::{note, print};

/// Time after which progress is shown.
const SOON: Duration = Duration::from_secs(1);

/// Time of one step of the spinner.
const TURN: Duration = Duration::from_millis(100);

/// Shown when standard error is a terminal, after a second, until it is dropped. Without colours.
pub struct Progress {
    bar: ProgressBar,
    appearing: JoinHandle<()>,
}

impl Progress {
    /// Starts a bar up to an end, in any unit.
    pub fn to(end: u64) -> Self {
        Self::start(Some(end), "{bar:30} {percent:>3} %  {msg}")
    }

    /// Starts a spinner with a text.
    pub fn of(what: &str) -> Self {
        let progress = Self::start(None, "{spinner} {msg}");
        progress.bar.set_message(what.to_owned());
        progress
    }

    fn start(end: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(end, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let shown = bar.clone();
        let appearing = tokio::spawn(async move {
            sleep(SOON).await;
            // It stays hidden where that is not a terminal.
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(TURN);
        });
        Self { bar, appearing }
    }

    /// Shows a position, in the unit of the end, and a message.
    pub fn reached(&self, position: u64, message: String) {
        self.bar.set_position(position);
        self.bar.set_message(message);
    }

    /// Writes a note to standard error, with the progress out of the way.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }

    /// Prints to standard output, with the progress out of the way.
    ///
    /// # Errors
    /// As for [`print()`].
    pub fn print(&self, text: &str) -> Result<bool> {
        self.bar.suspend(|| print(text))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.appearing.abort();
        self.bar.finish_and_clear();
    }
}
